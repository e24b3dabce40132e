// Contract of the normalisation kernels: one row of n values.
//
//   x = source + residual (if any)
//   layer: y = (x - mean) / sqrt(var + epsilon) * gamma + beta      var = mean((x - mean)^2), two passes
//   rms:   y = x / sqrt(mean(x^2) + epsilon) * gamma
//
// ONNX LayerNormalization, RMSNormalization; ATen layer_norm, rms_norm. f32. gamma, beta (n values each) and residual
// may be null. y may be exactly source or residual; nothing else may overlap. No byte beyond n elements is read or
// written. Sums run in 4 chains of vectors, in an order that depends on n and the row of the table only. NaN and Inf as
// IEEE. n = 0: nothing happens, the extremes are 0.
#pragma once

#include "base/pod.h"

namespace intaglio::kernels::norm {

enum class Kind : std::uint8_t { layer, rms };

struct Args {
  Kind kind = Kind::layer;
  const float* source = nullptr;
  const float* residual = nullptr;
  const float* gamma = nullptr;
  const float* beta = nullptr;
  float* out = nullptr;
  float* extremes = nullptr;  // 2
  std::size_t n = 0;
  float epsilon = 0.0f;
};

using Kernel = void (*)(const Args& args);

}  // namespace intaglio::kernels::norm
