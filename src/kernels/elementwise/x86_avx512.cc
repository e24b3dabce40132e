// f32 functions on AVX-512.
#include "kernels/elementwise/apply_body.h"
#include "kernels/math/v512.h"

namespace intaglio::kernels::elementwise {

void apply_f32_1x16_1x1_avx512(const Args& args) {
  apply_f32<math::V512>(args);
}

}  // namespace intaglio::kernels::elementwise
