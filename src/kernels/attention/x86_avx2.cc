// Attention on AVX2: softmax of score rows, products of a single query row.
#include "kernels/attention/narrow_body.h"
#include "kernels/math/narrow256.h"

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
void softmax_bf16_1x32_1x1_avx2(const SoftmaxArgs& args) {
  narrow_softmax<math::Narrow256, ToBFloat16<math::Narrow256>, BFloat16>(args);
}
void softmax_u8_1x32_1x1_avx2(const SoftmaxArgs& args) {
  narrow_softmax<math::Narrow256, ToByte<math::Narrow256>, std::uint8_t>(args);
}
void pack_values_bf16_2x16_1x1_avx2(const ValuesArgs& args) {
  pack_pairs<math::Narrow256>(args);
}
void pack_values_s8_4x16_1x1_avx2(const ValuesArgs& args) {
  pack_quads<math::Narrow256>(args);
}

}  // namespace intaglio::kernels::attention
