// Attention on AVX-512: softmax of score rows, products of a single query row.
#include "kernels/attention/narrow_body.h"
#include "kernels/math/narrow512.h"

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
void softmax_bf16_1x64_1x1_avx512(const SoftmaxArgs& args) {
  narrow_softmax<math::Narrow512, ToBFloat16<math::Narrow512>, BFloat16>(args);
}
void softmax_u8_1x64_1x1_avx512(const SoftmaxArgs& args) {
  narrow_softmax<math::Narrow512, ToByte<math::Narrow512>, std::uint8_t>(args);
}
void pack_values_bf16_2x16_1x1_avx512(const ValuesArgs& args) {
  pack_pairs<math::Narrow512>(args);
}
void pack_values_s8_4x16_1x1_avx512(const ValuesArgs& args) {
  pack_quads<math::Narrow512>(args);
}

}  // namespace intaglio::kernels::attention
