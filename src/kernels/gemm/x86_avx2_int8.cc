// 8-bit GEMM on AVX2. Widening to 16 bits and vpmaddwd keeps every sum exact; vpmaddubsw would saturate. A panel's 64
// bytes (16 columns x 4 k) become four vectors of 4 columns x 4 k; vpmaddwd leaves two i32 per column, which are joined
// once, at the store.
#include "kernels/gemm/dot_body.h"
#include "kernels/math/narrow256.h"

namespace intaglio::kernels::gemm {
namespace {

struct WidenU8 {
  using A = std::uint8_t;
  static __m256i widen(__m128i four) { return _mm256_cvtepu8_epi16(four); }
};
struct WidenS8 {
  using A = std::int8_t;
  static __m256i widen(__m128i four) { return _mm256_cvtepi8_epi16(four); }
};

template <class Widen>
struct Maddwd256 {
  using N = math::Narrow256;
  using A = typename Widen::A;
  using Acc = std::int32_t;
  static constexpr std::size_t kGroup = kInt8KGroup;
  static constexpr bool kDirect = false;
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
    inline __attribute__((always_inline)) void step(const A* a, std::size_t a_pitch, const char* b, std::size_t) {
      __m256i x[MR];
#pragma GCC unroll 4
      for (int i = 0; i < MR; ++i) {
        x[i] = Widen::widen(_mm_set1_epi32(four_of(a + static_cast<std::size_t>(i) * a_pitch)));
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
  dot_block<Maddwd256<WidenU8>>(args);
}
void gemm_s8s8i32_3x16x4_1x16x4_avx2(const Args& args) {
  dot_block<Maddwd256<WidenS8>>(args);
}

}  // namespace intaglio::kernels::gemm
