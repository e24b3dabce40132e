#include "frontend/pt2/translate.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "frontend/pt2/call.h"
#include "frontend/pt2/op_table.h"
#include "frontend/pt2/pytree.h"
#include "frontend/pt2/srepr.h"

namespace intaglio::frontend::pt2 {
namespace {

constexpr std::string_view kDecompose =
    "call ep.run_decompositions({}) before torch.export.save: it replaces in-place operators";
// Its body runs as it stands; what it switches (recording of gradients) does not exist here.
constexpr std::string_view kInlined = "higher_order.wrap_with_set_grad_enabled";

bool inlined(const NodeRecord& node) {
  return short_target(node.target) == kInlined;
}

const GraphBody* body_of(const NodeRecord& node) {
  for (const NamedArgument& input : node.inputs) {
    if (input.value.kind == Argument::Kind::graph) return input.value.graph.get();
  }
  return nullptr;
}

void collect_unsupported(const GraphBody& graph, std::map<std::string, std::vector<std::string>>& found,
                         std::vector<std::string>& order) {
  for (const NodeRecord& node : graph.nodes) {
    if (inlined(node)) {
      if (const GraphBody* body = body_of(node)) collect_unsupported(*body, found, order);
    } else if (find_op(node.target).row == nullptr) {
      const std::string op(short_target(node.target));
      auto& nodes = found[op];
      if (nodes.empty()) order.push_back(op);
      nodes.emplace_back(node.name.empty() ? node.target : node.name);
    }
  }
}

class ProgramTranslator {
 public:
  ProgramTranslator(const Archive& archive, const ImportOptions& options, ir::Graph& graph)
      : archive_(archive), options_(options), program_(archive.program()), b_(graph) {}

  Status run() {
    Scope scope;
    scope.read_uses(program_.graph);
    INTAGLIO_CHECK(fix_symbols());
    for (const InputSpec& spec : program_.inputs) {
      INTAGLIO_CHECK(input(scope, spec));
    }
    INTAGLIO_CHECK(nodes(scope, program_.graph));
    return outputs(scope);
  }

 private:
  Status fix_symbols();
  Result<ir::Type> type_of(const TensorMeta& meta);
  Status input(Scope& scope, const InputSpec& spec);
  Status user_input(Scope& scope, const InputSpec& spec);
  Status nodes(Scope& scope, const GraphBody& body);
  Status node(Scope& scope, const GraphBody& body, const NodeRecord& record, int index);
  Status inline_body(Scope& scope, const NodeRecord& record);
  Status change_in_place(Scope& scope, const NodeRecord& record, int index, const std::vector<Item>& items);
  Status bind_results(Scope& scope, const GraphBody& body, const NodeRecord& record, Alias alias,
                      const std::vector<Item>& items);
  Status check_type(const GraphBody& body, std::string_view name, const ir::Value* value) const;
  Status outputs(Scope& scope);

  Binding weight(const InputSpec& spec);
  int fresh() { return ++last_storage_; }

