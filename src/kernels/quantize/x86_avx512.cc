// Quantisation on AVX-512.
#include "kernels/math/v512.h"
#include "kernels/quantize/body.h"

namespace intaglio::kernels::quantize {
namespace {

struct Bytes512 {
  using V = math::V512;
  template <bool kSigned>
  static void store(std::uint8_t* p, __m512i x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x));
  }
  template <bool kSigned>
  static void store_n(std::uint8_t* p, __m512i x, std::size_t n) {
    _mm_mask_storeu_epi8(p, V::first(n), _mm512_cvtepi32_epi8(x));
  }
  template <bool kSigned>
  static __m512i widen(__m128i bytes) {
    return kSigned ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);
  }
  template <bool kSigned>
  static __m512i load(const std::uint8_t* p) {
    return widen<kSigned>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  template <bool kSigned>
  static __m512i load_n(const std::uint8_t* p, std::size_t n) {
    return widen<kSigned>(_mm_maskz_loadu_epi8(V::first(n), p));
  }
};

}  // namespace

void extremes_f32_1x64_1x1_avx512(const Args& args) {
  extremes<Bytes512>(args);
}
void quantize_f32u8_1x16_1x1_avx512(const Args& args) {
  quantize<Bytes512, false>(args);
}
void quantize_f32s8_1x16_1x1_avx512(const Args& args) {
  quantize<Bytes512, true>(args);
}
void dequantize_u8f32_1x16_1x1_avx512(const Args& args) {
  dequantize<Bytes512, false>(args);
}
void dequantize_s8f32_1x16_1x1_avx512(const Args& args) {
  dequantize<Bytes512, true>(args);
}

}  // namespace intaglio::kernels::quantize
