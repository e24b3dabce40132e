// f16 activations and weights on AVX512-FP16: an element of A is widened and broadcast by one instruction. Sums stay in
// f32: chains of f16 sums would lose three digits by K = 64.
#include "kernels/gemm/weights_body.h"
#include "kernels/math/narrow512.h"

namespace intaglio::kernels::gemm {
namespace {

struct HalfByHalf : F16Weights {
  using A = std::uint16_t;
  template <class V>
  static inline __attribute__((always_inline)) __m512 broadcast(const A* a) {
    __m512 x;
    asm("vcvtph2psx %1%{1to16%}, %0" : "=v"(x) : "m"(*a));
    return x;
  }
};

}  // namespace

void gemm_f16_6x64x1_1x16x1_avx512_fp16(const Args& args) {
  f32_block<math::Narrow512, HalfByHalf, 6, 4>(args);
}

}  // namespace intaglio::kernels::gemm
