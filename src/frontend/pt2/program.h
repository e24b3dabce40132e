// models/<name>.json of an archive as plain structs: what torch's schema calls ExportedProgram. Strings point into the
// JSON document, which the Program keeps alive. Nothing is interpreted here; see translate.h.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/dim.h"
#include "base/dtype.h"
#include "base/error.h"
#include "frontend/frontend.h"
#include "frontend/pt2/json.h"

namespace intaglio::frontend::pt2 {

struct GraphBody;

// torch's one-key union "Argument". Lists hold their elements in `items`.
struct Argument {
  enum class Kind : std::uint8_t {
    none,
    tensor,    // text: the value's name
    sym,       // text: the name of a symbolic int, float or bool
    integer,   // i
    floating,  // f
    boolean,   // i
    string,    // text
    dtype,     // i: torch's serialised ScalarType
    list,      // items
    graph,     // graph
    ignored,   // memory formats, layouts, devices: say nothing about values
    other,     // text: the key of a union member that we do not read
  };
  Kind kind = Kind::none;
  std::string_view text;
  std::int64_t i = 0;
  double f = 0;
  std::vector<Argument> items;
  std::shared_ptr<const GraphBody> graph;
};

struct NamedArgument {
  std::string_view name;  // of the op's schema; may be empty for Python functions
  Argument value;
};

struct NodeRecord {
  std::string_view target;  // "torch.ops.aten.add.Tensor"
  std::string_view name;
  std::vector<NamedArgument> inputs;
  std::vector<Argument> outputs;
  std::string_view stack_trace;   // Python's traceback text; may be empty
  std::string_view module_stack;  // "key,path,type;..." outermost first; may be empty
};

// An int, or sympy's srepr of an expression.
struct SizeExpr {
  std::int64_t value = 0;
  std::string_view expr;  // empty: `value` counts
};

struct TensorMeta {
  std::int64_t dtype = 0;  // torch's serialised code, see dtype_of_code
  std::vector<SizeExpr> sizes;
  std::vector<SizeExpr> strides;
  SizeExpr offset;
  std::int64_t layout = 7;
};

struct GraphBody {
  std::vector<Argument> inputs, outputs;
  std::vector<NodeRecord> nodes;
  std::unordered_map<std::string_view, TensorMeta> tensors;
};

// One input of the outermost graph.
struct InputSpec {
  enum class Kind : std::uint8_t { parameter, buffer, tensor_constant, user, constant, token, custom_object };
  Kind kind = Kind::user;
  Argument arg;             // what the graph calls it; for `constant` the value itself
  std::string_view name;    // the name in the graph
  std::string_view target;  // parameter, buffer or constant name in the configs
  bool persistent = true;   // buffer only
};

struct OutputSpec {
  std::string_view kind;  // "user_output", "buffer_mutation", ...
  Argument arg;
  std::string_view target;  // what is mutated, if anything
};

struct Program {
  std::shared_ptr<const JsonDocument> document;
  std::int64_t schema_major = 0, schema_minor = 0;
  std::string_view torch_version;
  GraphBody graph;
  std::vector<InputSpec> inputs;
  std::vector<OutputSpec> outputs;
  std::string_view out_spec;  // the pytree of outputs, JSON text; may be empty
  std::map<std::string, SymbolRange, std::less<>> ranges;
};

// One row of a weights or constants config.
struct PayloadMeta {
  std::string_view path;
  bool pickled = false;
  TensorMeta tensor;
};
struct PayloadConfig {
  std::shared_ptr<const JsonDocument> document;
  std::unordered_map<std::string_view, PayloadMeta> entries;
};

// Errors: file (not JSON, fields of another kind, limits), unsupported (another major version of the schema).
Result<Program> parse_program(std::span<const std::byte> json, const ImportOptions& options);
Result<PayloadConfig> parse_config(std::span<const std::byte> json, std::string_view what);
// One argument on its own, for tests.
Result<Argument> parse_argument(Json json, const ImportOptions& options, int depth = 0);

// nullopt: complex, float8 and others that have no DType.
std::optional<DType> dtype_of_code(std::int64_t code);
// "f32", or torch's name of a type that we do not have ("complex64", "float8_e4m3fn", "type 99").
std::string dtype_name(std::int64_t code);

}  // namespace intaglio::frontend::pt2
