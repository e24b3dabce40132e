#include <immintrin.h>

#include "kernels/probe/probe_body.h"

namespace intaglio::kernels::probe {
namespace {

struct Dot {
  using Register = __m512;
  static constexpr int kChains = 24;
  static Register start(int c) { return _mm512_set1_ps(1.0f + static_cast<float>(c)); }
  static Register step(Register x) {
    const __m512i a = _mm512_set1_epi32(0x3f803f40), b = _mm512_set1_epi32(0x3e80be00);  // 1, 0.75; 0.25, -0.125
    return _mm512_dpbf16_ps(x, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
  static Register add(Register x, Register y) { return _mm512_add_ps(x, y); }
  static void store(void* sink, Register x) { _mm512_storeu_ps(sink, x); }
};

}  // namespace

void dot_bf16_24x32_1x32_avx512_bf16(std::size_t iterations, void* sink) {
  compute<Dot>(iterations, sink);
}

}  // namespace intaglio::kernels::probe
