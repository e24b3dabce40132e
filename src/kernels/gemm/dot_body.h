// The micro-kernel of instructions that multiply groups of consecutive k (vpdpbusd, vpmaddwd, vdpbf16ps) around a dot
// policy D: accumulate over groups of k, K tail, join with earlier ranges, finish.
//   D::N                           the narrow policy of the epilogue
//   D::A, D::Acc                   the element of A, of the sums (int32 or float)
//   D::kGroup                      k per step
//   D::kRows, D::kPanels           the block
//   D::kDirect                     Sums::acc[row][vector] are the sums themselves
//   D::Sums<MR, NP>                the accumulators in registers: zero(), step(a, a_pitch, b, b_panel), store(block)
// A K tail is gathered into a small zero-filled copy of A, so that A needs no padding; B's padding is zero.
#pragma once

#include "kernels/gemm/direct_body.h"

namespace intaglio::kernels::gemm {
namespace {

template <class D, int MR, int NP>
struct DotBlock {
  static constexpr std::size_t kWidth = NP * kPanelWidth;
  using V = typename D::N::V;
  using A = typename D::A;
  using Acc = typename D::Acc;

  static void run(const Args& g) {
    alignas(64) Acc block[MR * kWidth];
    const auto* a = static_cast<const A*>(g.a);
    const char* b = static_cast<const char*>(g.b);
    typename D::template Sums<MR, NP> sums;
    sums.zero();
    const std::size_t groups = g.k / D::kGroup;
    const char* ahead = static_cast<const char*>(g.prefetch);
    const std::size_t every = g.prefetch_every != 0 ? g.prefetch_every : groups;
    for (std::size_t left = groups; left != 0;) {
      std::size_t steps = left < every ? left : every;
      left -= steps;
      if (ahead != nullptr) {
#pragma GCC unroll 4
        for (std::size_t p = 0; p < NP; ++p) __builtin_prefetch(ahead + p * g.b_panel, 0, 2);
        ahead += kLineBytes;
      }
      for (; steps != 0; --steps) {
        sums.step(a, g.a_pitch, b, g.b_panel);
        a += D::kGroup;
        b += kLineBytes;
      }
    }
    if (const std::size_t tail = g.k % D::kGroup; tail != 0) {
      A rest[MR * D::kGroup] = {};
      for (std::size_t i = 0; i < MR; ++i) {
        for (std::size_t k = 0; k < tail; ++k) rest[i * D::kGroup + k] = a[i * g.a_pitch + k];
      }
      sums.step(rest, D::kGroup, b, g.b_panel);
    }
    if constexpr (D::kDirect && NP == D::kPanels) {
      constexpr int kVectors = static_cast<int>(kWidth / V::kLanes);
      if (is_direct(g, kWidth)) return DirectEpilogue<V, kVectors>(g).run(sums.acc);
    }
    sums.store(block);
    if (g.load_partial) add_partial(g, block);
    if (g.epilogue != nullptr) return finish<typename D::N, NP>(block, kWidth, g);
    for (std::size_t i = 0; i < MR; ++i) {
      for (std::size_t j = 0; j < g.n; j += V::kLanes) {
        store_some<V>(static_cast<Acc*>(g.partial) + i * g.partial_pitch + j, V::load(block + i * kWidth + j), g.n - j);
      }
    }
  }

  static auto sum(typename V::I x, typename V::I y) { return V::addi(x, y); }
  static auto sum(typename V::F x, typename V::F y) { return V::add(x, y); }
  static void add_partial(const Args& g, Acc* block) {
    for (std::size_t i = 0; i < MR; ++i) {
      const Acc* row = static_cast<const Acc*>(g.partial) + i * g.partial_pitch;
      for (std::size_t j = 0; j < g.n; j += V::kLanes) {
        Acc* to = block + i * kWidth + j;
        V::store(to, sum(load_some<V>(row + j, g.n - j), V::load(to)));
      }
    }
  }
};

template <class D, int MR, int NP>
void dot_rows(const Args& g) {
  if (g.m == static_cast<std::size_t>(MR)) return DotBlock<D, MR, NP>::run(g);
  if constexpr (MR > 1) dot_rows<D, MR - 1, NP>(g);
}

template <class D, int MR = D::kRows, int NP = D::kPanels>
void dot_block(const Args& g) {
  if (g.n == 0) return;
  if (NP == 1 || g.n > (NP - 1) * kPanelWidth) return dot_rows<D, MR, NP>(g);
  if constexpr (NP > 1) dot_block<D, MR, NP - 1>(g);
}

// Four bytes of A.
inline std::int32_t four_of(const void* a) {
  std::int32_t four;
  __builtin_memcpy(&four, a, sizeof(four));
  return four;
}

}  // namespace
}  // namespace intaglio::kernels::gemm
