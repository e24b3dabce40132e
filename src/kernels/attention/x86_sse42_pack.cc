// Packing of keys (transposed 4 x 4) and values for the GEMM kernels on SSE4.2.
#include <nmmintrin.h>

#include "kernels/attention/attention.h"

namespace intaglio::kernels::attention {
namespace {

// Up to 4 keys into 4 neighbouring columns of a panel; missing keys are 0.
inline void keys4(const MoveArgs& g, std::size_t first, float* column) {
  const std::size_t count = first >= g.keys ? 0 : g.keys - first < 4 ? g.keys - first : 4;
  const float* rows = g.source + first * g.pitch;
  std::size_t d = 0;
  for (; d + 4 <= g.depth; d += 4) {
    __m128 r[4];
    for (std::size_t i = 0; i < 4; ++i) r[i] = i < count ? _mm_loadu_ps(rows + i * g.pitch + d) : _mm_setzero_ps();
    _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
    for (std::size_t i = 0; i < 4; ++i) _mm_storeu_ps(column + (d + i) * 16, r[i]);
  }
  for (; d < g.depth; ++d) {
    for (std::size_t i = 0; i < 4; ++i) column[d * 16 + i] = i < count ? rows[i * g.pitch + d] : 0.0f;
  }
}

}  // namespace

void pack_keys_f32_4x4_1x1_sse42(const MoveArgs& args) {
  for (std::size_t j = 0; j < args.keys; j += 16) {
    for (std::size_t i = 0; i < 16; i += 4) keys4(args, j + i, args.out + j * args.depth + i);
  }
}

void pack_values_f32_1x16_1x1_sse42(const MoveArgs& args) {
  for (std::size_t d = 0; d < args.depth; d += 16) {
    float* panel = args.out + d * args.keys;
    const std::size_t columns = args.depth - d < 16 ? args.depth - d : 16;
    for (std::size_t j = 0; j < args.keys; ++j, panel += 16) {
      const float* row = args.source + j * args.pitch + d;
      if (columns == 16) {
        for (std::size_t i = 0; i < 16; i += 4) _mm_storeu_ps(panel + i, _mm_loadu_ps(row + i));
      } else {
        for (std::size_t i = 0; i < 16; ++i) panel[i] = i < columns ? row[i] : 0.0f;
      }
    }
  }
}

}  // namespace intaglio::kernels::attention