  const Archive& archive_;
  const ImportOptions& options_;
  const Program& program_;
  Builder b_;
  std::map<std::string, Dim, std::less<>> fixed_;  // symbols that fixed inputs decide
  int last_storage_ = 0;
};

// Shapes of inputs that options fix give values to the symbols in their declared shapes.
Status ProgramTranslator::fix_symbols() {
  for (const auto& [name, tensor] : options_.fixed_inputs) {
    const auto is_it = [&, &wanted = name](const InputSpec& spec) {
      return spec.kind == InputSpec::Kind::user && spec.name == wanted;
    };
    const auto meta = program_.graph.tensors.find(name);
    if (std::none_of(program_.inputs.begin(), program_.inputs.end(), is_it) || meta == program_.graph.tensors.end()) {
      return fail(ErrorCode::usage, "the input '" + name + "' that is to be fixed does not exist");
    }
    const std::vector<SizeExpr>& sizes = meta->second.sizes;
    if (dtype_of_code(meta->second.dtype) != tensor.dtype || tensor.shape.size() != sizes.size()) {
      return fail(ErrorCode::usage, "input '" + name + "' is fixed to a tensor of another dtype or rank");
    }
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      INTAGLIO_TRY(const Dim dim, dim_of(sizes[i]));
      if (const auto symbol = dim.as_symbol()) fixed_.emplace(*symbol, Dim(tensor.shape[i]));
      if (dim.constant().value_or(tensor.shape[i]) != tensor.shape[i]) {
        return fail(ErrorCode::usage, "input '" + name + "' is fixed to a tensor of another shape");
      }
    }
  }
  return {};
}

Result<ir::Type> ProgramTranslator::type_of(const TensorMeta& meta) {
  const auto dtype = dtype_of_code(meta.dtype);
  if (!dtype) return fail(ErrorCode::unsupported, "dtype " + dtype_name(meta.dtype) + " is not supported");
  ir::Type type{.dtype = *dtype, .shape = {}};
  for (const SizeExpr& size : meta.sizes) {
    INTAGLIO_TRY(Dim dim, dim_of(size));
    dim = dim.substitute(fixed_);
    std::vector<std::string> symbols;
    dim.collect_symbols(symbols);
    for (const std::string& symbol : symbols) {
      const auto range = program_.ranges.find(symbol);
      b_.declare_symbol(symbol, range == program_.ranges.end() ? SymbolRange{} : range->second);
    }
    if (dim.bounds(b_.ranges()).max < 0) return fail(ErrorCode::file, "a negative size");
    type.shape.push_back(std::move(dim));
  }
  return type;
}

Binding ProgramTranslator::weight(const InputSpec& spec) {
  Binding binding{.item = {}, .load = {}, .storage = fresh(), .identity = last_storage_, .pinned = true};
  binding.load = [this, &spec]() -> MaybeValue {
    INTAGLIO_TRY(ir::Tensor tensor, archive_.tensor(spec));
    return b_.constant(std::move(tensor), spec.target);
  };
  return binding;
}

Status ProgramTranslator::user_input(Scope& scope, const InputSpec& spec) {
  using Kind = Argument::Kind;
  if (spec.arg.kind == Kind::sym) {
    return fail(ErrorCode::unsupported,
                "input '" + std::string(spec.name) + "' is a number, only tensors can be inputs", {},
                "export the model with the number as a constant, or pass it as a tensor");
  }
  if (spec.arg.kind != Kind::tensor) return {};  // None and constants that the graph has no name for
  Binding binding{.item = {}, .load = {}, .storage = fresh(), .identity = last_storage_, .pinned = true};
  const std::string name(spec.name);
  if (const auto fixed = options_.fixed_inputs.find(name); fixed != options_.fixed_inputs.end()) {
    INTAGLIO_TRY(binding.item.value, b_.constant(fixed->second, name));
    return scope.bind(spec.name, std::move(binding));
  }
  const auto meta = program_.graph.tensors.find(spec.name);
  if (meta == program_.graph.tensors.end()) return fail(ErrorCode::file, "input '" + name + "' has no description");
  auto type = type_of(meta->second);
  if (!type) return fail(std::move(type).error().within("input '" + name + "'"));
  if (b_.graph().find_input(name) != nullptr) return fail(ErrorCode::file, "two inputs have the name '" + name + "'");
  binding.item.value = b_.graph().add_input(name, std::move(*type));
  return scope.bind(spec.name, std::move(binding));
}

Status ProgramTranslator::input(Scope& scope, const InputSpec& spec) {
  using Kind = InputSpec::Kind;
  switch (spec.kind) {
    case Kind::user:
      return user_input(scope, spec);
    case Kind::parameter:
    case Kind::buffer:
    case Kind::tensor_constant:
      return scope.bind(spec.name, weight(spec));
    case Kind::constant: {
      if (spec.name.empty()) return {};
      Binding binding{.item = {}, .load = {}, .storage = fresh(), .identity = last_storage_, .pinned = true};
      if (spec.arg.kind == Argument::Kind::integer) binding.item.scalar = Scalar::of(spec.arg.i);
      if (spec.arg.kind == Argument::Kind::floating) binding.item.scalar = Scalar::of_float(spec.arg.f);
      if (spec.arg.kind == Argument::Kind::boolean) binding.item.scalar = Scalar::of_bool(spec.arg.i != 0);
      return scope.bind(spec.name, std::move(binding));
    }
    case Kind::token:
      return {};
    case Kind::custom_object:
      break;
  }
  return fail(ErrorCode::unsupported, "programs with custom objects (torchbind, pickles) are not supported");
}

Status ProgramTranslator::nodes(Scope& scope, const GraphBody& body) {
  int index = 0;
  for (const NodeRecord& record : body.nodes) {
    auto done = node(scope, body, record, index++);
    if (done) continue;
    std::string where = "node '" + std::string(record.name) + "' (" + std::string(short_target(record.target));
    if (const std::string source = source_of(record); !source.empty()) where += ", " + source;
    return fail(std::move(done).error().within(where + ")"));
  }
  return {};
}

Status ProgramTranslator::node(Scope& scope, const GraphBody& body, const NodeRecord& record, int index) {
  b_.set_origin({.name = std::string(record.name), .source = source_of(record)});
  b_.set_name_hint(std::string(record.name));
  if (inlined(record)) return inline_body(scope, record);
  const OpMatch op = find_op(record.target);
  if (op.row == nullptr) return fail(ErrorCode::unsupported, "the op is not supported");
  Call call(b_, scope, record);
  INTAGLIO_CHECK(op.row->translate(call));
  if (op.in_place) return change_in_place(scope, record, index, call.results());
  return bind_results(scope, body, record, op.row->alias, call.results());
}

Status ProgramTranslator::inline_body(Scope& scope, const NodeRecord& record) {
  const GraphBody* body = body_of(record);
  if (body == nullptr) return fail(ErrorCode::file, "the op has no body");
  Scope inner;
  inner.read_uses(*body);
  std::size_t first = 0;
  while (record.inputs[first].value.kind != Argument::Kind::graph) ++first;  // body_of found it
  if (record.inputs.size() - first - 1 != body->inputs.size())
    return fail(ErrorCode::file, "the op's body wants another number of arguments");
  for (std::size_t i = 0; i < body->inputs.size(); ++i) {
    const Argument& outer = record.inputs[first + 1 + i].value;
    if (outer.kind != Argument::Kind::tensor && outer.kind != Argument::Kind::sym)
      return fail(ErrorCode::unsupported, "an argument of the op's body is neither a tensor nor a size");
    Binding binding{.item = {}, .load = {}, .storage = fresh(), .identity = last_storage_, .pinned = true};
    INTAGLIO_TRY(binding.item, scope.item(outer.text));
    INTAGLIO_CHECK(inner.bind(body->inputs[i].text, std::move(binding)));
  }
  INTAGLIO_CHECK(nodes(inner, *body));
  const auto names = result_names(record);
  if (names.size() != body->outputs.size())
    return fail(ErrorCode::file, "the op's body gives another number of results");
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) continue;
    // Results may be arguments of the body passed through: nothing may change them in place.
    Binding binding{.item = {}, .load = {}, .storage = fresh(), .identity = last_storage_, .pinned = true};
    INTAGLIO_TRY(binding.item, inner.item(body->outputs[i].text));
    INTAGLIO_CHECK(scope.bind(names[i], std::move(binding)));
  }
  return {};
}

