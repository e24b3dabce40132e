// The reference.
#include "kernels/math/scalar_half.h"
#include "kernels/rotary/table.h"

namespace intaglio::kernels::rotary {
namespace {

float load(const float* p) {
  return *p;
}
float load(const BFloat16* p) {
  return math::widened(*p);
}
void store(float* p, float x) {
  *p = x;
}
void store(BFloat16* p, float x) {
  *p = math::narrowed_bf16(x);
}

template <class T>
void rotate(const Args& g) {
  for (std::size_t r = 0; r < g.rows; ++r) {
    const T* x = static_cast<const T*>(g.x) + r * g.x_pitch;
    T* y = static_cast<T*>(g.y) + r * g.y_pitch;
    for (std::size_t i = 0; i < g.half; ++i) {
      const std::size_t first = g.interleaved ? 2 * i : i, second = g.interleaved ? 2 * i + 1 : i + g.half;
      const float a = load(x + first), b = load(x + second);
      const float c = g.cos[r * g.table_pitch + i], s = g.sin[r * g.table_pitch + i];
      store(y + first, a * c - b * s);
      store(y + second, b * c + a * s);
    }
  }
}

}  // namespace

void rotary_f32_1x1_1x1_scalar(const Args& args) {
  rotate<float>(args);
}
void rotary_bf16_1x1_1x1_scalar(const Args& args) {
  rotate<BFloat16>(args);
}

}  // namespace intaglio::kernels::rotary
