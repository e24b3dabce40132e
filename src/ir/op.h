// The op table: every operation of the IR, its operands, attributes and shape function. One row in ops.inc each.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dim.h"
#include "base/dtype.h"
#include "base/error.h"
#include "ir/attr.h"

namespace intaglio::ir {

enum class Op : std::uint16_t {
#define INTAGLIO_OP(token, group, inputs, outputs, attrs, formula) token,
#include "ir/ops.inc"
#undef INTAGLIO_OP
};
inline constexpr int kOpCount = 0
#define INTAGLIO_OP(token, group, inputs, outputs, attrs, formula) +1
#include "ir/ops.inc"
#undef INTAGLIO_OP
    ;

// Families that share a shape function and that passes and lowering treat alike.
enum class OpGroup : std::uint8_t {
  unary,
  binary,
  compare,
  logical,
  ternary,
  cast,
  movement,
  create,
  reduce,
  norm,
  matmul,
  attention,
  quant
};

struct Type {
  DType dtype = DType::f32;
  Dims shape;
  friend bool operator==(const Type&, const Type&) = default;
};
using intaglio::to_string;
std::string to_string(const Type& type);  // "f32[batch, seq, 768]"

struct OperandSchema {
  std::string name;
  bool optional = false;  // written "name?"
  bool variadic = false;  // written "name..." (last only, one or more)
};
struct AttrSchema {
  std::string name;
  AttrKind kind = AttrKind::integer;
  std::optional<Attr> default_value;
};
struct OpSchema {
  Op op{};
  std::string_view name;
  OpGroup group{};
  std::vector<OperandSchema> inputs;
  std::vector<std::string> outputs;
  std::vector<AttrSchema> attrs;
  std::string_view formula;
};

const OpSchema& schema(Op op);  // parsed once from ops.inc; thread safe
std::string_view name_of(Op op);
std::optional<Op> parse_op(std::string_view name);

// Facts that shape functions may find out on the way: pairs of dims that must be equal for the node to be valid but
// cannot be proved so (guards; checked whenever symbols are bound).
struct DimGuard {
  Dim a, b;
  std::string origin;  // the node that needs it
};
struct InferContext {
  std::vector<DimGuard>* guards = nullptr;  // may be null: then unprovable equality is an error
  std::string origin;
  // Declared ranges, to prove bounds with (may be null: every symbol is >= 0). They decide only which guards are
  // needed, never a type.
  const SymbolRanges* ranges = nullptr;
};

// Output types from input types (nullptr: absent optional operand) and attributes (defaults filled in). Checks dtypes,
// ranks, axes and dims as far as they are known. Errors (unsupported) name the op, the operand and the cause.
Result<std::vector<Type>> infer(Op op, std::span<const Type* const> inputs, const Attrs& attrs,
                                const InferContext& context);
// Checks presence and kinds of attributes and fills defaults in.
Status complete_attrs(Op op, Attrs& attrs);

// NumPy broadcasting of symbolic shapes: 1 gives way; equal dims agree; otherwise a guard "a == b" is recorded and the
// more constant of the two is the result.
Result<Dims> broadcast(std::span<const Dim> a, std::span<const Dim> b, const InferContext& context);

}  // namespace intaglio::ir
