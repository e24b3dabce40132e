// softmax on AVX-512.
#include "kernels/math/v512.h"
#include "kernels/softmax/body.h"

namespace intaglio::kernels::softmax {

void softmax_rows_f32_1x64_1x1_avx512(const Args& args) {
  rows<math::V512>(args);
}
void softmax_columns_f32_1x16_1x1_avx512(const Args& args) {
  columns<math::V512>(args);
}

}  // namespace intaglio::kernels::softmax
