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
#include "kernels/gemm/prefetch_body.h"

namespace intaglio::kernels::gemm {
namespace {

// The end of a call: a block of accumulators in memory through the epilogue, or to `partial`; and its begin where sums
// go on from `partial`.
template <class N, int MR, int NP, class Acc>
void leave_block(const Args& g, const Acc* block) {
  using V = typename N::V;
  constexpr std::size_t kWidth = NP * kPanelWidth;
  if (g.epilogue != nullptr) return finish<N, NP>(block, kWidth, g);
  for (std::size_t i = 0; i < MR; ++i) {
    for (std::size_t j = 0; j < g.n; j += V::kLanes) {
      store_some<V>(static_cast<Acc*>(g.partial) + i * g.partial_pitch + j, V::load(block + i * kWidth + j), g.n - j);
    }
  }
}
template <class N, int MR, int NP>
void load_block(const Args& g, float* block) {
  using V = typename N::V;
  constexpr std::size_t kWidth = NP * kPanelWidth;
  for (std::size_t i = 0; i < MR; ++i) {
    const float* row = static_cast<const float*>(g.partial) + i * g.partial_pitch;
    for (std::size_t j = 0; j < kWidth; j += V::kLanes) {
      const bool has = g.load_partial && j < g.n;
      V::store(block + i * kWidth + j, has ? load_some<V>(row + j, g.n - j) : V::set1(0.0f));
    }
  }
}

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
    prefetch_output(g, MR);
    PrefetchWalk<NP, 1, kLineBytes> walk(g);
    walk.run(g.k / D::kGroup, [&]() __attribute__((always_inline)) {
      sums.step(a, g.a_pitch, b, g.b_panel);
      a += D::kGroup;
      b += kLineBytes;
    });
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
    leave_block<typename D::N, MR, NP>(g, block);
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
