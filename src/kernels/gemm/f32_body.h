// The micro-kernel with f32 sums over a narrow policy N and a weight policy W: rows x panels accumulators held in
// registers while k runs once. Row tails are template instances (1..MR rows), panel tails too; the last panel's columns
// are masked at the stores.
//   W::A                          the element type of A; W::broadcast<V>(a) is one of them in all lanes, as f32
//   W::kGroup, W::kLine           k per line of a panel, bytes of a line (layout.h)
//   W::kScaled                    weights have a GroupTable
//   W::load<N, q>(line, h, s)     the weights of k = q of the line, columns of vector h of the panel; s: Scales
#pragma once

#include "kernels/gemm/epilogue_body.h"
#include "kernels/gemm/prefetch_body.h"

namespace intaglio::kernels::gemm {
namespace {

// Where the scales and zeros of one group and panel begin; null without groups or zeros.
struct Scales {
  const float* scale;
  const float* zero;
  float center;
};

// f32 as it is.
struct PlainWeights {
  using A = float;
  static constexpr std::size_t kGroup = 1, kLine = kLineBytes;
  static constexpr bool kScaled = false;
  template <class V>
  static inline __attribute__((always_inline)) auto broadcast(const A* a) {
    return V::set1(*a);
  }
  template <class N, int q>
  static inline __attribute__((always_inline)) auto load(const char* line, std::size_t h, const Scales&) {
    return N::V::load(reinterpret_cast<const float*>(line) + h * N::V::kLanes);
  }
};

template <class N, class W, int MR, int NP>
struct F32Block {
  using V = typename N::V;
  using F = typename V::F;
  using A = typename W::A;
  static constexpr std::size_t kPerPanel = kPanelWidth / V::kLanes;
  static constexpr int kVectors = NP * static_cast<int>(kPerPanel);  // per row

  static void run(const Args& g) {
    F acc[MR][kVectors];
    start(g, acc);
    prefetch_output(g, MR);
    accumulate(g, acc);
    if (g.epilogue == nullptr) return store(acc, static_cast<float*>(g.partial), g.partial_pitch, g.n);
    if (is_plain_f32(*g.epilogue)) return store(acc, static_cast<float*>(g.out), g.out_pitch, g.n);
    alignas(64) float block[MR * NP * kPanelWidth];
    store(acc, block, NP * kPanelWidth, NP * kPanelWidth);
    finish<N, NP>(block, NP * kPanelWidth, g);
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

  // Group by group of k, inside it line by line, with a line of later panels fetched now and then.
  static inline __attribute__((always_inline)) void accumulate(const Args& g, F (&acc)[MR][kVectors]) {
    const A* a = static_cast<const A*>(g.a);
    const char* b = static_cast<const char*>(g.b);
    PrefetchWalk<NP, 1, W::kLine> walk(g);
    const std::size_t span = W::kScaled ? g.groups.group : g.k;
    Scales scales{g.groups.scale, g.groups.zero, g.groups.center};
    for (std::size_t left = g.k; left != 0;) {
      const std::size_t now = left < span ? left : span;
      left -= now;
      if (W::kScaled && walk.every != 0)
        prefetch_groups<NP>(g, static_cast<std::size_t>(scales.scale - g.groups.scale));
      walk.run(now / W::kGroup, [&]() __attribute__((always_inline)) {
        line<W::kGroup>(g, a, b, scales, acc, W::kGroup);
        a += W::kGroup;
        b += W::kLine;
      });
      if (const std::size_t tail = now % W::kGroup; tail != 0) line<W::kGroup>(g, a, b, scales, acc, tail);
      if constexpr (W::kScaled) {
        scales.scale += kPanelWidth;
        if (scales.zero != nullptr) scales.zero += kPanelWidth;
      }
    }
  }

  // The first `live` k of one line.
  template <std::size_t kLive>
  static inline __attribute__((always_inline)) void line(const Args& g, const A* a, const char* b, const Scales& scales,
                                                         F (&acc)[MR][kVectors], std::size_t live) {
    if constexpr (kLive > 0) {
      line<kLive - 1>(g, a, b, scales, acc, live);
      constexpr int q = static_cast<int>(kLive) - 1;
      if (W::kGroup != 1 && live < kLive) return;
      F column[kVectors];
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kVectors; ++v) {
        const std::size_t panel = v / kPerPanel;
        Scales of_panel = scales;
        if constexpr (W::kScaled) {
          of_panel.scale += panel * g.groups.panel;
          if (of_panel.zero != nullptr) of_panel.zero += panel * g.groups.panel;
        }
        column[v] = W::template load<N, q>(b + panel * g.b_panel, v % kPerPanel, of_panel);
      }
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
        const F x = W::template broadcast<V>(a + static_cast<std::size_t>(i) * g.a_pitch + q);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) acc[i][v] = V::fma(x, column[v], acc[i][v]);
      }
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
template <class N, class W, int MR, int NP>
void f32_rows(const Args& g) {
  if (g.m == static_cast<std::size_t>(MR)) return F32Block<N, W, MR, NP>::run(g);
  if constexpr (MR > 1) f32_rows<N, W, MR - 1, NP>(g);
}

template <class N, class W, int MR, int NP>
void f32_block(const Args& g) {
  if (g.n == 0) return;
  if (NP == 1 || g.n > (NP - 1) * kPanelWidth) return f32_rows<N, W, MR, NP>(g);
  if constexpr (NP > 1) f32_block<N, W, MR, NP - 1>(g);
}

}  // namespace
}  // namespace intaglio::kernels::gemm
