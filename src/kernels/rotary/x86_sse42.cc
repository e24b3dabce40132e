// rotary on SSE4.2.
#include "kernels/math/v128.h"
#include "kernels/rotary/body.h"

namespace intaglio::kernels::rotary {
namespace {

struct Lanes128 {
  using V = math::V128;
  static V::F swap_pairs(V::F x) { return _mm_shuffle_ps(x, x, 0xb1); }
  static V::F spread(const float* p) {
    const __m128 two = _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    return _mm_unpacklo_ps(two, two);
  }
  static V::F alternating_signs() { return _mm_setr_ps(-0.0f, 0.0f, -0.0f, 0.0f); }
};

}  // namespace

void rotary_f32_1x4_1x1_sse42(const Args& args) {
  rotate<Float<Lanes128>>(args);
}

}  // namespace intaglio::kernels::rotary
