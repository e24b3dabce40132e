#include "bench/gemm/scenarios.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace intaglio::bench {

namespace {

constexpr DType F32 = DType::f32, BF16 = DType::bf16, F16 = DType::f16, I8 = DType::i8, U8 = DType::u8;
constexpr auto kGelu = ops::Activation::gelu_erf;
constexpr auto kToken = ops::Dynamic::token_symmetric;
constexpr auto kTensor = ops::Dynamic::tensor_asymmetric;

// clang-format off
constexpr Scenario kScenarios[] = {
    {.types = "f32xf32", .epilogue = "bias", .input = F32, .weight = F32, .output = F32},
    {.types = "bf16xbf16", .epilogue = "bias", .input = BF16, .weight = BF16, .output = BF16},
    {.types = "bf16xbf16", .epilogue = "bias, gelu_erf", .input = BF16, .weight = BF16, .output = BF16,
     .activation = kGelu},
    {.types = "f16xf16", .epilogue = "bias", .input = F16, .weight = F16, .output = F16, .range = Range::held},
    {.types = "s8xs8", .epilogue = "scales, bias, f32", .input = I8, .weight = I8, .output = F32,
     .scale = Scale::tensor},
    {.types = "u8xs8", .epilogue = "zero point, scales, bias, f32", .input = U8, .weight = I8, .output = F32,
     .scale = Scale::tensor, .input_zero = true},
    {.types = "s8xs8", .epilogue = "row scales, bias, gelu_erf, s8, row maxima", .input = I8, .weight = I8,
     .output = I8, .scale = Scale::row, .activation = kGelu, .row_max = true},
    {.types = "s8xs8", .epilogue = "rows quantised from f32, scales, bias, f32", .input = F32, .weight = I8,
     .output = F32, .dynamic = kToken},
    {.types = "u8xs8", .epilogue = "quantised from f32, zero point, scales, bias, f32", .input = F32, .weight = I8,
     .output = F32, .dynamic = kTensor},
    {.types = "w8xf32", .epilogue = "bias", .input = F32, .weight = I8, .output = F32, .range = Range::small_m},
    {.types = "w4xf32", .epilogue = "bias", .input = F32, .weight = U8, .output = F32, .weight_bits = 4, .group = 32,
     .range = Range::small_m},
    {.types = "w4xs8", .epilogue = "rows quantised from f32, scales of groups, bias, f32", .input = F32, .weight = U8,
     .output = F32, .weight_bits = 4, .group = 32, .dynamic = kToken, .range = Range::small_m},
};
// clang-format on

}  // namespace

std::string_view Scenario::kind() const {
  const std::string_view text = types;
  return text.substr(0, text.find('x'));
}

std::string Scenario::name() const {
  return std::string(types) + " | " + epilogue;
}

std::span<const Scenario> scenarios() {
  return kScenarios;
}

std::string all_kinds() {
  std::vector<std::string_view> kinds;
  for (const Scenario& scenario : kScenarios) {
    if (std::ranges::find(kinds, scenario.kind()) == kinds.end()) kinds.push_back(scenario.kind());
  }
  return fmt::format("{}", fmt::join(kinds, ", "));
}

ops::LinearDescriptor descriptor_of(const Scenario& scenario, std::int64_t n, std::int64_t k) {
  ops::LinearDescriptor d;
  d.n = n;
  d.k = k;
  d.input = scenario.input;
  d.weight = scenario.weight;
  d.output = scenario.output;
  d.weight_bits = scenario.weight_bits;
  d.group = scenario.group;
  d.dynamic = scenario.dynamic;
  d.input_zero = scenario.input_zero;
  d.input_scale = scenario.scale != Scale::none;
  d.weight_scale = scenario.codes();
  d.bias = true;
  d.activation = scenario.activation;
  d.row_max = scenario.row_max;
  if (scenario.output == DType::i8) d.output_scale = kOutputScale;
  return d;
}

}  // namespace intaglio::bench