// The name that a changed tensor had stands for the new value from here on. Other names that may share its storage must
// not be read any more: their values would have to change too.
Status ProgramTranslator::change_in_place(Scope& scope, const NodeRecord& record, int index,
                                          const std::vector<Item>& items) {
  const auto names = result_names(record);
  if (items.size() != 1 || items[0].value == nullptr || record.inputs.empty() ||
      record.inputs[0].value.kind != Argument::Kind::tensor || names.size() > 1) {
    return fail(ErrorCode::unsupported, "this in-place operator is not supported", {}, std::string(kDecompose));
  }
  Binding* changed = scope.find(record.inputs[0].value.text);
  if (changed == nullptr || changed->item.value == nullptr)
    return fail(ErrorCode::file, "an in-place operator on what is no tensor");
  if (changed->pinned)
    return fail(ErrorCode::unsupported, "the program changes an input or a weight in place", {},
                std::string(kDecompose));
  const ir::Value* before = changed->item.value;
  if (items[0].value->shape() != before->shape())
    return fail(ErrorCode::unsupported, "an in-place operator changes the shape of its tensor", {},
                std::string(kDecompose));
  INTAGLIO_TRY(ir::Value * after, b_.cast(items[0].value, before->dtype()));
  const int storage = changed->storage, identity = changed->identity;
  for (const std::string_view name : scope.live_names(storage, index)) {
    Binding* other = scope.find(name);
    if (other->identity == identity) {
      other->item.value = after;
    } else {
      return fail(ErrorCode::unsupported,
                  "an in-place operator changes a tensor while its view '" + std::string(name) + "' is still in use",
                  {}, std::string(kDecompose));
    }
  }
  if (names.empty() || names[0].empty()) return {};
  Binding binding{
      .item = {.value = after, .scalar = {}}, .load = {}, .storage = storage, .identity = identity, .pinned = false};
  return scope.bind(names[0], std::move(binding));
}

