// Direct products on AVX2.
#include "kernels/direct/body.h"
#include "kernels/math/v256.h"

namespace intaglio::kernels::direct {

void columns_f32_4x16_1x8_avx2(const Args& args) {
  columns<math::V256, false>(args);
}
void dots_f32_4x2_1x8_avx2(const Args& args) {
  dots<math::V256, false>(args);
}

}  // namespace intaglio::kernels::direct
