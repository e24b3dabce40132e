// Quantisation operators as compositions, in the frameworks' own order of operations so that results agree bit for bit:
// quantise by multiplying with the reciprocal of the scale, round to even, add the zero point, clamp, convert.
#include <cmath>

#include "frontend/pt2/ops.h"
#include "frontend/pt2/promote.h"

namespace intaglio::frontend::pt2::ops {
namespace {

using ir::Op;

struct Range {
  double low = 0, high = 0;
  DType dtype = DType::i8;
};

Result<Range> quant_range(Call& c, std::string_view dtype_name) {
  Range range;
  INTAGLIO_TRY(const auto dtype, c.dtype(dtype_name));
  range.dtype = dtype.value_or(DType::i8);
  INTAGLIO_TRY(range.low, c.floating("quant_min", lowest_of(range.dtype)));
  INTAGLIO_TRY(range.high, c.floating("quant_max", highest_of(range.dtype)));
  if (!(range.low <= range.high)) return fail(ErrorCode::file, "quant_min is above quant_max");
  return range;
}

MaybeValue clamp_to(Builder& b, const MaybeValue& x, const Range& range) {
  return b.op(Op::clamp, {x}, {{"min", range.low}, {"max", range.high}});
}

// clamp(round(x * inverse) + zp)
MaybeValue quantised(Builder& b, const MaybeValue& x, const MaybeValue& inverse, const MaybeValue& zero_point,
                     const Range& range) {
  MaybeValue q = b.op(Op::round, {b.mul(x, inverse)});
  if (!zero_point || *zero_point != nullptr) q = b.add(q, zero_point);
  return b.cast(clamp_to(b, q, range), range.dtype);
}

bool all_zero(const ir::Value* v) {
  if (!v->is_constant()) return false;
  for (std::int64_t i = 0; i < v->constant().element_count(); ++i) {
    if (v->constant().as_double(i) != 0) return false;
  }
  return true;
}

// The f32 value of a scale. choose_qparams computes in f32 and hands out f64; the way back is exact, so skip both.
MaybeValue f32_scale(Builder& b, ir::Value* scale) {
  if (const ir::Node* node = scale->producer(); node != nullptr && node->op() == Op::cast &&
                                                node->input(0)->dtype() == DType::f32 && scale->dtype() == DType::f64) {
    return node->input(0);
  }
  return b.cast(scale, DType::f32);
}

// A number or a tensor of one element, as rank-0 f32.
MaybeValue scalar_f32(Call& c, std::string_view name) {
  INTAGLIO_TRY(const Operand value, c.operand(name));
  if (value.tensor == nullptr) return scalar_value(c.b, value.scalar, DType::f32);
  if (element_count(value.tensor->shape()) != Dim(1))
    return fail(ErrorCode::file, "argument '" + std::string(name) + "' must have one element");
  return c.b.reshape(f32_scale(c.b, value.tensor), {});
}

// 1 / scale, taken in double and rounded once: what Python computes, and what a division in f32 gives for f32 scales.
MaybeValue inverse_scale(Call& c) {
  INTAGLIO_TRY(const Operand scale, c.operand("scale"));
  if (scale.tensor == nullptr) {
    INTAGLIO_TRY(const double value, c.floating("scale"));
    return c.b.scalar(1 / value, DType::f32);
  }
  return c.b.op(Op::reciprocal, {scalar_f32(c, "scale")});
}

// scales [C] as [1, ..., C, ..., 1] along an axis of x.
MaybeValue along(Builder& b, const MaybeValue& v, const ir::Value* x, std::int64_t axis) {
  INTAGLIO_TRY(ir::Value * list, v);
  Dims shape(x->shape().size(), Dim(1));
  shape[static_cast<std::size_t>(axis)] = element_count(list->shape());
  return b.reshape(list, std::move(shape));
}

}  // namespace

Status quantize_per_tensor(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("input"));
  INTAGLIO_TRY(const Range range, quant_range(c, "dtype"));
  INTAGLIO_TRY(ir::Value * zero_point, scalar_f32(c, "zero_point"));
  return c.ret(
      quantised(c.b, c.b.cast(x, DType::f32), inverse_scale(c), all_zero(zero_point) ? nullptr : zero_point, range));
}

Status dequantize_per_tensor(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("input"));
  INTAGLIO_TRY(const auto out, c.dtype("out_dtype"));
  INTAGLIO_TRY(ir::Value * zero_point, scalar_f32(c, "zero_point"));
  INTAGLIO_TRY(ir::Value * scale, scalar_f32(c, "scale"));
  const bool byte = x->dtype() == DType::i8 || x->dtype() == DType::u8;
  if (byte && zero_point->is_constant()) {
    const double value = zero_point->constant().as_double(0);
    if (value >= lowest_of(x->dtype()) && value <= highest_of(x->dtype())) {
      const MaybeValue zp = value == 0 ? MaybeValue(nullptr) : c.b.scalar(value, x->dtype());
      return c.ret(c.b.cast(c.b.op(Op::dequantize, {x, scale, zp}), out.value_or(DType::f32)));
    }
  }
  const MaybeValue y = c.b.mul(c.b.sub(c.b.cast(x, DType::f32), zero_point), scale);
  return c.ret(c.b.cast(y, out.value_or(DType::f32)));
}

