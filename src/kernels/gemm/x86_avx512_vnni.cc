// 8-bit GEMM on AVX512-VNNI by vpdpbusd (exact: i32 sums of four u8 x s8 products do not saturate). s8 activations are
// flipped to u8 in the register that holds their broadcast: the row multiplies a + 128.
#include "kernels/gemm/vnni512_body.h"

namespace intaglio::kernels::gemm {
namespace {

struct U8Step {
  using A = std::uint8_t;
  using Acc = std::int32_t;
  using R = __m512i;
  static constexpr std::size_t kGroup = kInt8KGroup;
  static R zero() { return _mm512_setzero_si512(); }
  static __m512i prepare(__m512i four) { return four; }
  static R dot(R sum, __m512i x, __m512i column) { return _mm512_dpbusd_epi32(sum, x, column); }
};
struct S8Step : U8Step {
  static __m512i prepare(__m512i four) {
    return _mm512_xor_si512(four, _mm512_set1_epi32(static_cast<std::int32_t>(0x80808080u)));
  }
};

}  // namespace

void gemm_u8s8i32_6x64x4_1x16x4_avx512_vnni(const Args& args) {
  dot_block<Dot512<U8Step>>(args);
}
void gemm_s8s8i32_6x64x4_1x16x4_avx512_vnni(const Args& args) {
  dot_block<Dot512<S8Step>>(args);
}

}  // namespace intaglio::kernels::gemm