// The file says which type every value has: a difference means that we misread the op, which must never pass silently.
Status ProgramTranslator::check_type(const GraphBody& body, std::string_view name, const ir::Value* value) const {
  const auto meta = body.tensors.find(name);
  if (meta == body.tensors.end()) return {};
  bool same = dtype_of_code(meta->second.dtype) == value->dtype() && meta->second.sizes.size() == value->shape().size();
  for (std::size_t i = 0; same && i < meta->second.sizes.size(); ++i) {
    const SizeExpr& size = meta->second.sizes[i];
    const auto ours = value->shape()[i].constant();
    if (size.expr.empty() && ours && *ours != size.value) same = false;
  }
  if (same) return {};
  std::string declared = dtype_name(meta->second.dtype) + "[";
  for (const SizeExpr& size : meta->second.sizes) {
    if (declared.back() != '[') declared += ", ";
    declared += size.expr.empty() ? std::to_string(size.value) : std::string("?");
  }
  return fail(ErrorCode::file, "the archive declares '" + std::string(name) + "' as " + declared + "], the op gives " +
                                   to_string(value->type()));
}

Status ProgramTranslator::bind_results(Scope& scope, const GraphBody& body, const NodeRecord& record, Alias alias,
                                       const std::vector<Item>& items) {
  const auto names = result_names(record);
  if (names.size() > items.size())
    return fail(ErrorCode::unsupported, "the op has " + std::to_string(names.size()) + " results, " +
                                            std::to_string(items.size()) + " are supported");
  const Binding* base = nullptr;
  for (const NamedArgument& input : record.inputs) {
    if (base == nullptr && alias != Alias::fresh && input.value.kind == Argument::Kind::tensor)
      base = scope.find(input.value.text);
  }
  const int storage = base == nullptr ? fresh() : base->storage;
  const int identity = alias == Alias::same && base != nullptr ? base->identity : fresh();
  const bool pinned = base != nullptr && base->pinned;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) continue;
    if (items[i].value != nullptr) {
      INTAGLIO_CHECK(check_type(body, names[i], items[i].value));
    }
    INTAGLIO_CHECK(scope.bind(
        names[i], {.item = items[i], .load = {}, .storage = storage, .identity = identity, .pinned = pinned}));
  }
  return {};
}

