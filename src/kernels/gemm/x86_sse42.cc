// f32 GEMM on SSE4.2: 3 rows x 4 vectors, the most that 16 registers hold beside a row of B.
#include "kernels/gemm/f32_body.h"
#include "kernels/math/narrow128.h"

namespace intaglio::kernels::gemm {

void gemm_f32_3x16x1_1x16x1_sse42(const Args& args) {
  f32_block<math::Narrow128, PlainWeights, 3, 1>(args);
}

}  // namespace intaglio::kernels::gemm
