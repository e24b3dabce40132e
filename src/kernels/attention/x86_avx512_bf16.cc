// Softmax to bf16 probabilities on AVX512-BF16. vcvtneps2bf16 takes denormals for zero, but exp_short makes none, and a
// NaN becomes quiet as it does in Narrow512: the bits are those of the AVX-512 row.
#include "kernels/attention/narrow_body.h"
#include "kernels/math/narrow512.h"

namespace intaglio::kernels::attention {
namespace {

struct NarrowBf16 : math::Narrow512 {
  static void narrow_n(BFloat16* p, F x, std::size_t n) {
    const __m256bh halves = _mm512_cvtneps_pbh(x);
    store_halves(p, reinterpret_cast<const __m256i&>(halves), n);
  }
};

}  // namespace

void softmax_bf16_1x64_1x1_avx512_bf16(const SoftmaxArgs& args) {
  narrow_softmax<NarrowBf16, ToBFloat16<NarrowBf16>, BFloat16>(args);
}

}  // namespace intaglio::kernels::attention