Status ProgramTranslator::outputs(Scope& scope) {
  b_.set_origin({.name = "output", .source = {}});
  b_.set_name_hint("output");
  std::size_t user_outputs = 0;
  for (const OutputSpec& spec : program_.outputs) {
    if (spec.kind != "user_output") {
      return fail(
          ErrorCode::unsupported,
          "the program changes its state ('" + std::string(spec.kind) + "' of '" + std::string(spec.target) + "')", {},
          "export a model that returns what it changes instead");
    }
    ++user_outputs;
  }
  const auto names = output_names(program_.out_spec, user_outputs);
  for (std::size_t i = 0; i < user_outputs; ++i) {
    const Argument& arg = program_.outputs[i].arg;
    MaybeValue value = nullptr;
    if (arg.kind == Argument::Kind::tensor || arg.kind == Argument::Kind::sym) {
      INTAGLIO_TRY(const Item item, scope.item(arg.text));
      if (item.value == nullptr && !item.scalar)
        return fail(ErrorCode::unsupported, "output '" + names[i] + "' is an additional result that is not supported");
      value = item.value;
      if (item.scalar) {
        if (item.scalar->kind != Scalar::Kind::integer)
          return fail(ErrorCode::unsupported, "output '" + names[i] + "' is a number that is no integer");
        value = b_.dim_scalar(item.scalar->i);
      }
    } else if (arg.kind == Argument::Kind::integer) {
      value = b_.dim_scalar(Dim(arg.i));
    } else {
      continue;  // None and the like
    }
    if (!value) return fail(std::move(value).error().within("output '" + names[i] + "'"));
    b_.graph().add_output(names[i], *value);
  }
  return {};
}

}  // namespace

std::vector<UnsupportedOp> unsupported_ops(const Program& program) {
  std::map<std::string, std::vector<std::string>> found;
  std::vector<std::string> order;
  collect_unsupported(program.graph, found, order);
  std::vector<UnsupportedOp> ops;
  for (const std::string& op : order) ops.push_back({.op = op, .nodes = std::move(found[op])});
  return ops;
}

Status translate(const Archive& archive, const ImportOptions& options, ir::Graph& graph) {
  return ProgramTranslator(archive, options, graph).run();
}

std::string source_of(const NodeRecord& node) {
  std::string source;
  // 'File "/path/modeling_bert.py", line 343, in forward', the last of which is the innermost.
  constexpr std::string_view file = "File \"", line = "\", line ";
  if (const std::size_t at = node.stack_trace.rfind(file); at != node.stack_trace.npos) {
    const std::string_view rest = node.stack_trace.substr(at + file.size());
    const std::size_t end = rest.find(line);
    if (end != rest.npos) {
      const std::string_view path = rest.substr(0, end);
      const std::string_view number = rest.substr(end + line.size());
      source = std::string(path.substr(path.rfind('/') + 1)) + ":" +
               std::string(number.substr(0, number.find_first_not_of("0123456789")));
    }
  }
  // "key,path,type;key,path,type": the last path.
  std::string_view module = node.module_stack.substr(node.module_stack.rfind(';') + 1);
  if (const std::size_t comma = module.find(','); comma != module.npos) {
    module.remove_prefix(comma + 1);
    module = module.substr(0, module.find(','));
    if (!module.empty()) source += (source.empty() ? "" : " ") + std::string(module);
  }
  return source;
}

Result<Dim> dim_of(const SizeExpr& size) {
  if (size.expr.empty()) return Dim(size.value);
  return parse_srepr(size.expr, [](std::string_view name) { return Dim::symbol(sanitise_symbol(name)); });
}

}  // namespace intaglio::frontend::pt2
