// rotary on AVX2.
#include "kernels/math/narrow256.h"
#include "kernels/math/v256.h"
#include "kernels/rotary/body.h"

namespace intaglio::kernels::rotary {
namespace {

struct Lanes256 {
  using V = math::V256;
  static V::F swap_pairs(V::F x) { return _mm256_permute_ps(x, 0xb1); }
  static V::F spread(const float* p) {
    return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
  }
  static V::F alternating_signs() { return _mm256_setr_ps(-0.0f, 0.0f, -0.0f, 0.0f, -0.0f, 0.0f, -0.0f, 0.0f); }
};

}  // namespace

void rotary_f32_1x8_1x1_avx2(const Args& args) {
  rotate<Float<Lanes256>>(args);
}
void rotary_bf16_1x8_1x1_avx2(const Args& args) {
  rotate<Bf16<Lanes256, math::Narrow256>>(args);
}

}  // namespace intaglio::kernels::rotary
