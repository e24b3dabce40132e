// u8 x s8 GEMM on AVX512-VNNI: 24 accumulators, vpdpbusd (exact: i32 sums of four u8 x s8 products do not saturate).
#include "kernels/gemm/s8_body.h"
#include "kernels/math/v512.h"

namespace intaglio::kernels::gemm {
namespace {

struct Vnni512 {
  using V = math::V512;
  static constexpr int kRows = 6, kPanels = 4;

  template <int MR, int NP>
  struct Sums {
    __m512i acc[MR][NP];

    void zero() {
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
        for (int p = 0; p < NP; ++p) acc[i][p] = _mm512_setzero_si512();
      }
    }
    inline __attribute__((always_inline)) void step(const std::uint8_t* a, std::size_t a_pitch, const std::int8_t* b,
                                                    std::size_t b_panel) {
      __m512i column[NP];
#pragma GCC unroll 4
      for (int p = 0; p < NP; ++p) column[p] = _mm512_loadu_si512(b + static_cast<std::size_t>(p) * b_panel);
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        std::int32_t four;
        __builtin_memcpy(&four, a + static_cast<std::size_t>(i) * a_pitch, sizeof(four));
        const __m512i x = _mm512_set1_epi32(four);
#pragma GCC unroll 4
        for (int p = 0; p < NP; ++p) acc[i][p] = _mm512_dpbusd_epi32(acc[i][p], x, column[p]);
      }
    }
    void store(std::int32_t* block) const {
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
        for (int p = 0; p < NP; ++p) _mm512_store_si512(block + (i * NP + p) * 16, acc[i][p]);
      }
    }
  };
};

}  // namespace

void gemm_u8s8i32_6x64x4_1x16x4_avx512_vnni(const Args& args) {
  s8_block<Vnni512>(args);
}

}  // namespace intaglio::kernels::gemm
