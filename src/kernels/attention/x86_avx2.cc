// Attention on AVX2: softmax of score rows, products of a single query row.
#include "kernels/attention/body.h"
#include "kernels/math/v256.h"

namespace intaglio::kernels::attention {

void softmax_f32_1x32_1x1_avx2(const SoftmaxArgs& args) {
  softmax<math::V256>(args);
}
void dot_f32_4x8_1x1_avx2(const MoveArgs& args) {
  dot<math::V256>(args);
}
void mix_f32_1x32_1x1_avx2(const MoveArgs& args) {
  mix<math::V256>(args);
}

}  // namespace intaglio::kernels::attention
