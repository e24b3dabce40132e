// f32 functions on SSE4.2.
#include "kernels/elementwise/apply_body.h"
#include "kernels/math/v128.h"

namespace intaglio::kernels::elementwise {

void apply_f32_1x4_1x1_sse42(const Args& args) {
  apply_f32<math::V128>(args);
}

}  // namespace intaglio::kernels::elementwise
