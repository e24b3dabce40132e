#include "frontend/onnx/importer.h"

#include <algorithm>

#include "base/shape.h"
#include "frontend/onnx/model_index.h"

namespace intaglio::frontend::onnx {
namespace {

std::string in_quotes(std::string_view text) {
  return "'" + std::string(text) + "'";
}

// Names of functions in the text form of dims are no good symbols.
std::string symbol_name(std::string_view raw) {
  std::string name = sanitise_symbol(raw);
  if (name == "min" || name == "max" || name == "mod" || name == "floordiv") name += "_dim";
  return name;
}

}  // namespace

Status Importer::run() {
  const GraphProto& graph = *model_.graph;
  graph_.name = graph.name;
  if (graph.has_sparse_initializers) return fail(ErrorCode::unsupported, "sparse initialisers are not supported");
  Scope scope;
  scope.opsets = &model_.opset_imports;
  INTAGLIO_CHECK(add_initializers(scope));
  INTAGLIO_CHECK(check_fixed_inputs());
  for (const ValueInfoProto& info : graph.inputs) {
    if (!scope.names.contains(info.name)) INTAGLIO_CHECK(add_input(scope, info));
  }
  INTAGLIO_CHECK(add_nodes(scope, graph.nodes));
  INTAGLIO_CHECK(add_outputs(scope));
  graph_.erase_dead();
  return {};
}

Operand* Importer::new_operand() {
  return &operands_.emplace_back();
}

Status Importer::define(Scope& scope, std::string_view name, Operand* operand) {
  if (!scope.names.emplace(name, operand).second) {
    return fail(ErrorCode::file, "the name " + in_quotes(name) + " is defined twice");
  }
  return {};
}

Status Importer::add_initializers(Scope& scope) {
  for (const TensorProto& tensor : model_.graph->initializers) {
    Operand* operand = new_operand();
    operand->tensor = &tensor;
    INTAGLIO_CHECK(define(scope, tensor.name, operand));
  }
  return {};
}

// ---- graph inputs and outputs

Status Importer::check_fixed_inputs() const {
  for (const auto& [name, tensor] : options_.fixed_inputs) {
    const auto& inputs = model_.graph->inputs;
    const bool known =
        std::any_of(inputs.begin(), inputs.end(), [&](const ValueInfoProto& info) { return info.name == name; });
    if (known) continue;
    std::string names;
    for (const ValueInfoProto& info : inputs) names += (names.empty() ? "" : ", ") + std::string(info.name);
    return fail(ErrorCode::usage, "no input has this name", "fixed input " + in_quotes(name),
                "the model's inputs are: " + names);
  }
  return {};
}

// A dim_param stands for the same size everywhere; different ones never share a symbol, even if they look alike once
// sanitised.
Dim Importer::symbol_for(std::string_view raw) {
  if (const auto found = dims_by_param_.find(raw); found != dims_by_param_.end()) return found->second;
  const std::string base = symbol_name(raw);
  std::string name = base;
  for (int i = 2; graph_.symbols.contains(name); ++i) name = base + "_" + std::to_string(i);
  const auto range = ranges_.find(name);
  const Dim symbol = builder_.declare_symbol(name, range == ranges_.end() ? SymbolRange{} : range->second);
  dims_by_param_.emplace(std::string(raw), symbol);
  return symbol;
}

Result<Dims> Importer::input_shape(const ValueInfoProto& info) {
  if (!info.has_shape) {
    return fail(ErrorCode::unsupported, "the file does not give its rank", "input " + in_quotes(info.name),
                "export the model with input shapes");
  }
  Dims shape;
  for (std::size_t i = 0; i < info.dims.size(); ++i) {
    const DimProto& dim = info.dims[i];
    if (dim.value && *dim.value >= 0) {
      shape.emplace_back(*dim.value);
    } else if (!dim.param.empty()) {
      shape.push_back(symbol_for(dim.param));
    } else {
      shape.push_back(symbol_for(std::string(info.name) + "_dim" + std::to_string(i)));
    }
  }
  return shape;
}

Status Importer::add_input(Scope& scope, const ValueInfoProto& info) {
  const std::string where = "input " + in_quotes(info.name);
  if (info.kind != TypeKind::tensor)
    return fail(ErrorCode::unsupported, "only tensors can be inputs (no sequences, maps or optionals)", where);
  const auto dtype = dtype_of(info.elem_type);
  if (!dtype) return fail(Error(dtype.error()).at(where));
  if (const auto fixed = options_.fixed_inputs.find(std::string(info.name)); fixed != options_.fixed_inputs.end()) {
    if (fixed->second.dtype != *dtype) {
      return fail(ErrorCode::usage,
                  "the fixed value is " + std::string(name_of(fixed->second.dtype)) + ", the model wants " +
                      std::string(name_of(*dtype)),
                  where);
    }
    return add_fixed_input(scope, info, fixed->second);
  }
  INTAGLIO_TRY(Dims shape, input_shape(info));
  Operand* operand = new_operand();
  operand->value = graph_.add_input(info.name, {*dtype, std::move(shape)});
  return define(scope, info.name, operand);
}

// The value becomes a constant; symbols of its declared shape get their value everywhere.
Status Importer::add_fixed_input(Scope& scope, const ValueInfoProto& info, const ir::Tensor& tensor) {
  const std::string where = "input " + in_quotes(info.name);
  if (info.has_shape && info.dims.size() != tensor.shape.size()) {
    return fail(ErrorCode::usage,
                "the fixed value has shape " + to_string(tensor.shape) + ", the model wants rank " +
                    std::to_string(info.dims.size()),
                where);
  }
  for (std::size_t i = 0; i < info.dims.size(); ++i) {
    const DimProto& dim = info.dims[i];
    const std::int64_t size = tensor.shape[i];
    if (dim.value && *dim.value >= 0 && *dim.value != size) {
      return fail(ErrorCode::usage,
                  "the fixed value has shape " + to_string(tensor.shape) + ", dim " + std::to_string(i) + " must be " +
                      std::to_string(*dim.value),
                  where);
    }
    if (dim.value || dim.param.empty()) continue;
    const auto [at, fresh] = dims_by_param_.try_emplace(std::string(dim.param), Dim(size));
    if (!fresh && at->second.is_constant() && !(at->second == Dim(size))) {
      return fail(ErrorCode::usage, "two fixed inputs give dim " + in_quotes(dim.param) + " different sizes", where);
    }
    if (!fresh && !at->second.is_constant()) graph_.guards.push_back({at->second, Dim(size), std::string(info.name)});
  }
  Operand* operand = new_operand();
  operand->value = graph_.add_constant(tensor, info.name);
  operand->known = known_contents(tensor);
  return define(scope, info.name, operand);
}

Status Importer::add_outputs(Scope& scope) {
  if (model_.graph->outputs.empty()) return fail(ErrorCode::file, "the graph has no outputs");
  std::unordered_map<std::string_view, bool> seen;
  for (const ValueInfoProto& info : model_.graph->outputs) {
    const auto found = scope.names.find(info.name);
    if (found == scope.names.end())
      return fail(ErrorCode::file, "nothing computes it", "output " + in_quotes(info.name));
    if (!seen.emplace(info.name, true).second)
      return fail(ErrorCode::file, "it is listed twice", "output " + in_quotes(info.name));
    auto value = materialise(*found->second, builder_, store_);
    if (!value) return fail(std::move(value).error().at("output " + in_quotes(info.name)));
    graph_.add_output(info.name, *value);
  }
  return {};
}

// ---- nodes

Status Importer::add_nodes(Scope& scope, const std::vector<NodeProto>& nodes) {
  if (scope.depth > options_.max_nesting)
    return fail(ErrorCode::file, "functions call each other deeper than " + std::to_string(options_.max_nesting));
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (++nodes_ > options_.max_nodes)
      return fail(ErrorCode::file,
                  "more than " + std::to_string(options_.max_nodes) + " nodes once functions are expanded");
    const std::string label = scope.prefix + node_label(nodes[i], i);
    if (Status done = add_node(scope, nodes[i], label); !done) {
      return fail(std::move(done).error().at("node " + in_quotes(label) + " (" + qualified_op(nodes[i]) + ")"));
    }
  }
  return {};
}

