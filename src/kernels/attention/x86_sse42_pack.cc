// Packing of keys (transposed 4 x 4) and values on SSE4.2.
#include "kernels/attention/pack_body.h"
#include "kernels/math/v128.h"

namespace intaglio::kernels::attention {
namespace {

struct Squares : math::V128 {
  static void transpose(F (&r)[kLanes]) { _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]); }
};

}  // namespace

void pack_keys_f32_4x4_1x1_sse42(const MoveArgs& args) {
  pack_keys<Squares>(args);
}
void pack_values_f32_1x16_1x1_sse42(const MoveArgs& args) {
  pack_values<Squares>(args);
}

}  // namespace intaglio::kernels::attention
