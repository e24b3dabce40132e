// f32 activations by narrower weights on AVX-512.
#include "kernels/gemm/weights_body.h"
#include "kernels/math/narrow512.h"

namespace intaglio::kernels::gemm {

void gemm_f32bf16_6x64x2_1x16x2_avx512(const Args& args) {
  f32_block<math::Narrow512, Bf16Weights, 6, 4>(args);
}
void gemm_f32f16_6x64x1_1x16x1_avx512(const Args& args) {
  f32_block<math::Narrow512, F16Weights, 6, 4>(args);
}
void gemm_f32w8_6x64x4_1x16x4_avx512(const Args& args) {
  scaled_block<math::Narrow512, S8Weights, 6, 4>(args);
}
void gemm_f32w4_6x64x8_1x16x8_avx512(const Args& args) {
  scaled_block<math::Narrow512, U4Weights, 6, 4>(args);
}

}  // namespace intaglio::kernels::gemm
