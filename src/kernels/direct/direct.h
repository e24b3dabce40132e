// Contract of the direct kernels: f32 products of few rows with B where it lies. Packing B for kernels/gemm reads and
// writes all of it once, which pays only if many rows of A follow.
//
//   columns  out[i][j] = s * sum over k of a[i][k] * b[k][j]     b [K][N]: rows of N elements, b_pitch apart
//   dots     out[i][j] = s * sum over k of a[i][k] * b[j][k]     b [N][K]: rows of K elements, b_pitch apart
//
// s = scale, one more rounding, if scaled; else 1. i < m, j < n, any of m, n, k may be 0 (a sum of nothing is 0).
// Fast for m <= 4; more rows take B from the cache once for every four.
//
// columns: k ascending, one chain of sums per element; FMA levels round once per step, scalar and sse42 twice: the bits
// of kernels/gemm on the same operands. dots: the lanes of a vector sum every 4th, 8th or 16th product, by the level,
// and are joined in the end; scalar in one chain. The order depends on k and the row of the table only, never on m, n,
// or where a column stands.
//
// Rows of a are a_pitch apart, of out out_pitch (elements). Everything needs only the alignment of its elements. No
// element outside the named ranges is read or written. out overlaps nothing. NaN and infinity follow IEEE 754.
#pragma once

#include "base/pod.h"

namespace intaglio::kernels::direct {

struct Args {
  std::size_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  std::size_t a_pitch = 0;
  const float* b = nullptr;
  std::size_t b_pitch = 0;
  float* out = nullptr;
  std::size_t out_pitch = 0;
  bool scaled = false;
  float scale = 1.0f;
};
using Kernel = void (*)(const Args& args);

}  // namespace intaglio::kernels::direct
