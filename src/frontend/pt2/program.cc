#include "frontend/pt2/program.h"

#include <array>
#include <utility>

namespace intaglio::frontend::pt2 {
namespace {

struct TypeCode {
  std::int64_t code;
  std::optional<DType> dtype;
  std::string_view name;
};
constexpr std::array kTypeCodes{
    TypeCode{1, DType::u8, "u8"},       TypeCode{2, DType::i8, "i8"},        TypeCode{3, DType::i16, "i16"},
    TypeCode{4, DType::i32, "i32"},     TypeCode{5, DType::i64, "i64"},      TypeCode{6, DType::f16, "f16"},
    TypeCode{7, DType::f32, "f32"},     TypeCode{8, DType::f64, "f64"},      TypeCode{9, {}, "complex32"},
    TypeCode{10, {}, "complex64"},      TypeCode{11, {}, "complex128"},      TypeCode{12, DType::boolean, "bool"},
    TypeCode{13, DType::bf16, "bf16"},  TypeCode{28, DType::u16, "u16"},     TypeCode{29, {}, "float8_e4m3fn"},
    TypeCode{30, {}, "float8_e5m2"},    TypeCode{31, {}, "float8_e4m3fnuz"}, TypeCode{32, {}, "float8_e5m2fnuz"},
    TypeCode{33, {}, "float8_e8m0fnu"}, TypeCode{34, DType::u32, "u32"},     TypeCode{35, DType::u64, "u64"},
};

class ProgramParser {
 public:
  explicit ProgramParser(const ImportOptions& options) : options_(options) {}

  Result<Argument> argument(Json json, int depth);
  Status graph(Json json, GraphBody& body, int depth);
  Status signature(Json json, Program& program);

 private:
  Result<std::string_view> name(Json json, std::string_view what);
  Result<Argument> list(Json json, std::string_view key, int depth);
  Result<Argument> scalar_or_union(Json json, std::string_view key, int depth);
  Result<NodeRecord> node(Json json, int depth);
  Result<InputSpec> input_spec(Json json);
  Result<OutputSpec> output_spec(Json json);

