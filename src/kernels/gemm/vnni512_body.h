// Dot policies on 512-bit registers whose step is one instruction per vector: 24 accumulators, 4 vectors of B, one
// broadcast of four bytes of A. Included by ISA files only.
//   Step::A, Step::Acc, Step::kGroup, Step::R        element of A, of the sums, k per step, register of sums
//   Step::zero(), prepare(four bytes in all lanes), dot(sum, x, column), store(to, sum)
#pragma once

#include "kernels/gemm/dot_body.h"
#include "kernels/math/narrow512.h"

namespace intaglio::kernels::gemm {
namespace {

template <class Step>
struct Dot512 {
  using N = math::Narrow512;
  using A = typename Step::A;
  using Acc = typename Step::Acc;
  static constexpr std::size_t kGroup = Step::kGroup;
  static constexpr bool kDirect = true;
  static constexpr int kRows = 6, kPanels = 4;

  template <int MR, int NP>
  struct Sums {
    typename Step::R acc[MR][NP];

    void zero() {
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
        for (int p = 0; p < NP; ++p) acc[i][p] = Step::zero();
      }
    }
    inline __attribute__((always_inline)) void step(const A* a, std::size_t a_pitch, const char* b,
                                                    std::size_t b_panel) {
      __m512i column[NP];
#pragma GCC unroll 4
      for (int p = 0; p < NP; ++p) column[p] = _mm512_loadu_si512(b + static_cast<std::size_t>(p) * b_panel);
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const __m512i x = Step::prepare(_mm512_set1_epi32(four_of(a + static_cast<std::size_t>(i) * a_pitch)));
#pragma GCC unroll 4
        for (int p = 0; p < NP; ++p) acc[i][p] = Step::dot(acc[i][p], x, column[p]);
      }
    }
    void store(Acc* block) const {
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
        for (int p = 0; p < NP; ++p) N::V::store(block + (i * NP + p) * 16, acc[i][p]);
      }
    }
  };
};

}  // namespace
}  // namespace intaglio::kernels::gemm
