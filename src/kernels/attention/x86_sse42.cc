// Attention on SSE4.2: softmax of score rows, products of a single query row.
#include "kernels/attention/narrow_body.h"
#include "kernels/math/narrow128.h"

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
void softmax_bf16_1x16_1x1_sse42(const SoftmaxArgs& args) {
  narrow_softmax<math::Narrow128, ToBFloat16<math::Narrow128>, BFloat16>(args);
}
void softmax_u8_1x16_1x1_sse42(const SoftmaxArgs& args) {
  narrow_softmax<math::Narrow128, ToByte<math::Narrow128>, std::uint8_t>(args);
}
void pack_values_bf16_2x16_1x1_sse42(const ValuesArgs& args) {
  pack_pairs<math::Narrow128>(args);
}
void pack_values_s8_4x16_1x1_sse42(const ValuesArgs& args) {
  pack_quads<math::Narrow128>(args);
}

}  // namespace intaglio::kernels::attention
