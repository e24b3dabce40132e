// Direct products on AVX-512.
#include "kernels/direct/body.h"
#include "kernels/math/v512.h"

namespace intaglio::kernels::direct {

void columns_f32_4x64_1x16_avx512(const Args& args) {
  columns<math::V512, true>(args);
}
void dots_f32_4x4_1x16_avx512(const Args& args) {
  dots<math::V512, true>(args);
}

}  // namespace intaglio::kernels::direct
