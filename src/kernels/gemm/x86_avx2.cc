// f32 GEMM on AVX2 with FMA. The 1x64 shape is for single rows: one panel would leave two chains of FMAs, and the
// weights would stream at half the speed of L2.
#include "kernels/gemm/f32_body.h"
#include "kernels/math/narrow256.h"

namespace intaglio::kernels::gemm {

void gemm_f32_6x16x1_1x16x1_avx2(const Args& args) {
  f32_block<math::Narrow256, PlainWeights, 6, 1>(args);
}
void gemm_f32_1x64x1_1x16x1_avx2(const Args& args) {
  f32_block<math::Narrow256, PlainWeights, 1, 4>(args);
}

}  // namespace intaglio::kernels::gemm
