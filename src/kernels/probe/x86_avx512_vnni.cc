#include <immintrin.h>

#include "kernels/probe/probe_body.h"

namespace intaglio::kernels::probe {
namespace {

struct Dot {
  using Register = __m512i;
  static constexpr int kChains = 24;
  static Register start(int c) { return _mm512_set1_epi32(c); }
  static Register step(Register x) { return _mm512_dpbusd_epi32(x, _mm512_set1_epi8(113), _mm512_set1_epi8(-77)); }
  static Register add(Register x, Register y) { return _mm512_add_epi32(x, y); }
  static void store(void* sink, Register x) { _mm512_storeu_si512(sink, x); }
};

}  // namespace

void dot_u8s8_24x64_1x64_avx512_vnni(std::size_t iterations, void* sink) {
  compute<Dot>(iterations, sink);
}

}  // namespace intaglio::kernels::probe