Status quantize_per_channel(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("input"));
  INTAGLIO_TRY(const Range range, quant_range(c, "dtype"));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("axis", x->rank()));
  INTAGLIO_TRY(ir::Value * scales, c.tensor("scales"));
  INTAGLIO_TRY(ir::Value * zero_points, c.tensor("zero_points"));
  if (x->rank() == 0) return fail(ErrorCode::file, "a tensor without dimensions has no channels");
  const MaybeValue inverse = c.b.op(Op::reciprocal, {along(c.b, f32_scale(c.b, scales), x, axis)});
  const MaybeValue zp =
      all_zero(zero_points) ? MaybeValue(nullptr) : along(c.b, c.b.cast(zero_points, DType::f32), x, axis);
  return c.ret(quantised(c.b, c.b.cast(x, DType::f32), inverse, zp, range));
}

Status dequantize_per_channel(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("input"));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("axis", x->rank()));
  INTAGLIO_TRY(ir::Value * scales, c.tensor("scales"));
  INTAGLIO_TRY(ir::Value * zero_points, c.optional_tensor("zero_points"));
  INTAGLIO_TRY(const auto out, c.dtype("out_dtype"));
  if (x->rank() == 0) return fail(ErrorCode::file, "a tensor without dimensions has no channels");
  const DType wanted = out.value_or(DType::f32);
  const bool symmetric = zero_points == nullptr || all_zero(zero_points);
  if (symmetric && x->dtype() == DType::i8) {
    const MaybeValue list = c.b.reshape(f32_scale(c.b, scales), {element_count(scales->shape())});
    return c.ret(c.b.cast(c.b.op(Op::dequantize, {x, list, nullptr}, {{"axis", axis}}), wanted));
  }
  MaybeValue y = c.b.cast(x, DType::f32);
  if (!symmetric) y = c.b.sub(y, along(c.b, c.b.cast(zero_points, DType::f32), x, axis));
  return c.ret(c.b.cast(c.b.mul(y, along(c.b, f32_scale(c.b, scales), x, axis)), wanted));
}

namespace {

struct Params {
  MaybeValue scale, zero_point;  // float
};

// scale = (max - min) / (high - low), at least eps; zp = low - round(min / scale), clamped.
Params asymmetric(Builder& b, const MaybeValue& low, const MaybeValue& high, const Range& range, double eps,
                  bool clamp_scale) {
  MaybeValue scale = b.div(b.sub(high, low), range.high - range.low);
  scale = clamp_scale ? b.op(Op::clamp, {scale}, {{"min", eps}}) : b.maximum(scale, b.scalar_like(eps, scale));
  const MaybeValue shift = b.op(Op::round, {b.div(low, scale)});
  return {.scale = scale, .zero_point = clamp_to(b, b.sub(b.scalar_like(range.low, shift), shift), range)};
}

}  // namespace

// Per tensor and asymmetric, for dynamic quantisation. Scale f64[1], zero point i64[1].
Status choose_qparams(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.b.cast(c.tensor("input"), DType::f32));
  INTAGLIO_TRY(const Range range, quant_range(c, "dtype"));
  INTAGLIO_TRY(const double eps, c.floating("eps"));
  INTAGLIO_TRY(const auto axes, reduction_axes(c, "dim", x->rank()));
  const MaybeValue zero = c.b.scalar(0, DType::f32);
  const MaybeValue low = c.b.minimum(c.b.reduce("min", x, axes, false), zero);
  const MaybeValue high = c.b.maximum(c.b.reduce("max", x, axes, false), zero);
  const Params params = asymmetric(c.b, low, high, range, eps, false);
  INTAGLIO_CHECK(c.ret(c.b.cast(c.b.reshape(params.scale, {Dim(1)}), DType::f64)));
  return c.ret(c.b.cast(c.b.reshape(params.zero_point, {Dim(1)}), DType::i64));
}

namespace {

// A tensor cut into blocks: every dimension that a block divides becomes two.
struct Blocks {
  Dims shape;                      // of the tensor cut
  std::vector<std::int64_t> axes;  // within a block
  Dims counts;                     // shape with the axes within a block at 1
};

Result<Blocks> cut(const ir::Value* x, const std::vector<std::int64_t>& sizes) {
  if (sizes.size() != x->shape().size())
    return fail(ErrorCode::file, "block_size has another number of dimensions than the tensor");
  Blocks blocks;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const Dim dim = x->shape()[i], block(sizes[i]);
    if (sizes[i] < 1) return fail(ErrorCode::file, "block_size must be positive");
    const bool divided = sizes[i] > 1 && dim != block;
    if (divided) {
      const auto count = Dim::exact_div(dim, block);
      if (!count)
        return fail(ErrorCode::unsupported,
                    "blocks of " + std::to_string(sizes[i]) + " do not divide a dimension of " + dim.to_string());
      blocks.shape.push_back(*count);
      blocks.counts.push_back(*count);
    }
    blocks.shape.push_back(divided ? block : dim);
    blocks.counts.push_back(sizes[i] == 1 ? dim : Dim(1));
    if (sizes[i] > 1) blocks.axes.push_back(static_cast<std::int64_t>(blocks.shape.size()) - 1);
  }
  return blocks;
}

