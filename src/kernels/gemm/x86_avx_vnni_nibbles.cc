// s8 activations by u4 codes on AVX-VNNI: codes are the unsigned operand of (VEX) vpdpbusd as they are. 12 sums, two
// vectors of codes, one broadcast of A.
#include "kernels/gemm/nibbles_body.h"
#include "kernels/math/narrow256.h"

namespace intaglio::kernels::gemm {
namespace {

struct Nibbles256 {
  using N = math::Narrow256;
  static constexpr int kRows = 6, kPanels = 1;
  static constexpr std::size_t kChunk = 1;

  template <int MR, int NP>
  struct Sums {
    static_assert(NP == 1);
    __m256i sum[MR][2];

    void zero() {
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) sum[i][0] = sum[i][1] = _mm256_setzero_si256();
    }
    void store(std::int32_t* block) const {
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        N::V::store(block + i * 16, sum[i][0]);
        N::V::store(block + i * 16 + 8, sum[i][1]);
      }
    }
    inline __attribute__((always_inline)) void lines(const std::int8_t* a, std::size_t a_pitch, const char* b,
                                                     std::size_t, std::size_t) {
      half<0>(a, a_pitch, b);
      half<1>(a, a_pitch, b);
    }
    template <int kHalf>
    static __m256i codes(const char* b) {
      const __m256i line = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
      return _mm256_and_si256(kHalf == 0 ? line : _mm256_srli_epi32(line, 4), _mm256_set1_epi8(15));
    }
    template <int kHalf>
    inline __attribute__((always_inline)) void half(const std::int8_t* a, std::size_t a_pitch, const char* b) {
      const __m256i left = codes<kHalf>(b), right = codes<kHalf>(b + 32);
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const __m256i x = _mm256_set1_epi32(four_of(a + static_cast<std::size_t>(i) * a_pitch + kHalf * 4));
        sum[i][0] = _mm256_dpbusd_avx_epi32(sum[i][0], left, x);
        sum[i][1] = _mm256_dpbusd_avx_epi32(sum[i][1], right, x);
      }
    }
  };
};

}  // namespace

void gemm_s8w4_6x16x8_1x16x8_avx_vnni(const Args& args) {
  nibble_block<Nibbles256>(args);
}

}  // namespace intaglio::kernels::gemm
