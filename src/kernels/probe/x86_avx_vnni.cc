#include <immintrin.h>

#include "kernels/probe/probe_body.h"

namespace intaglio::kernels::probe {
namespace {

struct Dot {
  using Register = __m256i;
  static constexpr int kChains = 12;
  static Register start(int c) { return _mm256_set1_epi32(c); }
  static Register step(Register x) { return _mm256_dpbusd_avx_epi32(x, _mm256_set1_epi8(113), _mm256_set1_epi8(-77)); }
  static Register add(Register x, Register y) { return _mm256_add_epi32(x, y); }
  static void store(void* sink, Register x) { _mm256_storeu_si256(static_cast<__m256i*>(sink), x); }
};

}  // namespace

void dot_u8s8_12x32_1x32_avx_vnni(std::size_t iterations, void* sink) {
  compute<Dot>(iterations, sink);
}

}  // namespace intaglio::kernels::probe
