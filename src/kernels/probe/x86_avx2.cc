#include <immintrin.h>

#include "kernels/probe/probe_body.h"

namespace intaglio::kernels::probe {
namespace {

struct Fma {
  using Register = __m256;
  static constexpr int kChains = 12;
  static Register start(int c) { return _mm256_set1_ps(1.0f + static_cast<float>(c)); }
  static Register step(Register x) { return _mm256_fmadd_ps(x, _mm256_set1_ps(0.75f), _mm256_set1_ps(0.5f)); }
  static Register add(Register x, Register y) { return _mm256_add_ps(x, y); }
  static void store(void* sink, Register x) { _mm256_storeu_ps(static_cast<float*>(sink), x); }
};

// vpmaddwd and vpaddd: the exact 8-bit product's cost without its widenings.
struct Dot {
  using Register = __m256i;
  static constexpr int kChains = 12;
  static Register start(int c) { return _mm256_set1_epi16(static_cast<short>(c + 1)); }
  static Register step(Register x) {
    Register a = _mm256_set1_epi16(113);
    asm volatile("" : "+v"(a));  // not to be computed once
    return _mm256_add_epi32(x, _mm256_madd_epi16(a, _mm256_set1_epi16(201)));
  }
  static Register add(Register x, Register y) { return _mm256_add_epi32(x, y); }
  static void store(void* sink, Register x) { _mm256_storeu_si256(static_cast<__m256i*>(sink), x); }
};

struct Read {
  using Register = __m256i;
  static Register load(const char* p) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(p)); }
  static Register mix(Register x, Register y) { return _mm256_xor_si256(x, y); }
  static Register zero() { return _mm256_setzero_si256(); }
  static std::uint64_t fold(Register x) {
    const __m128i y = _mm_xor_si128(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    return static_cast<std::uint64_t>(_mm_cvtsi128_si64(y) ^ _mm_extract_epi64(y, 1));
  }
};

}  // namespace

void fma_f32_12x8_1x8_avx2(std::size_t iterations, void* sink) {
  compute<Fma>(iterations, sink);
}
void dot_u8s8_12x32_1x32_avx2(std::size_t iterations, void* sink) {
  compute<Dot>(iterations, sink);
}
std::uint64_t read_u8_1x128_1x32_avx2(const void* data, std::size_t bytes) {
  return read<Read>(data, bytes);
}

}  // namespace intaglio::kernels::probe
