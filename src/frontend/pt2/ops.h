// Declarations of all translators, made from the rows of aten_ops.inc, and the templates behind the parametrised ones.
#pragma once

#include "frontend/pt2/call.h"
#include "ir/op.h"

namespace intaglio::frontend::pt2::ops {

#define PT2_OP(target, alias, translator) Status translator(Call& c);
#define PT2_UNARY(target, op)
#define PT2_KEEPING(target, op)
#define PT2_BINARY(target, op)
#define PT2_COMPARE(target, op)
#define PT2_SYM(target, op)
#include "frontend/pt2/aten_ops.inc"
#undef PT2_OP
#undef PT2_UNARY
#undef PT2_KEEPING
#undef PT2_BINARY
#undef PT2_COMPARE
#undef PT2_SYM

enum class SymOp : std::uint8_t {
  add,
  sub,
  mul,
  floordiv,
  truediv,
  mod,
  pow,
  lshift,
  rshift,
  neg,
  pos,
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  and_,
  or_,
  not_,
  max,
  min,
  sum,
  to_float,
  to_int,
  ite,
  sqrt
};

Status unary(Call& c, ir::Op op, bool keep_integers);
Status binary(Call& c, ir::Op op);
Status sym(Call& c, SymOp op);

template <ir::Op op>
Status float_unary(Call& c) {
  return unary(c, op, false);
}
template <ir::Op op>
Status keeping_unary(Call& c) {
  return unary(c, op, true);
}
template <ir::Op op>
Status promoted_binary(Call& c) {
  return binary(c, op);
}
template <SymOp op>
Status sym_op(Call& c) {
  return sym(c, op);
}

// ---- shared by several files of translators
// The positions of dims that are given, all of them if the list is absent or empty. Sorted; rank 0 has none.
Result<std::vector<std::int64_t>> reduction_axes(const Call& c, std::string_view name, std::int64_t rank);
// A tensor of one number; exact for 64-bit integers, unlike ir::Op::full's double.
MaybeValue filled(Builder& b, Dims shape, const Scalar& value, DType dtype);
// mm(x, w) (+ bias), as the op `linear` where w is a weight or the transpose of one, else as matmul (and add).
MaybeValue linear_or_matmul(Builder& b, ir::Value* x, ir::Value* w, ir::Value* bias);

}  // namespace intaglio::frontend::pt2::ops
