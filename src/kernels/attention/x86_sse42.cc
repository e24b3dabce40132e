// Attention on SSE4.2: softmax of score rows, products of a single query row.
#include "kernels/attention/body.h"
#include "kernels/math/v128.h"

namespace intaglio::kernels::attention {

void softmax_f32_1x16_1x1_sse42(const SoftmaxArgs& args) {
  softmax<math::V128>(args);
}
void dot_f32_4x4_1x1_sse42(const MoveArgs& args) {
  dot<math::V128>(args);
}
void mix_f32_1x16_1x1_sse42(const MoveArgs& args) {
  mix<math::V128>(args);
}

}  // namespace intaglio::kernels::attention