  const ImportOptions& options_;
  std::int64_t nodes_ = 0;
};

Result<std::string_view> ProgramParser::name(Json json, std::string_view what) {
  INTAGLIO_TRY(const std::string_view text, string_of(json, what));
  if (text.size() > options_.max_string)
    return fail(ErrorCode::file, std::string(what) + " is longer than the limit of strings");
  return text;
}

// Elements of a list are plain numbers, {"name": ...} or unions of their own, depending on the key.
Result<Argument> ProgramParser::scalar_or_union(Json json, std::string_view key, int depth) {
  Argument value;
  if (json.is_bool()) {
    INTAGLIO_TRY(const bool b, bool_of(json, key));
    value.kind = Argument::Kind::boolean, value.i = b ? 1 : 0;
  } else if (json.is_int64()) {
    INTAGLIO_TRY(value.i, int_of(json, key));
    value.kind = Argument::Kind::integer;
    if (key == "as_floats") value.kind = Argument::Kind::floating, value.f = static_cast<double>(value.i);
  } else if (json.is_double() || (json.is_string() && key == "as_floats")) {
    INTAGLIO_TRY(value.f, float_of(json, key));
    value.kind = Argument::Kind::floating;
  } else if (json.is_string()) {
    INTAGLIO_TRY(value.text, name(json, key));
    value.kind = Argument::Kind::string;
  } else if (json.is_array()) {
    return list(json, key, depth + 1);
  } else if (auto named = find(json, "name"); named && key != "as_graph") {
    INTAGLIO_TRY(value.text, name(*named, key));
    value.kind = Argument::Kind::tensor;
  } else {
    return argument(json, depth + 1);
  }
  return value;
}

Result<Argument> ProgramParser::list(Json json, std::string_view key, int depth) {
  if (depth > options_.max_nesting) return fail(ErrorCode::file, "arguments are nested too deeply");
  INTAGLIO_TRY(const auto array, array_of(json, key));
  Argument value;
  value.kind = Argument::Kind::list;
  for (const Json item : array) {
    INTAGLIO_TRY(Argument element, scalar_or_union(item, key, depth));
    value.items.push_back(std::move(element));
  }
  return value;
}

Result<Argument> ProgramParser::argument(Json json, int depth) {
  if (depth > options_.max_nesting) return fail(ErrorCode::file, "arguments are nested too deeply");
  INTAGLIO_TRY(const auto object, object_of(json, "argument"));
  if (object.size() != 1) return fail(ErrorCode::file, "an argument must have exactly one key");
  const auto entry = *object.begin();
  const std::string_view key = entry.key;
  const Json payload = entry.value;
  Argument value;
  using Kind = Argument::Kind;
  if (key == "as_none") return value;
  if (key == "as_tensor") {
    INTAGLIO_TRY(const Json text, field(payload, "name"));
    INTAGLIO_TRY(value.text, name(text, key));
    value.kind = Kind::tensor;
  } else if (key == "as_optional_tensor" || key == "as_sym_int" || key == "as_sym_float" || key == "as_sym_bool") {
    return argument(payload, depth + 1);  // a union of its own
  } else if (key == "as_name") {
    INTAGLIO_TRY(value.text, name(payload, key));
    value.kind = Kind::sym;
  } else if (key == "as_int") {
    INTAGLIO_TRY(value.i, int_of(payload, key));
    value.kind = Kind::integer;
  } else if (key == "as_float") {
    INTAGLIO_TRY(value.f, float_of(payload, key));
    value.kind = Kind::floating;
  } else if (key == "as_bool") {
    INTAGLIO_TRY(const bool b, bool_of(payload, key));
    value.kind = Kind::boolean, value.i = b ? 1 : 0;
  } else if (key == "as_string") {
    INTAGLIO_TRY(value.text, name(payload, key));
    value.kind = Kind::string;
  } else if (key == "as_scalar_type") {
    INTAGLIO_TRY(value.i, int_of(payload, key));
    value.kind = Kind::dtype;
  } else if (key == "as_memory_format" || key == "as_layout" || key == "as_device") {
    value.kind = Kind::ignored;
  } else if (key == "as_graph") {
    auto body = std::make_shared<GraphBody>();
    INTAGLIO_TRY(const Json graph_json, field(payload, "graph"));
    INTAGLIO_CHECK(graph(graph_json, *body, depth + 1));
    value.kind = Kind::graph;
    value.graph = std::move(body);
  } else if (payload.is_array()) {
    return list(payload, key, depth + 1);
  } else {
    value.kind = Kind::other;
    value.text = key;
  }
  return value;
}

Result<SizeExpr> size_expr(Json json) {
  SizeExpr size;
  if (auto value = find(json, "as_int")) {
    INTAGLIO_TRY(size.value, int_of(*value, "as_int"));
    return size;
  }
  INTAGLIO_TRY(const Json expr, field(json, "as_expr"));
  INTAGLIO_TRY(const Json text, field(expr, "expr_str"));
  INTAGLIO_TRY(size.expr, string_of(text, "expr_str"));
  if (size.expr.empty()) return fail(ErrorCode::file, "an empty size expression");
  return size;
}

Result<std::vector<SizeExpr>> size_list(Json json, std::string_view what) {
  INTAGLIO_TRY(const auto array, array_of(json, what));
  std::vector<SizeExpr> sizes;
  for (const Json item : array) {
    INTAGLIO_TRY(SizeExpr size, size_expr(item));
    sizes.push_back(size);
  }
  if (sizes.size() > static_cast<std::size_t>(kMaxRank))
    return fail(ErrorCode::unsupported, "a tensor of rank " + std::to_string(sizes.size()));
  return sizes;
}

Result<TensorMeta> tensor_meta(Json json) {
  TensorMeta meta;
  INTAGLIO_TRY(const Json dtype, field(json, "dtype"));
  INTAGLIO_TRY(meta.dtype, int_of(dtype, "dtype"));
  INTAGLIO_TRY(const Json sizes, field(json, "sizes"));
  INTAGLIO_TRY(meta.sizes, size_list(sizes, "sizes"));
  if (auto strides = find(json, "strides")) {
    INTAGLIO_TRY(meta.strides, size_list(*strides, "strides"));
  }
  if (auto offset = find(json, "storage_offset")) {
    INTAGLIO_TRY(meta.offset, size_expr(*offset));
  }
  if (auto layout = find(json, "layout")) {
    INTAGLIO_TRY(meta.layout, int_of(*layout, "layout"));
  }
  return meta;
}

Result<NodeRecord> ProgramParser::node(Json json, int depth) {
  if (++nodes_ > options_.max_nodes) {
    return fail(ErrorCode::file, "the model has more than " + std::to_string(options_.max_nodes) + " nodes");
  }
  NodeRecord node;
  INTAGLIO_TRY(const Json target, field(json, "target"));
  INTAGLIO_TRY(node.target, name(target, "target"));
  if (auto text = find(json, "name")) {
    INTAGLIO_TRY(node.name, name(*text, "name"));
  }
  INTAGLIO_TRY(const Json inputs, field(json, "inputs"));
  INTAGLIO_TRY(const auto input_array, array_of(inputs, "inputs"));
  for (const Json item : input_array) {
    NamedArgument input;
    if (auto text = find(item, "name")) {
      INTAGLIO_TRY(input.name, name(*text, "input name"));
    }
    INTAGLIO_TRY(const Json arg, field(item, "arg"));
    INTAGLIO_TRY(input.value, argument(arg, depth + 1));
    node.inputs.push_back(std::move(input));
  }
  INTAGLIO_TRY(const Json outputs, field(json, "outputs"));
  INTAGLIO_TRY(const auto output_array, array_of(outputs, "outputs"));
  for (const Json item : output_array) {
    INTAGLIO_TRY(Argument output, argument(item, depth + 1));
    node.outputs.push_back(std::move(output));
  }
  if (auto metadata = find(json, "metadata")) {
    if (auto text = find(*metadata, "stack_trace")) node.stack_trace = string_of(*text, "stack_trace").value_or("");
    if (auto text = find(*metadata, "nn_module_stack"))
      node.module_stack = string_of(*text, "nn_module_stack").value_or("");
  }
  return node;
}

Status ProgramParser::graph(Json json, GraphBody& body, int depth) {
  if (depth > options_.max_nesting) return fail(ErrorCode::file, "graphs are nested too deeply");
  INTAGLIO_TRY(const Json inputs, field(json, "inputs"));
  INTAGLIO_TRY(Argument input_list, list(inputs, "inputs", depth));
  body.inputs = std::move(input_list.items);
  INTAGLIO_TRY(const Json outputs, field(json, "outputs"));
  INTAGLIO_TRY(Argument output_list, list(outputs, "outputs", depth));
  body.outputs = std::move(output_list.items);
  INTAGLIO_TRY(const Json nodes, field(json, "nodes"));
  INTAGLIO_TRY(const auto node_array, array_of(nodes, "nodes"));
  for (const Json item : node_array) {
    INTAGLIO_TRY(NodeRecord record, node(item, depth));
    body.nodes.push_back(std::move(record));
  }
  if (auto tensors = find(json, "tensor_values")) {
    INTAGLIO_TRY(const auto object, object_of(*tensors, "tensor_values"));
    for (const auto entry : object) {
      auto meta = tensor_meta(entry.value);
      if (!meta) return fail(std::move(meta).error().within("tensor '" + std::string(entry.key) + "'"));
      body.tensors.emplace(entry.key, std::move(*meta));
    }
  }
  return {};
}

Result<InputSpec> ProgramParser::input_spec(Json json) {
  using Kind = InputSpec::Kind;
  InputSpec spec;
  INTAGLIO_TRY(const auto object, object_of(json, "input_specs"));
  if (object.size() != 1) return fail(ErrorCode::file, "an input spec must have exactly one key");
  const auto entry = *object.begin();
  const std::string_view key = entry.key;
  const Json body = entry.value;
  struct Row {
    std::string_view key, target;
    Kind kind;
  };
  constexpr std::array rows{Row{"parameter", "parameter_name", Kind::parameter},
                            Row{"buffer", "buffer_name", Kind::buffer},
                            Row{"tensor_constant", "tensor_constant_name", Kind::tensor_constant},
                            Row{"user_input", "", Kind::user},
                            Row{"constant_input", "", Kind::constant},
                            Row{"token", "", Kind::token},
                            Row{"custom_obj", "", Kind::custom_object}};
  const Row* row = nullptr;
  for (const Row& candidate : rows) {
    if (candidate.key == key) row = &candidate;
  }
  if (row == nullptr)
    return fail(ErrorCode::unsupported, "graph inputs of kind '" + std::string(key) + "' are not supported");
  spec.kind = row->kind;
  if (spec.kind == Kind::user) {
    INTAGLIO_TRY(const Json arg, field(body, "arg"));
    INTAGLIO_TRY(spec.arg, argument(arg, 1));
    spec.name = spec.arg.text;
    return spec;
  }
  if (spec.kind == Kind::constant) {
    INTAGLIO_TRY(const Json text, field(body, "name"));
    INTAGLIO_TRY(spec.name, name(text, "name"));
    if (auto value = find(body, "value")) {
      INTAGLIO_TRY(spec.arg, argument(*value, 1));
    }
    return spec;
  }
  if (spec.kind == Kind::token || spec.kind == Kind::custom_object) return spec;
  INTAGLIO_TRY(const Json arg, field(body, "arg"));
  INTAGLIO_TRY(const Json text, field(arg, "name"));
  INTAGLIO_TRY(spec.name, name(text, "name"));
  INTAGLIO_TRY(const Json target, field(body, row->target));
  INTAGLIO_TRY(spec.target, name(target, row->target));
  if (auto persistent = find(body, "persistent")) {
    INTAGLIO_TRY(spec.persistent, bool_of(*persistent, "persistent"));
  }
  return spec;
}

Result<OutputSpec> ProgramParser::output_spec(Json json) {
  OutputSpec spec;
  INTAGLIO_TRY(const auto object, object_of(json, "output_specs"));
  if (object.size() != 1) return fail(ErrorCode::file, "an output spec must have exactly one key");
  const auto entry = *object.begin();
  spec.kind = entry.key;
  const Json body = entry.value;
  if (spec.kind == "user_output") {
    INTAGLIO_TRY(const Json arg, field(body, "arg"));
    INTAGLIO_TRY(spec.arg, argument(arg, 1));
    return spec;
  }
  for (const std::string_view key : {"buffer_name", "user_input_name", "parameter_name"}) {
    if (auto target = find(body, key)) {
      INTAGLIO_TRY(spec.target, name(*target, key));
    }
  }
  return spec;
}

Status ProgramParser::signature(Json json, Program& program) {
  INTAGLIO_TRY(const Json inputs, field(json, "input_specs"));
  INTAGLIO_TRY(const auto input_array, array_of(inputs, "input_specs"));
  for (const Json item : input_array) {
    INTAGLIO_TRY(InputSpec spec, input_spec(item));
    program.inputs.push_back(std::move(spec));
  }
  INTAGLIO_TRY(const Json outputs, field(json, "output_specs"));
  INTAGLIO_TRY(const auto output_array, array_of(outputs, "output_specs"));
  for (const Json item : output_array) {
    INTAGLIO_TRY(OutputSpec spec, output_spec(item));
    program.outputs.push_back(std::move(spec));
  }
  return {};
}

Status read_version(Json root, Program& program) {
  INTAGLIO_TRY(const Json version, field(root, "schema_version"));
  INTAGLIO_TRY(const Json major, field(version, "major"));
  INTAGLIO_TRY(program.schema_major, int_of(major, "schema_version.major"));
  if (auto minor = find(version, "minor")) {
    INTAGLIO_TRY(program.schema_minor, int_of(*minor, "schema_version.minor"));
  }
  if (auto torch = find(root, "torch_version")) program.torch_version = string_of(*torch, "torch_version").value_or("");
  if (program.schema_major != 8) {
    return fail(
        ErrorCode::unsupported,
        "schema version " + std::to_string(program.schema_major) + "." + std::to_string(program.schema_minor) +
            " of the archive is not read (version 8 is)",
        {}, "load the model with the PyTorch that wrote it, and save it again with PyTorch 2.13 (torch.export.save)");
  }
  return {};
}

Status read_ranges(Json root, Program& program) {
  const auto constraints = find(root, "range_constraints");
  if (!constraints) return {};
  INTAGLIO_TRY(const auto object, object_of(*constraints, "range_constraints"));
  for (const auto entry : object) {
    SymbolRange range;
    // Ends beyond int64 and infinities leave the default.
    if (auto low = find(entry.value, "min_val")) range.min = int_of(*low, "min_val").value_or(0);
    if (auto high = find(entry.value, "max_val")) range.max = int_of(*high, "max_val").value_or(INT64_MAX);
    range.min = std::max<std::int64_t>(range.min, 0);
    if (range.max < range.min)
      return fail(ErrorCode::file, "range_constraints: the range of '" + std::string(entry.key) + "' is empty");
    program.ranges.emplace(entry.key, range);
  }
  return {};
}

// The pytree of the outputs, from the outermost module's call signature.
std::string_view find_out_spec(Json graph_module) {
  const auto calls = find(graph_module, "module_call_graph");
  simdjson::dom::array array;
  if (!calls || calls->get(array) != simdjson::SUCCESS) return {};
  for (const Json call : array) {
    const auto fqn = find(call, "fqn");
    if (!fqn || !string_of(*fqn, "fqn").value_or("?").empty()) continue;
    const auto signature = find(call, "signature");
    const auto spec = signature ? find(*signature, "out_spec") : std::nullopt;
    return spec ? string_of(*spec, "out_spec").value_or("") : "";
  }
  return {};
}

}  // namespace

Result<Argument> parse_argument(Json json, const ImportOptions& options, int depth) {
  return ProgramParser(options).argument(json, depth);
}

Result<Program> parse_program(std::span<const std::byte> json, const ImportOptions& options) {
  INTAGLIO_TRY(JsonDocument document, JsonDocument::parse(json, "the program"));
  Program program;
  program.document = std::make_shared<const JsonDocument>(std::move(document));
  const Json root = program.document->root();
  INTAGLIO_CHECK(read_version(root, program));
  INTAGLIO_CHECK(read_ranges(root, program));
  INTAGLIO_TRY(const Json module, field(root, "graph_module"));
  INTAGLIO_TRY(const Json graph, field(module, "graph"));
  INTAGLIO_TRY(const Json signature, field(module, "signature"));
  ProgramParser parser(options);
  INTAGLIO_CHECK(parser.graph(graph, program.graph, 0));
  INTAGLIO_CHECK(parser.signature(signature, program));
  program.out_spec = find_out_spec(module);
  return program;
}

Result<PayloadConfig> parse_config(std::span<const std::byte> json, std::string_view what) {
  INTAGLIO_TRY(JsonDocument document, JsonDocument::parse(json, what));
  PayloadConfig config;
  config.document = std::make_shared<const JsonDocument>(std::move(document));
  INTAGLIO_TRY(const Json entries, field(config.document->root(), "config"));
  INTAGLIO_TRY(const auto object, object_of(entries, "config"));
  for (const auto entry : object) {
    PayloadMeta meta;
    INTAGLIO_TRY(const Json path, field(entry.value, "path_name"));
    INTAGLIO_TRY(meta.path, string_of(path, "path_name"));
    if (auto pickled = find(entry.value, "use_pickle")) {
      INTAGLIO_TRY(meta.pickled, bool_of(*pickled, "use_pickle"));
    }
    if (auto tensor = find(entry.value, "tensor_meta")) {
      auto read = tensor_meta(*tensor);
      if (!read) return fail(std::move(read).error().within("'" + std::string(entry.key) + "'"));
      meta.tensor = std::move(*read);
    }
    config.entries.emplace(entry.key, std::move(meta));
  }
  return config;
}

std::optional<DType> dtype_of_code(std::int64_t code) {
  for (const TypeCode& row : kTypeCodes) {
    if (row.code == code) return row.dtype;
  }
  return std::nullopt;
}

std::string dtype_name(std::int64_t code) {
  for (const TypeCode& row : kTypeCodes) {
    if (row.code == code) return std::string(row.name);
  }
  return "type " + std::to_string(code);
}

}  // namespace intaglio::frontend::pt2
