// Elementwise ops that need more than one IR op or look at attributes.
#include <limits>

#include "frontend/onnx/ops/translators.h"

namespace intaglio::frontend::onnx {

using ir::Op;

Status translate_identity(NodeContext& c) {
  return c.set(0, c.input(0));
}

Status translate_cast(NodeContext& c) {
  const auto to = dtype_of(static_cast<std::int32_t>(c.attr_int("to", 0)));
  if (!to) return c.unsupported(to.error().message);
  return c.set(0, c.b.cast(c.input(0), *to));
}

Status translate_cast_like(NodeContext& c) {
  INTAGLIO_TRY(const DType to, c.dtype(1));
  return c.set(0, c.b.cast(c.input(0), to));
}

namespace {

// The limit of Clip: an attribute before opset 11, an operand from then on; nullopt: none.
Result<std::optional<double>> clip_limit(NodeContext& c, std::string_view name, std::size_t index, bool& dynamic) {
  if (c.opset() < 11) {
    if (c.attribute(name) == nullptr) return std::optional<double>();
    return std::optional(c.attr_float(name, 0));
  }
  if (!c.has(index)) return std::optional<double>();
  INTAGLIO_TRY(const auto value, c.const_scalar(index));
  dynamic = dynamic || !value;
  return value;
}

}  // namespace

Status translate_clip(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  bool dynamic = false;
  INTAGLIO_TRY(const auto low, clip_limit(c, "min", 1, dynamic));
  INTAGLIO_TRY(const auto high, clip_limit(c, "max", 2, dynamic));
  // clamp computes min(max(x, low), high) in double; integers of 64 bits and limits known at run time take the long
  // way.
  const bool exact = is_floating(x->dtype()) || size_of(x->dtype()) < 8;
  if (!dynamic && exact) {
    if (!low && !high) return c.set(0, x);
    constexpr double kInf = std::numeric_limits<double>::infinity();
    return c.set(0, c.b.op(Op::clamp, {x}, {{"min", low.value_or(-kInf)}, {"max", high.value_or(kInf)}}));
  }
  MaybeValue y = x;
  if (c.has(1)) y = c.b.maximum(y, c.input(1));
  if (c.has(2)) y = c.b.minimum(y, c.input(2));
  return c.set(0, y);
}

Status translate_mean(NodeContext& c) {
  MaybeValue sum = c.input(0);
  for (std::size_t i = 1; i < c.input_count(); ++i) sum = c.b.add(sum, c.input(i));
  if (c.input_count() > 1) sum = c.b.div(sum, static_cast<double>(c.input_count()));
  return c.set(0, sum);
}

Status translate_mod(NodeContext& c) {
  return c.set(0, c.b.op(Op::mod, {c.input(0), c.input(1)}, {{"fmod", c.attr_int("fmod", 0) != 0}}));
}

// The result has the base's dtype; the exponent may have another, and the power is taken in the floating one of the
// two.
Status translate_pow(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * base, c.input(0));
  INTAGLIO_TRY(ir::Value * exponent, c.input(1));
  const DType to = base->dtype();
  const bool through_float = !is_floating(to) && is_floating(exponent->dtype());
  const DType meet = through_float ? exponent->dtype() : to;
  return c.set(0, c.b.cast(c.b.pow(c.b.cast(base, meet), c.b.cast(exponent, meet)), to));
}

Status translate_where(NodeContext& c) {
  return c.set(0, c.b.where(c.input(0), c.input(1), c.input(2)));
}

Status translate_is_inf(NodeContext& c) {
  const bool positive = c.attr_int("detect_positive", 1) != 0, negative = c.attr_int("detect_negative", 1) != 0;
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  if (positive && negative) return c.set(0, c.b.op(Op::isinf, {x}));
  if (!positive && !negative) return c.set(0, c.b.full(x->shape(), 0, DType::boolean));
  const double inf = std::numeric_limits<double>::infinity();
  return c.set(0, c.b.op(Op::eq, {x, c.b.scalar_like(positive ? inf : -inf, x)}));
}

// Inference: the identity, and a mask of ones.
Status translate_dropout(NodeContext& c) {
  if (c.opset() >= 12 && c.has(2)) {
    INTAGLIO_TRY(const auto training, c.const_scalar(2));
    if (!training || *training != 0)
      return c.unsupported("training_mode is not supported", "export the model for inference");
  }
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  INTAGLIO_CHECK(c.set(0, x));
  if (!c.wants(1)) return {};
  return c.set(1, c.b.full(x->shape(), 1, c.opset() >= 10 ? DType::boolean : x->dtype()));
}

// ~x is -1 - x in two's complement, and max - x without sign.
Status translate_bitwise_not(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  const std::int64_t ones = -1;
  const std::int64_t all = is_signed_integer(x->dtype()) || size_of(x->dtype()) == 8
                               ? ones
                               : (std::int64_t{1} << (8 * size_of(x->dtype()))) - 1;
  return c.set(0, c.b.op(Op::logical_xor, {x, c.b.constant(make_int_tensor(x->dtype(), {}, {&all, 1}))}));
}

}  // namespace intaglio::frontend::onnx
