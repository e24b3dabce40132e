// 8-bit GEMM on AVX-VNNI (VEX vpdpbusd): 6 rows x 2 vectors of 8 columns, 12 accumulators. s8 activations are flipped
// to u8 in the register that holds their broadcast: the row multiplies a + 128.
#include "kernels/gemm/dot_body.h"
#include "kernels/math/narrow256.h"

namespace intaglio::kernels::gemm {
namespace {

struct Unsigned {
  using A = std::uint8_t;
  static __m256i prepare(__m256i four) { return four; }
};
struct Signed {
  using A = std::int8_t;
  static __m256i prepare(__m256i four) {
    return _mm256_xor_si256(four, _mm256_set1_epi32(static_cast<std::int32_t>(0x80808080u)));
  }
};

template <class Sign>
struct Dot256 {
  using N = math::Narrow256;
  using A = typename Sign::A;
  using Acc = std::int32_t;
  static constexpr std::size_t kGroup = kInt8KGroup;
  static constexpr bool kDirect = true;
  static constexpr int kRows = 6, kPanels = 1;

  template <int MR, int NP>
  struct Sums {
    static_assert(NP == 1);
    __m256i acc[MR][2];

    void zero() {
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) acc[i][0] = acc[i][1] = _mm256_setzero_si256();
    }
    inline __attribute__((always_inline)) void step(const A* a, std::size_t a_pitch, const char* b, std::size_t) {
      const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
      const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + 32));
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const __m256i x = Sign::prepare(_mm256_set1_epi32(four_of(a + static_cast<std::size_t>(i) * a_pitch)));
        acc[i][0] = _mm256_dpbusd_avx_epi32(acc[i][0], x, low);
        acc[i][1] = _mm256_dpbusd_avx_epi32(acc[i][1], x, high);
      }
    }
    void store(std::int32_t* block) const {
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        _mm256_store_si256(reinterpret_cast<__m256i*>(block + i * 16), acc[i][0]);
        _mm256_store_si256(reinterpret_cast<__m256i*>(block + i * 16 + 8), acc[i][1]);
      }
    }
  };
};

}  // namespace

void gemm_u8s8i32_6x16x4_1x16x4_avx_vnni(const Args& args) {
  dot_block<Dot256<Unsigned>>(args);
}
void gemm_s8s8i32_6x16x4_1x16x4_avx_vnni(const Args& args) {
  dot_block<Dot256<Signed>>(args);
}

}  // namespace intaglio::kernels::gemm
