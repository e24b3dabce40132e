// The micro-kernel of s8 activations by u4 codes with groups (s8w4) around a policy D: within a group the products are
// summed in i32, exactly; at its end each sum takes the zero away, becomes f32 and is added with the group's scale.
//   D::N                           the narrow policy of the epilogue
//   D::kRows, D::kPanels           the block
//   D::kChunk                      lines per step
//   D::Sums<MR, NP>                i32 sums of one group in registers: zero(), store(block),
//     lines(a, a_pitch, b, b_panel, count)   adds `count` <= kChunk lines of 8 k
// A group's sums and the f32 accumulators meet in an L1 scratch, from which the epilogue reads as well: four accesses a
// vector and group, and all registers are left to the sums. A tail of k % 8 is gathered into a zero-filled copy of A;
// B's padding is zero.
#pragma once

#include "kernels/gemm/dot_body.h"

namespace intaglio::kernels::gemm {
namespace {

template <class D, int MR, int NP>
struct NibbleBlock {
  using N = typename D::N;
  using V = typename N::V;
  static constexpr std::size_t kWidth = NP * kPanelWidth;
  static constexpr int kPerPanel = static_cast<int>(kPanelWidth / V::kLanes);
  static constexpr int kVectors = NP * kPerPanel;  // per row

  static void run(const Args& g) {
    alignas(64) float block[MR * kWidth];
    alignas(64) std::int32_t of_group[MR * kWidth];
    load_block<N, MR, NP>(g, block);
    const auto* a = static_cast<const std::int8_t*>(g.a);
    const char* b = static_cast<const char*>(g.b);
    PrefetchWalk<NP, D::kChunk, kLineBytes> walk(g);
    std::size_t at = 0;  // of this group in the tables
    for (std::size_t left = g.k, group = 0; left != 0; ++group, at += kPanelWidth) {
      const std::size_t now = left < g.groups.group ? left : g.groups.group;
      left -= now;
      typename D::template Sums<MR, NP> sums;
      sums.zero();
      if (walk.every != 0) prefetch_groups<NP>(g, at);
      const std::size_t lines = now / kNibbleKGroup;
      const auto take = [&](std::size_t count) __attribute__((always_inline)) {
        sums.lines(a, g.a_pitch, b, g.b_panel, count);
        a += count * kNibbleKGroup;
        b += count * kLineBytes;
      };
      walk.run(lines / D::kChunk, [&]() __attribute__((always_inline)) { take(D::kChunk); });
      if (D::kChunk != 1 && lines % D::kChunk != 0) take(lines % D::kChunk);
      if (const std::size_t tail = now % kNibbleKGroup; tail != 0) {
        std::int8_t rest[MR * kNibbleKGroup] = {};
        for (std::size_t i = 0; i < MR; ++i) {
          for (std::size_t k = 0; k < tail; ++k) rest[i * kNibbleKGroup + k] = a[i * g.a_pitch + k];
        }
        sums.lines(rest, kNibbleKGroup, b, g.b_panel, 1);
      }
      sums.store(of_group);
      add(g, group, at, of_group, block);
    }
    leave_block<N, MR, NP>(g, block);
  }

  static const float* entry(const float* table, const Args& g, std::size_t at, int v) {
    return table + static_cast<std::size_t>(v / kPerPanel) * g.groups.panel + at +
           static_cast<std::size_t>(v % kPerPanel) * V::kLanes;
  }

  // block += scale * float(sums - zero * (A's sum over the group)). Not inlined: the loops over lines keep the
  // registers.
  static __attribute__((noinline)) void add(const Args& g, std::size_t group, std::size_t at, const std::int32_t* sums,
                                            float* block) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const auto scale = V::load(entry(g.groups.scale, g, at, v));
      const auto zero = g.groups.zero != nullptr ? V::to_int(V::load(entry(g.groups.zero, g, at, v)))
                                                 : V::set1i(static_cast<std::int32_t>(g.groups.center));
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const auto row = V::set1i(g.groups.row_sums[static_cast<std::size_t>(i) * g.groups.row_sums_pitch + group]);
        const std::size_t to = static_cast<std::size_t>(i) * kWidth + static_cast<std::size_t>(v) * V::kLanes;
        const auto term = V::to_float(V::subi(V::load(sums + to), V::muli(zero, row)));
        V::store(block + to, V::fma(scale, term, V::load(block + to)));
      }
    }
  }
};

template <class D, int MR, int NP>
void nibble_rows(const Args& g) {
  if (g.m == static_cast<std::size_t>(MR)) return NibbleBlock<D, MR, NP>::run(g);
  if constexpr (MR > 1) nibble_rows<D, MR - 1, NP>(g);
}

template <class D, int MR = D::kRows, int NP = D::kPanels>
void nibble_block(const Args& g) {
  if (g.n == 0) return;
  if (NP == 1 || g.n > (NP - 1) * kPanelWidth) return nibble_rows<D, MR, NP>(g);
  if constexpr (NP > 1) nibble_block<D, MR, NP - 1>(g);
}

}  // namespace
}  // namespace intaglio::kernels::gemm
