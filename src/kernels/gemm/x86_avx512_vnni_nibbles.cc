// s8 activations by u4 codes on AVX512-VNNI: codes are the unsigned operand of vpdpbusd as they are, by a mask and by a
// shift and a mask; a line is loaded once for each. Blocks of one or two rows keep sums of the low and the high nibbles
// apart, so that at least eight chains hide the latency of four cycles.
#include "kernels/gemm/nibbles_body.h"
#include "kernels/math/narrow512.h"

namespace intaglio::kernels::gemm {
namespace {

struct Nibbles512 {
  using N = math::Narrow512;
  static constexpr int kRows = 6, kPanels = 4;
  static constexpr std::size_t kChunk = 1;

  template <int MR, int NP>
  struct Sums {
    static constexpr int kApart = MR <= 2 ? 2 : 1;
    __m512i sum[kApart][MR][NP];

    void zero() {
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
        for (int p = 0; p < NP; ++p) {
          sum[0][i][p] = _mm512_setzero_si512();
          if constexpr (kApart == 2) sum[1][i][p] = _mm512_setzero_si512();
        }
      }
    }
    void store(std::int32_t* block) const {
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
        for (int p = 0; p < NP; ++p) {
          const __m512i total = kApart == 2 ? _mm512_add_epi32(sum[0][i][p], sum[kApart - 1][i][p]) : sum[0][i][p];
          N::V::store(block + (i * NP + p) * 16, total);
        }
      }
    }
    inline __attribute__((always_inline)) void lines(const std::int8_t* a, std::size_t a_pitch, const char* b,
                                                     std::size_t b_panel, std::size_t) {
      half<0>(a, a_pitch, b, b_panel);
      half<1>(a, a_pitch, b, b_panel);
    }
    template <int kHalf>
    inline __attribute__((always_inline)) void half(const std::int8_t* a, std::size_t a_pitch, const char* b,
                                                    std::size_t b_panel) {
      const __m512i mask = _mm512_set1_epi8(15);
      __m512i code[NP];
#pragma GCC unroll 4
      for (int p = 0; p < NP; ++p) {
        const __m512i line = _mm512_loadu_si512(b + static_cast<std::size_t>(p) * b_panel);
        code[p] = _mm512_and_si512(kHalf == 0 ? line : _mm512_srli_epi32(line, 4), mask);
      }
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const __m512i x = _mm512_set1_epi32(four_of(a + static_cast<std::size_t>(i) * a_pitch + kHalf * 4));
#pragma GCC unroll 4
        for (int p = 0; p < NP; ++p) {
          __m512i& to = sum[kHalf % kApart][i][p];
          to = _mm512_dpbusd_epi32(to, code[p], x);
        }
      }
    }
  };
};

}  // namespace

void gemm_s8w4_6x64x8_1x16x8_avx512_vnni(const Args& args) {
  nibble_block<Nibbles512>(args);
}

}  // namespace intaglio::kernels::gemm
