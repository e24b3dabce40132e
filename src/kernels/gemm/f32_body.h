// The f32 micro-kernel over a vector policy V: rows x panels accumulators held in registers while k runs once.
// Row tails are template instances (1..MR rows), panel tails too; the last panel's columns are masked at the stores.
#pragma once

#include "kernels/gemm/epilogue_body.h"

namespace intaglio::kernels::gemm {
namespace {

template <class V, int MR, int NP>
struct F32Block {
  static constexpr int kVectors = NP * static_cast<int>(kPanelWidth / V::kLanes);  // per row
  static constexpr int kPerPanel = static_cast<int>(kPanelWidth / V::kLanes);
  using F = typename V::F;

  static void run(const Args& g) {
    F acc[MR][kVectors];
    start(g, acc);
    accumulate(g, acc);
    if (g.epilogue == nullptr) return store(acc, static_cast<float*>(g.partial), g.partial_pitch, g.n);
    if (is_plain_f32(*g.epilogue)) return store(acc, static_cast<float*>(g.out), g.out_pitch, g.n);
    alignas(64) float block[MR * NP * kPanelWidth];
    store(acc, block, NP * kPanelWidth, NP * kPanelWidth);
    finish<V>(block, NP * kPanelWidth, g);
  }

  static inline __attribute__((always_inline)) void start(const Args& g, F (&acc)[MR][kVectors]) {
    if (!g.load_partial) {
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) acc[i][v] = V::set1(0.0f);
      }
      return;
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const float* row = static_cast<const float*>(g.partial) + static_cast<std::size_t>(i) * g.partial_pitch;
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const std::size_t j = static_cast<std::size_t>(v) * V::kLanes;
        acc[i][v] = j < g.n ? load_some<V>(row + j, g.n - j) : V::set1(0.0f);
      }
    }
  }

  static inline __attribute__((always_inline)) void accumulate(const Args& g, F (&acc)[MR][kVectors]) {
    const float* a = static_cast<const float*>(g.a);
    const float* b = static_cast<const float*>(g.b);
    const std::size_t pitch = g.a_pitch;
    const std::size_t panel = g.b_panel;
    const float* ahead = static_cast<const float*>(g.prefetch);
    const std::size_t every = g.prefetch_every != 0 ? g.prefetch_every : g.k;
    for (std::size_t left = g.k; left != 0;) {
      const std::size_t steps = left < every ? left : every;
      left -= steps;
      if (ahead != nullptr) {
#pragma GCC unroll 4
        for (std::size_t p = 0; p < NP; ++p) __builtin_prefetch(ahead + p * panel, 0, 2);
        ahead += kPanelWidth;
      }
      multiply(steps, a, pitch, b, panel, acc);
      a += steps;
      b += steps * kPanelWidth;
    }
  }

  // `steps` k steps.
  static inline __attribute__((always_inline)) void multiply(std::size_t steps, const float* a, std::size_t pitch,
                                                             const float* b, std::size_t panel,
                                                             F (&acc)[MR][kVectors]) {
    for (; steps != 0; --steps) {
      F column[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        column[v] = V::load(b + static_cast<std::size_t>(v / kPerPanel) * panel +
                            static_cast<std::size_t>(v % kPerPanel) * V::kLanes);
      }
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
        const F x = V::set1(a[static_cast<std::size_t>(i) * pitch]);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) acc[i][v] = V::fma(x, column[v], acc[i][v]);
      }
      ++a;
      b += kPanelWidth;
    }
  }

  static inline __attribute__((always_inline)) void store(F (&acc)[MR][kVectors], float* to, std::size_t pitch,
                                                          std::size_t n) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      float* row = to + static_cast<std::size_t>(i) * pitch;
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const std::size_t j = static_cast<std::size_t>(v) * V::kLanes;
        if (j < n) store_some<V>(row + j, acc[i][v], n - j);
      }
    }
  }
};

// The instance for g.m rows; a chain of predictable comparisons, once per block.
template <class V, int MR, int NP>
void f32_rows(const Args& g) {
  if (g.m == static_cast<std::size_t>(MR)) return F32Block<V, MR, NP>::run(g);
  if constexpr (MR > 1) f32_rows<V, MR - 1, NP>(g);
}

template <class V, int MR, int NP>
void f32_block(const Args& g) {
  if (g.n == 0) return;
  if (NP == 1 || g.n > (NP - 1) * kPanelWidth) return f32_rows<V, MR, NP>(g);
  if constexpr (NP > 1) f32_block<V, MR, NP - 1>(g);
}

}  // namespace
}  // namespace intaglio::kernels::gemm
