// Matrix products.
#include "frontend/onnx/ops/translators.h"

namespace intaglio::frontend::onnx {

using ir::Op;

// y = alpha * A' B' + beta * C. The common form (A not transposed, factors 1, C a vector of N) is one `linear`.
Status translate_gemm(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * a, c.input(0));
  INTAGLIO_TRY(ir::Value * b, c.input(1));
  INTAGLIO_TRY(ir::Value * bias, c.optional(2));
  if (a->rank() != 2 || b->rank() != 2) return c.malformed("A and B must have rank 2");
  const double alpha = c.attr_float("alpha", 1), beta = c.attr_float("beta", 1);
  const bool trans_a = c.attr_int("transA", 0) != 0, trans_b = c.attr_int("transB", 0) != 0;
  const Dim& columns = b->shape()[trans_b ? 0 : 1];
  if (bias != nullptr && beta == 0) bias = nullptr;
  const bool vector_bias = bias == nullptr || (beta == 1 && bias->rank() == 1 && bias->shape()[0] == columns);
  if (!trans_a && alpha == 1 && vector_bias && is_floating(a->dtype())) {
    return c.set(0, c.b.op(Op::linear, {a, b, bias}, {{"transposed", trans_b}}));
  }
  const MaybeValue left = trans_a ? c.b.swap_axes(a, 0, 1) : MaybeValue(a);
  const MaybeValue right = trans_b ? c.b.swap_axes(b, 0, 1) : MaybeValue(b);
  MaybeValue y = c.b.matmul(left, right);
  if (alpha != 1) y = c.b.mul(y, alpha);
  if (bias != nullptr) y = c.b.add(y, beta == 1 ? MaybeValue(bias) : c.b.mul(bias, beta));
  return c.set(0, y);
}

namespace {

// A zero point of rank 1 with one element is a scalar.
MaybeValue zero_point(NodeContext& c, std::size_t i) {
  INTAGLIO_TRY(ir::Value * value, c.optional(i));
  if (value == nullptr || value->rank() != 1 || !(value->shape()[0] == Dim(1))) return value;
  if (!value->is_constant()) return c.b.reshape(value, {});
  ir::Tensor scalar = value->constant();  // the same bytes
  scalar.shape.clear();
  return c.b.constant(std::move(scalar), value->name());
}

}  // namespace

Status translate_matmul_integer(NodeContext& c) {
  return c.set(0, c.b.op(Op::matmul_integer, {c.input(0), c.input(1), zero_point(c, 2), zero_point(c, 3)}));
}

}  // namespace intaglio::frontend::onnx
