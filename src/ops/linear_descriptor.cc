// The linear descriptor: fields, names, and the rules between fields.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ops/families.h"
#include "ops/linear.h"

namespace intaglio::ops {

std::string_view name_of(Activation activation) {
  switch (activation) {
    case Activation::none:
      return "none";
    case Activation::relu:
      return "relu";
    case Activation::gelu_erf:
      return "gelu_erf";
    case Activation::gelu_tanh:
      return "gelu_tanh";
    case Activation::silu:
      return "silu";
    case Activation::sigmoid:
      return "sigmoid";
    case Activation::tanh:
      return "tanh";
    case Activation::hard_swish:
      return "hard_swish";
  }
  return "?";
}

std::string_view name_of(Dynamic dynamic) {
  switch (dynamic) {
    case Dynamic::none:
      return "none";
    case Dynamic::tensor_asymmetric:
      return "tensor_asymmetric";
    case Dynamic::tensor_symmetric:
      return "tensor_symmetric";
    case Dynamic::token_asymmetric:
      return "token_asymmetric";
    case Dynamic::token_symmetric:
      return "token_symmetric";
  }
  return "?";
}

void LinearDescriptor::fields(FieldVisitor& visitor) {
  visitor.field("k", k);
  visitor.field("n", n);
  visitor.field("input", input);
  visitor.field("weight", weight);
  visitor.field("output", output);
  visitor.field("weight_nk", weight_nk);
  visitor.field("weight_bits", weight_bits);
  visitor.field("group", group);
  visitor.choice("dynamic", dynamic, kDynamicCount);
  rule.fields(visitor);
  visitor.field("input_zero", input_zero);
  visitor.field("weight_zero", weight_zero);
  visitor.field("input_scale", input_scale);
  visitor.field("input_max", input_max);
  visitor.field("weight_scale", weight_scale);
  visitor.field("alpha", alpha);
  visitor.field("bias", bias);
  visitor.choice("activation", activation, kActivationCount);
  visitor.field("residual", residual);
  visitor.field("residual_type", residual_type);
  visitor.field("residual_multiply", residual_multiply);
  visitor.field("residual_scale", residual_scale);
  visitor.field("residual_zero", residual_zero);
  visitor.field("clamp", clamp);
  visitor.field("clamp_low", clamp_low);
  visitor.field("clamp_high", clamp_high);
  visitor.field("output_scale", output_scale);
  visitor.field("output_zero", output_zero);
  visitor.field("row_max", row_max);
}

std::unique_ptr<Descriptor> LinearDescriptor::clone() const {
  return std::make_unique<LinearDescriptor>(*this);
}

std::unique_ptr<Descriptor> make_linear_descriptor() {
  return std::make_unique<LinearDescriptor>();
}

namespace {

bool eight_bits(DType t) {
  return t == DType::u8 || t == DType::i8;
}
bool floating(DType t) {
  return t == DType::f32 || t == DType::bf16 || t == DType::f16;
}

Status bad(std::string message) {
  return fail(ErrorCode::usage, "linear: " + std::move(message));
}

// What is multiplied with what.
Status check_operands(const LinearDescriptor& d) {
  using intaglio::name_of;
  if (d.weight_bits != 0 && d.weight_bits != 4)
    return bad(fmt::format("weight_bits {}: must be 0 or 4", d.weight_bits));
  if (d.weight_bits == 4 && (d.weight != DType::u8 || !d.weight_nk)) {
    return bad(fmt::format("4-bit codes come as u8 [N, K / 2], not as {}", name_of(d.weight)));
  }
  if (d.integer_input()) {
    if (d.weight_bits == 4 || !eight_bits(d.weight)) {
      return bad(fmt::format("input {} with weight {}: 8-bit inputs need 8-bit weights", name_of(d.input),
                             d.weight_bits == 4 ? "of 4 bits" : name_of(d.weight)));
    }
    if (d.dynamic != Dynamic::none) return bad("a dynamic quantisation needs a float input");
  } else if (!floating(d.input)) {
    return bad(fmt::format("input {}: must be f32, bf16, f16, u8 or i8", name_of(d.input)));
  } else if (!d.codes() && !(floating(d.weight) && (d.weight == d.input || d.input == DType::f32))) {
    return bad(
        fmt::format("input {} with weight {}: a float weight is of the input's type, or narrower than an f32 input",
                    name_of(d.input), name_of(d.weight)));
  }
  if (d.dynamic != Dynamic::none && !d.codes()) return bad("a dynamic quantisation needs integer weights");
  if (d.weight_bits == 4 && d.dynamic != Dynamic::none && !d.symmetric()) {
    return bad(fmt::format("4-bit codes need a symmetric dynamic quantisation, not {}", name_of(d.dynamic)));
  }
  constexpr std::int64_t kMostInGroup = std::int64_t{1} << 20;  // the sum of so many i8 * 15 fits 32 bits
  const std::int64_t in_group = d.group == 0 ? d.k : std::min(d.group, d.k);
  if (d.weight_bits == 4 && d.dynamic != Dynamic::none && in_group > kMostInGroup) {
    return bad(fmt::format("{} k in a group of 4-bit codes: at most {}", in_group, kMostInGroup));
  }
  if (d.weight_only() && d.weight == DType::u8 && d.weight_bits == 0) return bad("weight-only codes are i8 or 4-bit");
  if (d.group < 0 || d.group % 32 != 0) return bad(fmt::format("group {}: must be 0 or a multiple of 32", d.group));
  if (d.group != 0 && !d.grouped()) return bad("only weight-only and 4-bit weights have groups");
  return {};
}

Status check_output(const LinearDescriptor& d) {
  using intaglio::name_of;
  const bool scalable = d.integer_input() && eight_bits(d.weight);
  if (!floating(d.output) && !eight_bits(d.output) && !(d.output == DType::i32 && scalable)) {
    return bad(fmt::format("output {} of input {}", name_of(d.output), name_of(d.input)));
  }
  const bool plain = !d.input_scale && !d.weight_scale && d.alpha == 1.0 && !d.bias &&
                     d.activation == Activation::none && !d.residual && !d.clamp && !d.row_max;
  if (d.output == DType::i32 && !plain)
    return bad("an i32 output is the raw sum: no scale, bias, activation, residual, clamp or row_max");
  const auto holds = [](DType type, std::int64_t zero) {
    return type == DType::u8 ? zero >= 0 && zero <= 255 : zero >= -128 && zero <= 127;
  };
  const auto good_scale = [](double scale) {
    return std::isfinite(static_cast<float>(scale)) && static_cast<float>(scale) > 0;
  };
  if (eight_bits(d.output) && !good_scale(d.output_scale))
    return bad(fmt::format("output_scale {}: must be a positive f32", d.output_scale));
  if (eight_bits(d.output) && !holds(d.output, d.output_zero))
    return bad(fmt::format("output_zero {} does not fit {}", d.output_zero, name_of(d.output)));
  if (d.residual && !floating(d.residual_type) && !eight_bits(d.residual_type))
    return bad(fmt::format("residual {}: must be f32, bf16, f16, i8 or u8", name_of(d.residual_type)));
  if (d.residual && eight_bits(d.residual_type) && !std::isfinite(static_cast<float>(d.residual_scale)))
    return bad(fmt::format("residual_scale {}: must be finite", d.residual_scale));
  if (d.residual && eight_bits(d.residual_type) && !holds(d.residual_type, d.residual_zero))
    return bad(fmt::format("residual_zero {} does not fit {}", d.residual_zero, name_of(d.residual_type)));
  if (d.clamp && !(d.clamp_low <= d.clamp_high))
    return bad(fmt::format("clamp to [{}, {}]", d.clamp_low, d.clamp_high));
  return {};
}

}  // namespace

Status LinearDescriptor::validate() const {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  if (k < 0 || n < 0 || k >= kMost || n >= kMost) return bad(fmt::format("k={} and n={} must be in 0..2^31-1", k, n));
  INTAGLIO_CHECK(check_operands(*this));
  INTAGLIO_CHECK(rule.validate());
  if (!integer_input() && (input_zero || input_scale)) return bad("zero points and scales of x need an 8-bit input");
  if (input_max && dynamic != Dynamic::token_symmetric) return bad("input_max needs dynamic token_symmetric");
  if (!codes() && (weight_zero || weight_scale)) return bad("zero points and scales of weights need integer weights");
  if (codes() && !integer_input() && !weight_scale) return bad("codes need weight_scale");
  if (!std::isfinite(static_cast<float>(alpha))) return bad(fmt::format("alpha {}: must be a finite f32", alpha));
  if (alpha != 1.0 && codes()) return bad("alpha is for float operands; fold it into the scales");
  return check_output(*this);
}

}  // namespace intaglio::ops
