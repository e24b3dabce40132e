// norm on AVX-512.
#include "kernels/math/v512.h"
#include "kernels/norm/body.h"

namespace intaglio::kernels::norm {

void norm_f32_1x64_1x1_avx512(const Args& args) {
  row<math::V512>(args);
}

}  // namespace intaglio::kernels::norm
