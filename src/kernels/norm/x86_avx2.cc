// norm on AVX2.
#include "kernels/math/v256.h"
#include "kernels/norm/body.h"

namespace intaglio::kernels::norm {

void norm_f32_1x32_1x1_avx2(const Args& args) {
  row<math::V256>(args);
}

}  // namespace intaglio::kernels::norm
