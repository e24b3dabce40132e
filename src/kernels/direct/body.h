// The direct kernels over a vector policy V (kernels/math). Included by ISA files only. kWide: the level has registers
// for 4 rows by 4 vectors of sums, else for 4 by 2.
#pragma once

#include "kernels/direct/direct.h"

namespace intaglio::kernels::direct {
namespace {

// Vectors of sums per row: at least eight chains of sums in all, which hides the latency of an FMA.
constexpr int vectors_for(int rows, bool wide) {
  return rows == 1 ? 8 : rows == 2 || wide ? 4 : 2;
}

// Rows [i, i + kRows) of kVectors vectors of columns from j on; of the last vector `live` lanes exist. kMasked: fewer
// than all.
template <class V, int kRows, int kVectors, bool kMasked>
inline __attribute__((always_inline)) void columns_block(const Args& g, std::size_t i, std::size_t j,
                                                         std::size_t live) {
  using F = typename V::F;
  F acc[kRows][kVectors];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) acc[r][v] = V::set1(0.0f);
  }
  const float* a = g.a + i * g.a_pitch;
  const float* b = g.k == 0 ? g.b : g.b + j;  // of no rows it may be null
  for (std::size_t k = 0; k < g.k; ++k, b += g.b_pitch) {
    F column[kVectors];
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v) {
      column[v] = kMasked && v + 1 == kVectors ? V::load_n(b + v * V::kLanes, live) : V::load(b + v * V::kLanes);
    }
#pragma GCC unroll 4
    for (std::size_t r = 0; r < kRows; ++r) {
      const F x = V::set1(a[r * g.a_pitch + k]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) acc[r][v] = V::fma(x, column[v], acc[r][v]);
    }
  }
  const F scale = V::set1(g.scale);
#pragma GCC unroll 4
  for (std::size_t r = 0; r < kRows; ++r) {
    float* out = g.out + (i + r) * g.out_pitch + j;
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v) {
      const F x = g.scaled ? V::mul(acc[r][v], scale) : acc[r][v];
      kMasked&& v + 1 == kVectors ? V::store_n(out + v * V::kLanes, x, live) : V::store(out + v * V::kLanes, x);
    }
  }
}

template <class V, bool kWide, int kRows>
void columns_rows(const Args& g, std::size_t i) {
  constexpr int kVectors = vectors_for(kRows, kWide);
  constexpr std::size_t kBlock = kVectors * V::kLanes;
  std::size_t j = 0;
  for (; j + kBlock <= g.n; j += kBlock) columns_block<V, kRows, kVectors, false>(g, i, j, 0);
  for (; j + 2 * V::kLanes <= g.n; j += 2 * V::kLanes) columns_block<V, kRows, 2, false>(g, i, j, 0);
  if (j + V::kLanes < g.n) {
    columns_block<V, kRows, 2, true>(g, i, j, g.n - j - V::kLanes);
  } else if (j + V::kLanes == g.n) {
    columns_block<V, kRows, 1, false>(g, i, j, 0);
  } else if (j < g.n) {
    columns_block<V, kRows, 1, true>(g, i, j, g.n - j);
  }
}

// kKeys rows of b from j on.
template <class V, int kRows, int kKeys>
inline __attribute__((always_inline)) void dots_block(const Args& g, std::size_t i, std::size_t j) {
  using F = typename V::F;
  F acc[kRows][kKeys];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < kKeys; ++c) acc[r][c] = V::set1(0.0f);
  }
  const float* a = g.a + i * g.a_pitch;
  const float* b = g.b + j * g.b_pitch;
  const auto step = [&](std::size_t k, auto load) __attribute__((always_inline)) {
    F x[kRows];
#pragma GCC unroll 4
    for (std::size_t r = 0; r < kRows; ++r) x[r] = load(a + r * g.a_pitch + k);
#pragma GCC unroll 8
    for (std::size_t c = 0; c < kKeys; ++c) {
      const F y = load(b + c * g.b_pitch + k);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) acc[r][c] = V::fma(x[r], y, acc[r][c]);
    }
  };
  std::size_t k = 0;
  for (; k + V::kLanes <= g.k; k += V::kLanes) step(k, [](const float* p) { return V::load(p); });
  if (k < g.k) {
    const std::size_t live = g.k - k;
    step(k, [live](const float* p) { return V::load_n(p, live); });
  }
#pragma GCC unroll 4
  for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (std::size_t c = 0; c < kKeys; ++c) {
      const float sum = V::sum(acc[r][c]);
      g.out[(i + r) * g.out_pitch + j + c] = g.scaled ? sum * g.scale : sum;
    }
  }
}

template <class V, bool kWide, int kRows>
void dots_rows(const Args& g, std::size_t i) {
  constexpr int kKeys = vectors_for(kRows, kWide);
  std::size_t j = 0;
  for (; j + kKeys <= g.n; j += kKeys) dots_block<V, kRows, kKeys>(g, i, j);
  for (; j < g.n; ++j) dots_block<V, kRows, 1>(g, i, j);
}

template <class V, bool kWide>
void columns(const Args& g) {
  std::size_t i = 0;
  for (; i + 4 <= g.m; i += 4) columns_rows<V, kWide, 4>(g, i);
  if (g.m - i == 3) columns_rows<V, kWide, 3>(g, i);
  if (g.m - i == 2) columns_rows<V, kWide, 2>(g, i);
  if (g.m - i == 1) columns_rows<V, kWide, 1>(g, i);
}

template <class V, bool kWide>
void dots(const Args& g) {
  std::size_t i = 0;
  for (; i + 4 <= g.m; i += 4) dots_rows<V, kWide, 4>(g, i);
  if (g.m - i == 3) dots_rows<V, kWide, 3>(g, i);
  if (g.m - i == 2) dots_rows<V, kWide, 2>(g, i);
  if (g.m - i == 1) dots_rows<V, kWide, 1>(g, i);
}

}  // namespace
}  // namespace intaglio::kernels::direct
