// Contract of the rotary kernels: `rows` rows of 2 * half elements, each pair (a, b) of a row rotated by its angle.
//
//   y_a = a * cos[i] - b * sin[i]        i < half; a, b are elements i and i + half,
//   y_b = b * cos[i] + a * sin[i]                  or 2i and 2i + 1 if interleaved
//
// RoFormer (Su et al. 2021); ONNX RotaryEmbedding. x and y are f32 or bf16 by the row of the table, cos and sin f32.
// bf16 is widened, computed in f32 and rounded once. Row r of x, y starts at r * x_pitch, r * y_pitch elements, row r
// of both tables at r * table_pitch (0: all rows share one). y may be exactly x (same pitch); nothing else may overlap.
// No byte beyond the 2 * half elements of a row is read or written. Alignment: that of the element. NaN and Inf as
// IEEE.
#pragma once

#include "base/pod.h"

namespace intaglio::kernels::rotary {

struct Args {
  const void* x = nullptr;
  void* y = nullptr;
  const float* cos = nullptr;
  const float* sin = nullptr;
  std::size_t rows = 0;
  std::size_t half = 0;
  std::size_t x_pitch = 0, y_pitch = 0, table_pitch = 0;
  bool interleaved = false;
};

using Kernel = void (*)(const Args& args);

}  // namespace intaglio::kernels::rotary
