// Normalisations.
#include <numeric>

#include "frontend/onnx/ops/translators.h"

namespace intaglio::frontend::onnx {

using ir::Op;

namespace {

// gamma or beta without leading 1s beyond the normalised dims; nullptr if it varies over the other dims.
MaybeValue normalised_operand(Builder& b, ir::Value* value, std::size_t normalised_rank) {
  if (value == nullptr) return nullptr;
  Dims shape = value->shape();
  while (shape.size() > normalised_rank && shape.front() == Dim(1)) shape.erase(shape.begin());
  if (shape.size() > normalised_rank) return nullptr;
  return b.reshape(value, std::move(shape));
}

std::vector<std::int64_t> trailing_axes(std::int64_t axis, int rank) {
  std::vector<std::int64_t> axes(static_cast<std::size_t>(rank - axis));
  std::iota(axes.begin(), axes.end(), axis);
  return axes;
}

// Mean and 1/sqrt(var + epsilon) over the normalised dims, in f32 unless x is f64 (stash_type).
Status set_statistics(NodeContext& c, ir::Value* x, std::int64_t axis, double epsilon) {
  const MaybeValue wide =
      x->dtype() == DType::f64 && c.attr_int("stash_type", 1) != 1 ? MaybeValue(x) : c.b.cast(x, DType::f32);
  const auto axes = trailing_axes(axis, x->rank());
  const MaybeValue mean = c.b.reduce("mean", wide, axes, true);
  if (c.wants(1)) INTAGLIO_CHECK(c.set(1, mean));
  if (!c.wants(2)) return {};
  const MaybeValue centred = c.b.sub(wide, mean);
  const MaybeValue variance = c.b.reduce("mean", c.b.mul(centred, centred), axes, true);
  return c.set(2, c.b.op(Op::reciprocal, {c.b.sqrt(c.b.add(variance, epsilon))}));
}

}  // namespace

Status translate_layer_norm(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  INTAGLIO_TRY(ir::Value * scale, c.input(1));
  INTAGLIO_TRY(ir::Value * bias, c.optional(2));
  INTAGLIO_TRY(const std::int64_t axis, normalise_axis(c.attr_int("axis", -1), x->rank()));
  const double epsilon = c.attr_float("epsilon", 1e-5f);
  const auto normalised_rank = static_cast<std::size_t>(x->rank() - axis);
  INTAGLIO_TRY(ir::Value * gamma, normalised_operand(c.b, scale, normalised_rank));
  INTAGLIO_TRY(ir::Value * beta, normalised_operand(c.b, bias, normalised_rank));
  const ir::Attrs attrs{{"axis", axis}, {"epsilon", epsilon}};
  if (gamma != nullptr && (bias == nullptr || beta != nullptr)) {
    INTAGLIO_CHECK(c.set(0, c.b.op(Op::layer_norm, {x, gamma, beta}, attrs)));
  } else {
    MaybeValue y = c.b.mul(c.b.op(Op::layer_norm, {x, nullptr, nullptr}, attrs), scale);
    if (bias != nullptr) y = c.b.add(y, bias);
    INTAGLIO_CHECK(c.set(0, y));
  }
  if (c.wants(1) || c.wants(2)) return set_statistics(c, x, axis, epsilon);
  return {};
}

Status translate_rms_norm(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  INTAGLIO_TRY(ir::Value * scale, c.input(1));
  INTAGLIO_TRY(const std::int64_t axis, normalise_axis(c.attr_int("axis", -1), x->rank()));
  const ir::Attrs attrs{{"axis", axis}, {"epsilon", c.attr_float("epsilon", 1e-5f)}};
  INTAGLIO_TRY(ir::Value * gamma, normalised_operand(c.b, scale, static_cast<std::size_t>(x->rank() - axis)));
  if (gamma != nullptr && gamma->dtype() == x->dtype()) return c.set(0, c.b.op(Op::rms_norm, {x, gamma}, attrs));
  return c.set(0, c.b.mul(c.b.cast(c.b.op(Op::rms_norm, {x, nullptr}, attrs), scale->dtype()), scale));
}

// Inference form: (x - mean) / sqrt(var + epsilon) * scale + bias, per channel (axis 1).
Status translate_batch_norm(NodeContext& c) {
  if (c.attr_int("training_mode", 0) != 0 || c.wants(1))
    return c.unsupported("training mode is not supported", "export the model for inference");
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  if (x->rank() < 1) return c.malformed("the operand must have channels");
  const DType dtype = x->dtype();
  Dims shape(static_cast<std::size_t>(x->rank()), Dim(1));
  const std::size_t channel = x->rank() == 1 ? 0 : 1;
  shape[channel] = x->rank() == 1 ? Dim(1) : x->shape()[1];
  const auto per_channel = [&](std::size_t i) { return c.b.cast(c.b.reshape(c.input(i), shape), dtype); };
  const MaybeValue deviation = c.b.sqrt(c.b.add(per_channel(4), c.attr_float("epsilon", 1e-5f)));
  const MaybeValue y = c.b.mul(c.b.div(c.b.sub(x, per_channel(3)), deviation), per_channel(1));
  return c.set(0, c.b.add(y, per_channel(2)));
}

}  // namespace intaglio::frontend::onnx
