// bf16 GEMM on AVX512-BF16 by vdpbf16ps: two products per lane and step, sums rounded to nearest even, denormals count
// as 0.
#include "kernels/gemm/vnni512_body.h"

namespace intaglio::kernels::gemm {
namespace {

struct Bf16Step {
  using A = std::uint16_t;
  using Acc = float;
  using R = __m512;
  static constexpr std::size_t kGroup = kPairKGroup;
  static R zero() { return _mm512_setzero_ps(); }
  static __m512i prepare(__m512i four) { return four; }
  static R dot(R sum, __m512i x, __m512i column) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(column));
  }
};

}  // namespace

void gemm_bf16_6x64x2_1x16x2_avx512_bf16(const Args& args) {
  dot_block<Dot512<Bf16Step>>(args);
}

}  // namespace intaglio::kernels::gemm
