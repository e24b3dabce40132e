// f32 activations by narrower weights on AVX2 with FMA and F16C.
#include "kernels/gemm/weights_body.h"
#include "kernels/math/narrow256.h"

namespace intaglio::kernels::gemm {

void gemm_f32bf16_6x16x2_1x16x2_avx2(const Args& args) {
  f32_block<math::Narrow256, Bf16Weights, 6, 1>(args);
}
void gemm_f32f16_6x16x1_1x16x1_avx2(const Args& args) {
  f32_block<math::Narrow256, F16Weights, 6, 1>(args);
}
void gemm_f32w8_6x16x4_1x16x4_avx2(const Args& args) {
  scaled_block<math::Narrow256, S8Weights, 6, 1>(args);
}
void gemm_f32w4_6x16x8_1x16x8_avx2(const Args& args) {
  scaled_block<math::Narrow256, U4Weights, 6, 1>(args);
}

}  // namespace intaglio::kernels::gemm
