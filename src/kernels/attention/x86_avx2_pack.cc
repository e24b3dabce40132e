// Packing of keys (transposed 8 x 8) and values for the GEMM kernels. Also what AVX-512 machines use: the work is
// moving.
#include <immintrin.h>

#include "kernels/attention/attention.h"

namespace intaglio::kernels::attention {
namespace {

inline void transpose8(__m256 (&r)[8]) {
  __m256 t[8], u[8];
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

// Up to 8 keys into 8 neighbouring columns of a panel; missing keys are 0.
inline void keys8(const MoveArgs& g, std::size_t first, float* column) {
  const std::size_t count = first >= g.keys ? 0 : g.keys - first < 8 ? g.keys - first : 8;
  const float* rows = g.source + first * g.pitch;
  std::size_t d = 0;
  for (; d + 8 <= g.depth; d += 8) {
    __m256 r[8];
    for (std::size_t i = 0; i < 8; ++i)
      r[i] = i < count ? _mm256_loadu_ps(rows + i * g.pitch + d) : _mm256_setzero_ps();
    transpose8(r);
    for (std::size_t i = 0; i < 8; ++i) _mm256_storeu_ps(column + (d + i) * 16, r[i]);
  }
  for (; d < g.depth; ++d) {
    for (std::size_t i = 0; i < 8; ++i) column[d * 16 + i] = i < count ? rows[i * g.pitch + d] : 0.0f;
  }
}

}  // namespace

void pack_keys_f32_8x8_1x1_avx2(const MoveArgs& args) {
  for (std::size_t j = 0; j < args.keys; j += 16) {
    float* panel = args.out + j * args.depth;
    keys8(args, j, panel);
    keys8(args, j + 8, panel + 8);
  }
}

void pack_values_f32_1x16_1x1_avx2(const MoveArgs& args) {
  for (std::size_t d = 0; d < args.depth; d += 16) {
    float* panel = args.out + d * args.keys;
    const float* source = args.source + d;
    if (d + 16 <= args.depth) {
      for (std::size_t j = 0; j < args.keys; ++j) {
        _mm256_storeu_ps(panel + j * 16, _mm256_loadu_ps(source + j * args.pitch));
        _mm256_storeu_ps(panel + j * 16 + 8, _mm256_loadu_ps(source + j * args.pitch + 8));
      }
      continue;
    }
    for (std::size_t j = 0; j < args.keys; ++j) {
      for (std::size_t i = 0; i < 16; ++i) panel[j * 16 + i] = d + i < args.depth ? source[j * args.pitch + i] : 0.0f;
    }
  }
}

}  // namespace intaglio::kernels::attention
