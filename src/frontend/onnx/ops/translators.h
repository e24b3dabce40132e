// Translators of ONNX ops, named by ops.inc. Each reads its operands through the context, builds IR nodes and sets the
// node's results. Ops that map to one IR op share a template; the others are grouped by subject, one file each.
#pragma once

#include "frontend/onnx/node_context.h"
#include "ir/op.h"

namespace intaglio::frontend::onnx {

// One operand, same dtype: y = kind(x).
template <ir::Op kind>
Status unary(NodeContext& c) {
  return c.set(0, c.b.op(kind, {c.input(0)}));
}
// Two operands with broadcasting.
template <ir::Op kind>
Status binary(NodeContext& c) {
  return c.set(0, c.b.op(kind, {c.input(0), c.input(1)}));
}
// One or more operands with broadcasting, folded from the left.
template <ir::Op kind>
Status variadic(NodeContext& c) {
  MaybeValue y = c.input(0);
  for (std::size_t i = 1; i < c.input_count(); ++i) y = c.b.op(kind, {y, c.input(i)});
  return c.set(0, y);
}

// elementwise.cc
Status translate_identity(NodeContext& c);
Status translate_cast(NodeContext& c);
Status translate_cast_like(NodeContext& c);
Status translate_clip(NodeContext& c);
Status translate_mean(NodeContext& c);
Status translate_mod(NodeContext& c);
Status translate_pow(NodeContext& c);
Status translate_where(NodeContext& c);
Status translate_is_inf(NodeContext& c);
Status translate_dropout(NodeContext& c);
Status translate_bitwise_not(NodeContext& c);
// activation.cc
Status translate_gelu(NodeContext& c);
Status translate_hard_sigmoid(NodeContext& c);
Status translate_leaky_relu(NodeContext& c);
Status translate_prelu(NodeContext& c);
Status translate_elu(NodeContext& c);
Status translate_selu(NodeContext& c);
Status translate_celu(NodeContext& c);
Status translate_softplus(NodeContext& c);
Status translate_softsign(NodeContext& c);
Status translate_mish(NodeContext& c);
Status translate_swish(NodeContext& c);
Status translate_thresholded_relu(NodeContext& c);
Status translate_tan(NodeContext& c);
Status translate_sinh(NodeContext& c);
Status translate_cosh(NodeContext& c);
// create.cc
Status translate_constant(NodeContext& c);
Status translate_constant_of_shape(NodeContext& c);
Status translate_range(NodeContext& c);
Status translate_always_folded(NodeContext& c);  // Shape, Size
Status translate_trilu(NodeContext& c);
// movement.cc
Status translate_reshape(NodeContext& c);
Status translate_flatten(NodeContext& c);
Status translate_squeeze(NodeContext& c);
Status translate_unsqueeze(NodeContext& c);
Status translate_transpose(NodeContext& c);
Status translate_expand(NodeContext& c);
Status translate_concat(NodeContext& c);
Status translate_slice(NodeContext& c);
Status translate_split(NodeContext& c);
Status translate_tile(NodeContext& c);
Status translate_pad(NodeContext& c);
Status translate_gather(NodeContext& c);
Status translate_gather_elements(NodeContext& c);
Status translate_gather_nd(NodeContext& c);
// reduction.cc
Status translate_reduce(NodeContext& c);
Status translate_arg(NodeContext& c);
Status translate_softmax(NodeContext& c);
Status translate_cumsum(NodeContext& c);
// normalisation.cc
Status translate_layer_norm(NodeContext& c);
Status translate_rms_norm(NodeContext& c);
Status translate_batch_norm(NodeContext& c);
// product.cc
Status translate_gemm(NodeContext& c);
Status translate_matmul_integer(NodeContext& c);
// attention.cc, rotary.cc
Status translate_attention(NodeContext& c);
Status translate_rotary_embedding(NodeContext& c);
// quantisation.cc
Status translate_dynamic_quantize(NodeContext& c);
Status translate_quantize(NodeContext& c);
Status translate_dequantize(NodeContext& c);
Status translate_qlinear_matmul(NodeContext& c);

}  // namespace intaglio::frontend::onnx
