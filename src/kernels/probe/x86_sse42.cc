#include <nmmintrin.h>

#include "kernels/probe/probe_body.h"

namespace intaglio::kernels::probe {
namespace {

struct Fma {
  using Register = __m128;
  static constexpr int kChains = 12;
  static Register start(int c) { return _mm_set1_ps(1.0f + static_cast<float>(c)); }
  static Register step(Register x) { return _mm_add_ps(_mm_mul_ps(x, _mm_set1_ps(0.75f)), _mm_set1_ps(0.5f)); }
  static Register add(Register x, Register y) { return _mm_add_ps(x, y); }
  static void store(void* sink, Register x) { _mm_storeu_ps(static_cast<float*>(sink), x); }
};

struct Read {
  using Register = __m128i;
  static Register load(const char* p) { return _mm_load_si128(reinterpret_cast<const __m128i*>(p)); }
  static Register mix(Register x, Register y) { return _mm_xor_si128(x, y); }
  static Register zero() { return _mm_setzero_si128(); }
  static std::uint64_t fold(Register x) {
    return static_cast<std::uint64_t>(_mm_cvtsi128_si64(x) ^ _mm_extract_epi64(x, 1));
  }
};

}  // namespace

void fma_f32_12x4_1x4_sse42(std::size_t iterations, void* sink) {
  compute<Fma>(iterations, sink);
}
std::uint64_t read_u8_1x64_1x16_sse42(const void* data, std::size_t bytes) {
  return read<Read>(data, bytes);
}

}  // namespace intaglio::kernels::probe
