// Quantise and dequantise.
#include "frontend/onnx/ops/translators.h"

namespace intaglio::frontend::onnx {

using ir::Op;

Status translate_dynamic_quantize(NodeContext& c) {
  INTAGLIO_TRY(ir::Node * node, c.b.node(Op::dynamic_quantize, {c.input(0)}));
  for (std::size_t i = 0; i < c.output_count() && i < 3; ++i) INTAGLIO_CHECK(c.set(i, node->output(i)));
  return {};
}

namespace {

// The axis along which scales vary; per-tensor scales have none and any legal value does.
Result<std::int64_t> quantisation_axis(NodeContext& c, ir::Value* x, ir::Value* scale) {
  if (c.attr_int("block_size", 0) != 0 || scale->rank() > 1)
    return c.unsupported("blocked quantisation is not supported");
  if (scale->rank() == 0 || scale->shape()[0] == Dim(1)) return std::int64_t{0};
  return normalise_axis(c.attr_int("axis", 1), x->rank());
}

}  // namespace

Status translate_quantize(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  INTAGLIO_TRY(ir::Value * scale, c.input(1));
  INTAGLIO_TRY(ir::Value * zero, c.optional(2));
  INTAGLIO_TRY(const std::int64_t axis, quantisation_axis(c, x, scale));
  DType to = DType::u8;
  if (zero != nullptr) {
    to = zero->dtype();
  } else if (const std::int64_t given = c.attr_int("output_dtype", 0); given != 0) {
    const auto dtype = dtype_of(static_cast<std::int32_t>(given));
    if (!dtype) return c.unsupported(dtype.error().message);
    to = *dtype;
  }
  if (to != DType::u8 && to != DType::i8)
    return c.unsupported("quantisation to " + std::string(name_of(to)) + " is not supported");
  if (const std::int64_t precision = c.attr_int("precision", 0); precision != 0) {
    const auto dtype = dtype_of(static_cast<std::int32_t>(precision));
    if (!dtype || !is_floating(*dtype)) return c.malformed("attribute 'precision'");
    scale = nullptr;
    INTAGLIO_TRY(scale, c.b.cast(c.input(1), *dtype));
  }
  return c.set(0, c.b.op(Op::quantize, {c.b.cast(x, scale->dtype()), scale, zero}, {{"axis", axis}, {"to", to}}));
}

Status translate_dequantize(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  INTAGLIO_TRY(ir::Value * scale, c.input(1));
  INTAGLIO_TRY(ir::Value * zero, c.optional(2));
  INTAGLIO_TRY(const std::int64_t axis, quantisation_axis(c, x, scale));
  const DType from = x->dtype();
  if (from != DType::u8 && from != DType::i8 && from != DType::i32) {
    return c.unsupported("dequantisation of " + std::string(name_of(from)) + " is not supported");
  }
  MaybeValue y = c.b.op(Op::dequantize, {x, scale, zero}, {{"axis", axis}});
  if (const std::int64_t given = c.attr_int("output_dtype", 0); given != 0) {
    const auto dtype = dtype_of(static_cast<std::int32_t>(given));
    if (!dtype) return c.unsupported(dtype.error().message);
    y = c.b.cast(y, *dtype);
  }
  return c.set(0, y);
}

// y = quantize(f32((a - a_zp) @ (b - b_zp)) * (a_scale * b_scale), y_scale, y_zp).
Status translate_qlinear_matmul(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * y_scale, c.input(6));
  INTAGLIO_TRY(ir::Value * y_zero, c.input(7));
  INTAGLIO_TRY(ir::Value * b_scale, c.input(4));
  if (b_scale->rank() > 1 || y_scale->rank() > 1 || (y_scale->rank() == 1 && !(y_scale->shape()[0] == Dim(1)))) {
    return c.unsupported("only scalar scales and one scale per column of B are supported");
  }
  const auto scalar_zero = [&](std::size_t i) -> MaybeValue {
    INTAGLIO_TRY(ir::Value * zero, c.input(i));
    return zero->rank() == 1 && zero->shape()[0] == Dim(1) ? c.b.reshape(zero, {}) : MaybeValue(zero);
  };
  INTAGLIO_TRY(ir::Value * a_scale, c.input(1));
  if (a_scale->rank() > 1 || (a_scale->rank() == 1 && !(a_scale->shape()[0] == Dim(1))))
    return c.unsupported("scales per row of A are not supported");
  const MaybeValue product = c.b.op(Op::matmul_integer, {c.input(0), c.input(3), scalar_zero(2), scalar_zero(5)});
  const MaybeValue scales = c.b.mul(c.b.cast(a_scale, DType::f32), c.b.cast(b_scale, DType::f32));
  const MaybeValue real = c.b.mul(c.b.cast(product, DType::f32), scales);
  return c.set(0, c.b.op(Op::quantize, {real, c.b.cast(y_scale, DType::f32), y_zero},
                         {{"axis", std::int64_t{0}}, {"to", y_zero->dtype()}}));
}

}  // namespace intaglio::frontend::onnx
