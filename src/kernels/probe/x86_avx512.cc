#include <immintrin.h>

#include "kernels/probe/probe_body.h"

namespace intaglio::kernels::probe {
namespace {

struct Fma {
  using Register = __m512;
  static constexpr int kChains = 24;
  static Register start(int c) { return _mm512_set1_ps(1.0f + static_cast<float>(c)); }
  static Register step(Register x) { return _mm512_fmadd_ps(x, _mm512_set1_ps(0.75f), _mm512_set1_ps(0.5f)); }
  static Register add(Register x, Register y) { return _mm512_add_ps(x, y); }
  static void store(void* sink, Register x) { _mm512_storeu_ps(sink, x); }
};

struct Read {
  using Register = __m512i;
  static Register load(const char* p) { return _mm512_load_si512(p); }
  static Register mix(Register x, Register y) { return _mm512_xor_si512(x, y); }
  static Register zero() { return _mm512_setzero_si512(); }
  static std::uint64_t fold(Register x) {
    std::uint64_t lanes[8];
    _mm512_storeu_si512(lanes, x);
    return lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3] ^ lanes[4] ^ lanes[5] ^ lanes[6] ^ lanes[7];
  }
};

}  // namespace

void fma_f32_24x16_1x16_avx512(std::size_t iterations, void* sink) {
  compute<Fma>(iterations, sink);
}
std::uint64_t read_u8_1x256_1x64_avx512(const void* data, std::size_t bytes) {
  return read<Read>(data, bytes);
}

}  // namespace intaglio::kernels::probe
