// Quantisation on SSE4.2.
#include "kernels/math/v128.h"
#include "kernels/quantize/body.h"

namespace intaglio::kernels::quantize {
namespace {

struct Bytes128 {
  using V = math::V128;
  template <bool kSigned>
  static void store(std::uint8_t* p, __m128i x) {
    const __m128i words = _mm_packs_epi32(x, x);
    const __m128i bytes = kSigned ? _mm_packs_epi16(words, words) : _mm_packus_epi16(words, words);
    const std::int32_t four = _mm_cvtsi128_si32(bytes);
    __builtin_memcpy(p, &four, 4);
  }
  template <bool kSigned>
  static __m128i load(const std::uint8_t* p) {
    std::int32_t four;
    __builtin_memcpy(&four, p, 4);
    const __m128i bytes = _mm_cvtsi32_si128(four);
    return kSigned ? _mm_cvtepi8_epi32(bytes) : _mm_cvtepu8_epi32(bytes);
  }
  template <bool kSigned>
  static void store_n(std::uint8_t* p, __m128i x, std::size_t n) {
    store_first<Bytes128, kSigned>(p, x, n);
  }
  template <bool kSigned>
  static __m128i load_n(const std::uint8_t* p, std::size_t n) {
    return load_first<Bytes128, kSigned>(p, n);
  }
};

}  // namespace

void extremes_f32_1x16_1x1_sse42(const Args& args) {
  extremes<Bytes128>(args);
}
void quantize_f32u8_1x4_1x1_sse42(const Args& args) {
  quantize<Bytes128, false>(args);
}
void quantize_f32s8_1x4_1x1_sse42(const Args& args) {
  quantize<Bytes128, true>(args);
}
void dequantize_u8f32_1x4_1x1_sse42(const Args& args) {
  dequantize<Bytes128, false>(args);
}
void dequantize_s8f32_1x4_1x1_sse42(const Args& args) {
  dequantize<Bytes128, true>(args);
}

}  // namespace intaglio::kernels::quantize
