// f32 activations by narrower weights on SSE4.2.
#include "kernels/gemm/weights_body.h"
#include "kernels/math/narrow128.h"

namespace intaglio::kernels::gemm {

void gemm_f32bf16_3x16x2_1x16x2_sse42(const Args& args) {
  f32_block<math::Narrow128, Bf16Weights, 3, 1>(args);
}

}  // namespace intaglio::kernels::gemm
