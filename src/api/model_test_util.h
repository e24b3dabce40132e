// What tests of the API compile: the arithmetics, and weights.
#pragma once

#include <cstdint>
#include <vector>

#include "api/rooms.h"

namespace intaglio::internal {

struct Arithmetic {
  const char* name;
  v1::DType dtype;
  v1::Quantize quantize;
};
inline constexpr Arithmetic kArithmetics[] = {{"f32", v1::DType::f32, v1::Quantize::none},
                                              {"bf16", v1::DType::bf16, v1::Quantize::none},
                                              {"int8", v1::DType::f32, v1::Quantize::dynamic},
                                              {"int8_bf16", v1::DType::bf16, v1::Quantize::dynamic}};

inline v1::CompileOptions compile_options(const Arithmetic& arithmetic, int threads) {
  v1::CompileOptions options;
  options.dtype = arithmetic.dtype;
  options.quantize = arithmetic.quantize;
  options.threads = threads;
  return options;
}

// In -scale .. scale.
inline std::vector<float> weight_values(std::int64_t count, float scale) {
  std::vector<float> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = scale * (static_cast<float>(i * 37 % 101) / 50 - 1);
  return out;
}

}  // namespace intaglio::internal
