// rotary on AVX-512.
#include "kernels/math/narrow512.h"
#include "kernels/math/v512.h"
#include "kernels/rotary/body.h"

namespace intaglio::kernels::rotary {
namespace {

struct Lanes512 {
  using V = math::V512;
  static V::F swap_pairs(V::F x) { return _mm512_permute_ps(x, 0xb1); }
  static V::F spread(const float* p) {
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7),
                                 _mm512_castps256_ps512(_mm256_loadu_ps(p)));
  }
  static V::F alternating_signs() {
    return _mm512_castsi512_ps(_mm512_set1_epi64(static_cast<long long>(0x0000000080000000ull)));
  }
};

}  // namespace

void rotary_f32_1x16_1x1_avx512(const Args& args) {
  rotate<Float<Lanes512>>(args);
}
void rotary_bf16_1x16_1x1_avx512(const Args& args) {
  rotate<Bf16<Lanes512, math::Narrow512>>(args);
}

}  // namespace intaglio::kernels::rotary
