// Activations that the IR has no op for, as compositions.
#include "frontend/onnx/ops/translators.h"

namespace intaglio::frontend::onnx {

using ir::Op;

namespace {

// x where it is positive, else y.
MaybeValue positive_or(Builder& b, const MaybeValue& x, const MaybeValue& y) {
  return b.where(b.op(Op::gt, {x, b.scalar_like(0, x)}), x, y);
}

MaybeValue exp(Builder& b, const MaybeValue& x) {
  return b.op(Op::exp, {x});
}
MaybeValue minus_one(Builder& b, const MaybeValue& x) {
  return b.add(x, -1.0);
}

// ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|): no overflow.
MaybeValue softplus(Builder& b, const MaybeValue& x) {
  const MaybeValue tail = b.op(Op::log, {b.add(exp(b, b.neg(b.op(Op::abs, {x}))), 1.0)});
  return b.add(b.op(Op::relu, {x}), tail);
}

}  // namespace

Status translate_gelu(NodeContext& c) {
  return c.set(0, c.b.op(Op::gelu, {c.input(0)}, {{"approximate", c.attr_string("approximate", "none")}}));
}

Status translate_hard_sigmoid(NodeContext& c) {
  return c.set(0, c.b.op(Op::hard_sigmoid, {c.input(0)},
                         {{"alpha", c.attr_float("alpha", 0.2f)}, {"beta", c.attr_float("beta", 0.5)}}));
}

Status translate_leaky_relu(NodeContext& c) {
  const MaybeValue x = c.input(0);
  return c.set(0, positive_or(c.b, x, c.b.mul(x, c.attr_float("alpha", 0.01f))));
}

Status translate_prelu(NodeContext& c) {
  const MaybeValue x = c.input(0);
  return c.set(0, c.b.where(c.b.op(Op::lt, {x, c.b.scalar_like(0, x)}), c.b.mul(x, c.input(1)), x));
}

Status translate_elu(NodeContext& c) {
  const MaybeValue x = c.input(0);
  return c.set(0, positive_or(c.b, x, c.b.mul(minus_one(c.b, exp(c.b, x)), c.attr_float("alpha", 1))));
}

Status translate_selu(NodeContext& c) {
  const double alpha = c.attr_float("alpha", 1.67326319217681884765625f),
               gamma = c.attr_float("gamma", 1.05070102214813232421875f);
  const MaybeValue x = c.input(0);
  return c.set(0, c.b.mul(positive_or(c.b, x, c.b.mul(minus_one(c.b, exp(c.b, x)), alpha)), gamma));
}

Status translate_celu(NodeContext& c) {
  const double alpha = c.attr_float("alpha", 1);
  const MaybeValue x = c.input(0);
  return c.set(0, positive_or(c.b, x, c.b.mul(minus_one(c.b, exp(c.b, c.b.div(x, alpha))), alpha)));
}

Status translate_softplus(NodeContext& c) {
  return c.set(0, softplus(c.b, c.input(0)));
}

Status translate_softsign(NodeContext& c) {
  const MaybeValue x = c.input(0);
  return c.set(0, c.b.div(x, c.b.add(c.b.op(Op::abs, {x}), 1.0)));
}

Status translate_mish(NodeContext& c) {
  const MaybeValue x = c.input(0);
  return c.set(0, c.b.mul(x, c.b.tanh(softplus(c.b, x))));
}

Status translate_swish(NodeContext& c) {
  const double alpha = c.attr_float("alpha", 1);
  const MaybeValue x = c.input(0);
  if (alpha == 1) return c.set(0, c.b.op(Op::silu, {x}));
  return c.set(0, c.b.mul(x, c.b.sigmoid(c.b.mul(x, alpha))));
}

Status translate_thresholded_relu(NodeContext& c) {
  const MaybeValue x = c.input(0);
  const MaybeValue above = c.b.op(Op::gt, {x, c.b.scalar_like(c.attr_float("alpha", 1), x)});
  return c.set(0, c.b.where(above, x, c.b.scalar_like(0, x)));
}

Status translate_tan(NodeContext& c) {
  const MaybeValue x = c.input(0);
  return c.set(0, c.b.div(c.b.op(Op::sin, {x}), c.b.op(Op::cos, {x})));
}

Status translate_sinh(NodeContext& c) {
  const MaybeValue x = c.input(0);
  return c.set(0, c.b.mul(c.b.sub(exp(c.b, x), exp(c.b, c.b.neg(x))), 0.5));
}

Status translate_cosh(NodeContext& c) {
  const MaybeValue x = c.input(0);
  return c.set(0, c.b.mul(c.b.add(exp(c.b, x), exp(c.b, c.b.neg(x))), 0.5));
}

}  // namespace intaglio::frontend::onnx