Result<Blocks> cut_input(Call& c, const ir::Value* x) {
  INTAGLIO_TRY(const auto sizes, c.ints("block_size"));
  if (!sizes) return fail(ErrorCode::file, "argument 'block_size' is missing");
  return cut(x, *sizes);
}

}  // namespace

Status choose_qparams_affine(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("input"));
  INTAGLIO_TRY(const std::string_view mapping, c.string("mapping_type", ""));
  INTAGLIO_TRY(const Range range, quant_range(c, "target_dtype"));
  INTAGLIO_TRY(const double eps, c.floating("eps", x->dtype() == DType::bf16  ? 0x1p-7
                                                   : x->dtype() == DType::f16 ? 0x1p-10
                                                                              : 0x1p-23));
  INTAGLIO_TRY(const auto scale_dtype, c.dtype("scale_dtype"));
  INTAGLIO_TRY(const auto zero_dtype, c.dtype("zero_point_dtype"));
  INTAGLIO_TRY(const bool keep, c.boolean("keepdim", false));
  INTAGLIO_TRY(const Blocks blocks, cut_input(c, x));
  Builder& b = c.b;
  const MaybeValue cut_x = b.reshape(x, blocks.shape);
  const MaybeValue low = b.minimum(b.reduce("min", cut_x, blocks.axes, keep), b.scalar(0, x->dtype()));
  const MaybeValue high = b.maximum(b.reduce("max", cut_x, blocks.axes, keep), b.scalar(0, x->dtype()));
  Params params;
  if (mapping == "ASYMMETRIC") {
    params = asymmetric(b, low, high, range, eps, true);
  } else if (mapping == "SYMMETRIC") {
    const MaybeValue largest_size = b.maximum(b.neg(low), high);
    params.scale = b.op(Op::clamp, {b.div(largest_size, (range.high - range.low) / 2)}, {{"min", eps}});
    INTAGLIO_TRY(ir::Value * scale, params.scale);
    params.zero_point = b.full(scale->shape(), std::trunc((range.high + range.low + 1) / 2), x->dtype());
  } else {
    return fail(ErrorCode::unsupported, "quantisation of mapping type '" + std::string(mapping) + "' is not supported");
  }
  INTAGLIO_CHECK(c.ret(b.cast(params.scale, scale_dtype.value_or(x->dtype()))));
  return c.ret(b.cast(params.zero_point, zero_dtype.value_or(DType::i32)));
}

Status quantize_affine(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("input"));
  INTAGLIO_TRY(const Range range, quant_range(c, "output_dtype"));
  INTAGLIO_TRY(ir::Value * scale, c.tensor("scale"));
  INTAGLIO_TRY(ir::Value * zero_point, c.optional_tensor("zero_point"));
  INTAGLIO_TRY(const Blocks blocks, cut_input(c, x));
  Builder& b = c.b;
  const DType compute = promote(x->dtype(), scale->dtype());
  const MaybeValue inverse = b.op(Op::reciprocal, {b.cast(b.reshape(scale, blocks.counts), compute)});
  const MaybeValue zp = zero_point == nullptr || all_zero(zero_point)
                            ? MaybeValue(nullptr)
                            : b.cast(b.reshape(zero_point, blocks.counts), compute);
  return c.ret(b.reshape(quantised(b, b.cast(b.reshape(x, blocks.shape), compute), inverse, zp, range), x->shape()));
}

Status dequantize_affine(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("input"));
  INTAGLIO_TRY(ir::Value * scale, c.tensor("scale"));
  INTAGLIO_TRY(ir::Value * zero_point, c.optional_tensor("zero_point"));
  INTAGLIO_TRY(const auto out, c.dtype("output_dtype"));
  INTAGLIO_TRY(const Blocks blocks, cut_input(c, x));
  Builder& b = c.b;
  const DType dtype = out.value_or(DType::f32);
  MaybeValue y = b.cast(b.reshape(x, blocks.shape), dtype);
  if (zero_point != nullptr && !all_zero(zero_point)) y = b.sub(y, b.cast(b.reshape(zero_point, blocks.counts), dtype));
  y = b.mul(y, b.cast(b.reshape(scale, blocks.counts), dtype));
  return c.ret(b.reshape(y, x->shape()));
}

}  // namespace intaglio::frontend::pt2::ops
