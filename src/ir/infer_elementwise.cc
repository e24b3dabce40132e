// Shape functions of the elementwise groups. Rows of one group share one function; the names that the dispatch table
// wants are generated from ops.inc.
#include "ir/infer_internal.h"

namespace intaglio::ir {

namespace {

Result<Types> group_unary(const InferArgs& args) {
  switch (args.op) {
    case Op::neg:
    case Op::abs:
    case Op::sign:
    case Op::relu:
    case Op::clamp:
      INTAGLIO_CHECK(require_number(args, 0));
      break;
    default:
      INTAGLIO_CHECK(require_floating(args, 0));
  }
  if (args.op == Op::gelu) INTAGLIO_CHECK(require_word(args, "approximate", {"none", "tanh"}));
  return Types{args.in(0)};
}

Result<Types> group_logical(const InferArgs& args) {
  if (args.op == Op::logical_not) {
    INTAGLIO_CHECK(require_dtype(args, 0, {DType::boolean}));
  } else {
    INTAGLIO_CHECK(require_floating(args, 0));
  }
  return Types{Type{DType::boolean, args.in(0).shape}};
}

Result<Dims> broadcast_of(const InferArgs& args, std::span<const Dim> a, std::span<const Dim> b) {
  auto shape = broadcast(a, b, args.context);
  if (!shape) return args.error(shape.error().message);
  return shape;
}

Result<Types> group_binary(const InferArgs& args) {
  INTAGLIO_CHECK(require_same_dtype(args, 0, 1));
  switch (args.op) {
    case Op::logical_and:
    case Op::logical_or:
    case Op::logical_xor:
      if (is_floating(args.in(0).dtype)) return args.error("operands must be bool or integers");
      break;
    default:
      INTAGLIO_CHECK(require_number(args, 0));
  }
  INTAGLIO_TRY(Dims shape, broadcast_of(args, args.in(0).shape, args.in(1).shape));
  return Types{Type{args.in(0).dtype, std::move(shape)}};
}

Result<Types> group_compare(const InferArgs& args) {
  INTAGLIO_CHECK(require_same_dtype(args, 0, 1));
  INTAGLIO_TRY(Dims shape, broadcast_of(args, args.in(0).shape, args.in(1).shape));
  return Types{Type{DType::boolean, std::move(shape)}};
}

Result<Types> group_ternary(const InferArgs& args) {
  INTAGLIO_CHECK(require_dtype(args, 0, {DType::boolean}));
  INTAGLIO_CHECK(require_same_dtype(args, 1, 2));
  INTAGLIO_TRY(const Dims ab, broadcast_of(args, args.in(1).shape, args.in(2).shape));
  INTAGLIO_TRY(Dims shape, broadcast_of(args, args.in(0).shape, ab));
  return Types{Type{args.in(1).dtype, std::move(shape)}};
}

}  // namespace

Result<Types> infer_cast(const InferArgs& args) {
  return Types{Type{args.attrs.dtype("to"), args.in(0).shape}};
}

#define INTAGLIO_INFER_BY_GROUP(token, group)          \
  Result<Types> infer_##token(const InferArgs& args) { \
    return group_##group(args);                        \
  }
#define INTAGLIO_INFER_unary(token)   INTAGLIO_INFER_BY_GROUP(token, unary)
#define INTAGLIO_INFER_logical(token) INTAGLIO_INFER_BY_GROUP(token, logical)
#define INTAGLIO_INFER_binary(token)  INTAGLIO_INFER_BY_GROUP(token, binary)
#define INTAGLIO_INFER_compare(token) INTAGLIO_INFER_BY_GROUP(token, compare)
#define INTAGLIO_INFER_ternary(token) INTAGLIO_INFER_BY_GROUP(token, ternary)
// The other groups have a function per row, written by hand.
#define INTAGLIO_INFER_cast(token)
#define INTAGLIO_INFER_movement(token)
#define INTAGLIO_INFER_create(token)
#define INTAGLIO_INFER_reduce(token)
#define INTAGLIO_INFER_norm(token)
#define INTAGLIO_INFER_matmul(token)
#define INTAGLIO_INFER_attention(token)
#define INTAGLIO_INFER_quant(token)
#define INTAGLIO_OP(token, group, inputs, outputs, attrs, formula) INTAGLIO_INFER_##group(token)
#include "ir/ops.inc"
#undef INTAGLIO_OP

}  // namespace intaglio::ir
