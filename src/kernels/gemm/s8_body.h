// The u8 x s8 -> i32 block around a dot policy D: start, accumulate over groups of 4 k, K tail, finish.
//   D::V        the vector policy of the epilogue (lanes of int32)
//   D::kRows, D::kPanels           the block
//   D::Sums<MR, NP>                the accumulators in registers: zero(), step(a, a_pitch, b, b_panel), store(block)
// A K tail of 1..3 is gathered into a small zero-filled copy of A, so that A needs no padding; B's padding is zero.
#pragma once

#include "kernels/gemm/epilogue_body.h"

namespace intaglio::kernels::gemm {
namespace {

template <class D, int MR, int NP>
struct S8Block {
  static constexpr std::size_t kWidth = NP * kPanelWidth;
  using V = typename D::V;

  static void run(const Args& g) {
    alignas(64) std::int32_t block[MR * kWidth];
    const auto* a = static_cast<const std::uint8_t*>(g.a);
    const auto* b = static_cast<const std::int8_t*>(g.b);
    typename D::template Sums<MR, NP> sums;
    sums.zero();
    const std::size_t groups = g.k / kInt8KGroup;
    const auto* ahead = static_cast<const std::int8_t*>(g.prefetch);
    const std::size_t every = g.prefetch_every != 0 ? g.prefetch_every : groups;
    for (std::size_t left = groups; left != 0;) {
      std::size_t steps = left < every ? left : every;
      left -= steps;
      if (ahead != nullptr) {
#pragma GCC unroll 4
        for (std::size_t p = 0; p < NP; ++p) __builtin_prefetch(ahead + p * g.b_panel, 0, 2);
        ahead += kInt8KGroup * kPanelWidth;
      }
      for (; steps != 0; --steps) {
        sums.step(a, g.a_pitch, b, g.b_panel);
        a += kInt8KGroup;
        b += kInt8KGroup * kPanelWidth;
      }
    }
    if (const std::size_t tail = g.k % kInt8KGroup; tail != 0) {
      std::uint8_t rest[MR * kInt8KGroup] = {};
      for (std::size_t i = 0; i < MR; ++i) {
        for (std::size_t k = 0; k < tail; ++k) rest[i * kInt8KGroup + k] = a[i * g.a_pitch + k];
      }
      sums.step(rest, kInt8KGroup, b, g.b_panel);
    }
    sums.store(block);
    if (g.load_partial) add_partial(g, block);
    if (g.epilogue != nullptr) return finish<V>(block, kWidth, g);
    for (std::size_t i = 0; i < MR; ++i) {
      for (std::size_t j = 0; j < g.n; j += V::kLanes) {
        store_some<V>(static_cast<std::int32_t*>(g.partial) + i * g.partial_pitch + j, V::load(block + i * kWidth + j),
                      g.n - j);
      }
    }
  }

  // Integer sums may be joined in any order.
  static void add_partial(const Args& g, std::int32_t* block) {
    for (std::size_t i = 0; i < MR; ++i) {
      const std::int32_t* row = static_cast<const std::int32_t*>(g.partial) + i * g.partial_pitch;
      for (std::size_t j = 0; j < g.n; j += V::kLanes) {
        std::int32_t* to = block + i * kWidth + j;
        V::store(to, V::addi(V::load(to), load_some<V>(row + j, g.n - j)));
      }
    }
  }
};

template <class D, int MR, int NP>
void s8_rows(const Args& g) {
  if (g.m == static_cast<std::size_t>(MR)) return S8Block<D, MR, NP>::run(g);
  if constexpr (MR > 1) s8_rows<D, MR - 1, NP>(g);
}

template <class D, int MR = D::kRows, int NP = D::kPanels>
void s8_block(const Args& g) {
  if (g.n == 0) return;
  if (NP == 1 || g.n > (NP - 1) * kPanelWidth) return s8_rows<D, MR, NP>(g);
  if constexpr (NP > 1) s8_block<D, MR, NP - 1>(g);
}

}  // namespace
}  // namespace intaglio::kernels::gemm
