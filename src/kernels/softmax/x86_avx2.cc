// softmax on AVX2.
#include "kernels/math/v256.h"
#include "kernels/softmax/body.h"

namespace intaglio::kernels::softmax {

void softmax_rows_f32_1x32_1x1_avx2(const Args& args) {
  rows<math::V256>(args);
}
void softmax_columns_f32_1x8_1x1_avx2(const Args& args) {
  columns<math::V256>(args);
}

}  // namespace intaglio::kernels::softmax