Status Importer::add_node(Scope& scope, const NodeProto& node, const std::string& label) {
  if (const FunctionProto* function = find_function(model_, node)) return call_function(scope, node, *function, label);
  const OpRow* row = find_op(node.domain, node.op_type);
  if (row == nullptr) return fail(unsupported_error({{qualified_op(node), {label}}}, {}));
  const std::int64_t opset = opset_of(*scope.opsets, node.domain);
  if (opset == 0) return fail(ErrorCode::file, "no opset_import for its domain");
  if (opset < row->since) {
    return fail(ErrorCode::unsupported,
                "the definition of opset " + std::to_string(opset) + " is not supported, only those from opset " +
                    std::to_string(row->since) + " on",
                {}, "convert the model to a newer opset (onnx.version_converter)");
  }
  return translate(scope, node, *row, opset, label);
}

Result<std::vector<Operand*>> Importer::operands_of(Scope& scope, const NodeProto& node) {
  std::vector<Operand*> operands;
  for (const std::string_view name : node.inputs) {
    if (name.empty()) {
      operands.push_back(nullptr);
      continue;
    }
    const auto found = scope.names.find(name);
    if (found == scope.names.end())
      return fail(ErrorCode::file, "its input " + in_quotes(name) + " is not defined before it");
    operands.push_back(found->second);
  }
  return operands;
}

