// Attention on AVX-512: softmax of score rows, products of a single query row.
#include "kernels/attention/body.h"
#include "kernels/math/v512.h"

namespace intaglio::kernels::attention {

void softmax_f32_1x64_1x1_avx512(const SoftmaxArgs& args) {
  softmax<math::V512>(args);
}
void dot_f32_4x16_1x1_avx512(const MoveArgs& args) {
  dot<math::V512>(args);
}
void mix_f32_1x64_1x1_avx512(const MoveArgs& args) {
  mix<math::V512>(args);
}

}  // namespace intaglio::kernels::attention
