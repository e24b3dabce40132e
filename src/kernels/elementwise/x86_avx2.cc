// f32 functions on AVX2.
#include "kernels/elementwise/apply_body.h"
#include "kernels/math/v256.h"

namespace intaglio::kernels::elementwise {

void apply_f32_1x8_1x1_avx2(const Args& args) {
  apply_f32<math::V256>(args);
}

}  // namespace intaglio::kernels::elementwise
