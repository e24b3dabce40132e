// softmax on SSE4.2.
#include "kernels/math/v128.h"
#include "kernels/softmax/body.h"

namespace intaglio::kernels::softmax {

void softmax_rows_f32_1x16_1x1_sse42(const Args& args) {
  rows<math::V128>(args);
}
void softmax_columns_f32_1x4_1x1_sse42(const Args& args) {
  columns<math::V128>(args);
}

}  // namespace intaglio::kernels::softmax
