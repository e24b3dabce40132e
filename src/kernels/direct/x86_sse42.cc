// Direct products on SSE4.2.
#include "kernels/direct/body.h"
#include "kernels/math/v128.h"

namespace intaglio::kernels::direct {

void columns_f32_4x8_1x4_sse42(const Args& args) {
  columns<math::V128, false>(args);
}
void dots_f32_4x2_1x4_sse42(const Args& args) {
  dots<math::V128, false>(args);
}

}  // namespace intaglio::kernels::direct
