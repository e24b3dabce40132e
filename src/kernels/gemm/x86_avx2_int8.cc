// u8 x s8 GEMM on AVX2. Widening to 16 bits and vpmaddwd keeps every sum exact; vpmaddubsw would saturate.
// A panel's 64 bytes (16 columns x 4 k) become four vectors of 4 columns x 4 k; vpmaddwd leaves two i32 per column,
// which are joined once, at the store.
#include "kernels/gemm/s8_body.h"
#include "kernels/math/v256.h"

namespace intaglio::kernels::gemm {
namespace {

struct Maddwd256 {
  using V = math::V256;
  static constexpr int kRows = 3, kPanels = 1;

  template <int MR, int NP>
  struct Sums {
    static_assert(NP == 1);
    __m256i acc[MR][4];

    void zero() {
#pragma GCC unroll 4
      for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) acc[i][q] = _mm256_setzero_si256();
      }
    }
    inline __attribute__((always_inline)) void step(const std::uint8_t* a, std::size_t a_pitch, const std::int8_t* b,
                                                    std::size_t) {
      __m256i x[MR];
#pragma GCC unroll 4
      for (int i = 0; i < MR; ++i) {
        std::int32_t four;
        __builtin_memcpy(&four, a + static_cast<std::size_t>(i) * a_pitch, sizeof(four));
        x[i] = _mm256_cvtepu8_epi16(_mm_set1_epi32(four));
      }
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) {
        const __m256i column = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b + q * 16)));
#pragma GCC unroll 4
        for (int i = 0; i < MR; ++i) acc[i][q] = _mm256_add_epi32(acc[i][q], _mm256_madd_epi16(x[i], column));
      }
    }
    void store(std::int32_t* block) const {
#pragma GCC unroll 4
      for (int i = 0; i < MR; ++i) {
        // hadd works within 128-bit halves: {0 1 4 5 | 2 3 6 7}, put in order by the permutation.
        const __m256i low = _mm256_permute4x64_epi64(_mm256_hadd_epi32(acc[i][0], acc[i][1]), 0xD8);
        const __m256i high = _mm256_permute4x64_epi64(_mm256_hadd_epi32(acc[i][2], acc[i][3]), 0xD8);
        _mm256_store_si256(reinterpret_cast<__m256i*>(block + i * 16), low);
        _mm256_store_si256(reinterpret_cast<__m256i*>(block + i * 16 + 8), high);
      }
    }
  };
};

}  // namespace

void gemm_u8s8i32_3x16x4_1x16x4_avx2(const Args& args) {
  s8_block<Maddwd256>(args);
}

}  // namespace intaglio::kernels::gemm