// Inside functions an attribute may refer to one of the call, or to the function's default for it.
std::vector<AttributeProto> Importer::resolve_attributes(const Scope& scope, const NodeProto& node) const {
  std::vector<AttributeProto> out;
  for (const AttributeProto& attribute : node.attributes) {
    if (attribute.ref_attr_name.empty() || scope.function == nullptr) {
      out.push_back(attribute);
      continue;
    }
    for (const auto* source : {scope.call, &scope.function->attribute_protos}) {
      const auto found = std::find_if(source->begin(), source->end(),
                                      [&](const AttributeProto& a) { return a.name == attribute.ref_attr_name; });
      if (found == source->end()) continue;
      out.push_back(*found);
      out.back().name = attribute.name;
      break;
    }
  }
  return out;
}

Status Importer::call_function(Scope& scope, const NodeProto& node, const FunctionProto& function,
                               const std::string& label) {
  INTAGLIO_TRY(const auto operands, operands_of(scope, node));
  const auto attributes = resolve_attributes(scope, node);
  Scope inner;
  inner.opsets = function.opset_imports.empty() ? scope.opsets : &function.opset_imports;
  inner.prefix = label + "/";
  inner.call = &attributes;
  inner.function = &function;
  inner.depth = scope.depth + 1;
  for (std::size_t i = 0; i < function.inputs.size() && i < operands.size(); ++i) {
    if (operands[i] != nullptr) INTAGLIO_CHECK(define(inner, function.inputs[i], operands[i]));
  }
  INTAGLIO_CHECK(add_nodes(inner, function.nodes));
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i].empty()) continue;
    const auto found = i < function.outputs.size() ? inner.names.find(function.outputs[i]) : inner.names.end();
    if (found == inner.names.end())
      return fail(ErrorCode::file, "the function does not compute output " + std::to_string(i));
    INTAGLIO_CHECK(define(scope, node.outputs[i], found->second));
  }
  return {};
}

Status Importer::translate(Scope& scope, const NodeProto& node, const OpRow& row, std::int64_t opset,
                           const std::string& label) {
  INTAGLIO_TRY(auto operands, operands_of(scope, node));
  std::vector<AttributeProto> resolved;
  std::span<const AttributeProto> attributes = node.attributes;
  if (scope.function != nullptr) {
    resolved = resolve_attributes(scope, node);
    attributes = resolved;
  }
  builder_.set_origin({label, {}});
  builder_.set_name_hint(node.outputs.empty() ? std::string() : sanitise_symbol(node.outputs.front()));
  NodeContext context(builder_, store_, node, attributes, opset, std::move(operands), label);
  bool folded = false;
  if (row.fold != nullptr) {
    INTAGLIO_TRY(folded, row.fold(context));
  }
  if (!folded) INTAGLIO_CHECK(row.translate(context));
  return bind_results(scope, node, context);
}

Status Importer::bind_results(Scope& scope, const NodeProto& node, NodeContext& context) {
  auto& results = context.results();
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i].empty()) continue;
    if (!results[i])
      return context.unsupported("output " + std::to_string(i) + " " + in_quotes(node.outputs[i]) +
                                 " is not supported");
    if (results[i]->value != nullptr) {
      for (const Dim& dim : results[i]->value->shape()) {
        if (!is_reasonable(dim))
          return context.unsupported("the expression for a dim of its result is too complicated");
      }
    }
    Operand* operand = new_operand();
    *operand = std::move(*results[i]);
    INTAGLIO_CHECK(define(scope, node.outputs[i], operand));
  }
  return {};
}

// ---- facts from guards

bool imply_ranges(const std::vector<ir::DimGuard>& guards, SymbolRanges& ranges) {
  bool changed = false;
  const auto imply = [&](const Dim& symbol_dim, const Dim& other) {
    const auto symbol = symbol_dim.as_symbol();
    if (!symbol || other.terms().size() != 1 || other.terms().front().factors.size() != 1) return;
    const DimAtom& atom = *other.terms().front().factors.front().atom;
    const bool is_min = atom.kind == DimAtom::Kind::min, is_max = atom.kind == DimAtom::Kind::max;
    if ((!is_min && !is_max) || !(other == (is_min ? Dim::min(atom.a, atom.b) : Dim::max(atom.a, atom.b)))) return;
    const auto bound = atom.a == symbol_dim   ? atom.b.constant()
                       : atom.b == symbol_dim ? atom.a.constant()
                                              : std::nullopt;
    if (!bound) return;
    SymbolRange& range = ranges[*symbol];
    if (is_min && *bound < range.max) {
      range.max = *bound;
      changed = true;
    } else if (is_max && *bound > range.min) {
      range.min = *bound;
      changed = true;
    }
  };
  for (const ir::DimGuard& guard : guards) {
    imply(guard.a, guard.b);
    imply(guard.b, guard.a);
  }
  return changed;
}

}  // namespace intaglio::frontend::onnx
