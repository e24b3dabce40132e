// Packing of keys (transposed 8 x 8) and values. Also what AVX-512 machines use: the work is moving.
#include "kernels/attention/pack_body.h"
#include "kernels/math/v256.h"

namespace intaglio::kernels::attention {
namespace {

struct Squares : math::V256 {
  static void transpose(F (&r)[kLanes]) {
    F t[8], u[8];
    for (int i = 0; i < 4; ++i) {
      t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
      t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; ++i) {
      u[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
      u[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xEE);
      u[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
      u[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xEE);
    }
    for (int i = 0; i < 4; ++i) {
      r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
      r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
    }
  }
};

}  // namespace

void pack_keys_f32_8x8_1x1_avx2(const MoveArgs& args) {
  pack_keys<Squares>(args);
}
void pack_values_f32_1x16_1x1_avx2(const MoveArgs& args) {
  pack_values<Squares>(args);
}

}  // namespace intaglio::kernels::attention
