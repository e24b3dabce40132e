// norm on SSE4.2.
#include "kernels/math/v128.h"
#include "kernels/norm/body.h"

namespace intaglio::kernels::norm {

void norm_f32_1x16_1x1_sse42(const Args& args) {
  row<math::V128>(args);
}

}  // namespace intaglio::kernels::norm
