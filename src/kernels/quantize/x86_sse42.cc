// Quantisation on SSE4.2.
#include "kernels/math/v128.h"
#include "kernels/quantize/body.h"

namespace intaglio::kernels::quantize {
namespace {

struct Bytes128 {
  using V = math::V128;
  using Sum = __m128i;
  static __m128i round(__m128 q) { return _mm_cvtps_epi32(q); }
  static __m128i maxi(__m128i a, __m128i b) { return _mm_max_epi32(a, b); }
  static std::int32_t largesti(__m128i x) {
    x = _mm_max_epi32(x, _mm_shuffle_epi32(x, 0x4E));
    return _mm_cvtsi128_si32(_mm_max_epi32(x, _mm_shuffle_epi32(x, 0xB1)));
  }
  static __m128i whole(__m128 q, __m128i zero, __m128i nan) {
    const __m128i ordered = _mm_castps_si128(_mm_cmpord_ps(q, q));
    return _mm_blendv_epi8(nan, _mm_add_epi32(_mm_cvtps_epi32(q), zero), ordered);
  }
  template <bool kSigned>
  static void store(std::uint8_t* p, __m128i x) {
    const __m128i words = _mm_packs_epi32(x, x);
    const __m128i bytes = kSigned ? _mm_packs_epi16(words, words) : _mm_packus_epi16(words, words);
    const std::int32_t four = _mm_cvtsi128_si32(bytes);
    __builtin_memcpy(p, &four, 4);
  }
  template <bool kSigned>
  static void store4(std::uint8_t* p, __m128i a, __m128i b, __m128i c, __m128i d) {
    const __m128i low = _mm_packs_epi32(a, b), high = _mm_packs_epi32(c, d);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), kSigned ? _mm_packs_epi16(low, high) : _mm_packus_epi16(low, high));
  }
  template <bool kSigned>
  static __m128i load(const std::uint8_t* p) {
    std::int32_t four;
    __builtin_memcpy(&four, p, 4);
    const __m128i bytes = _mm_cvtsi32_si128(four);
    return kSigned ? _mm_cvtepi8_epi32(bytes) : _mm_cvtepu8_epi32(bytes);
  }
  static __m128 brain(const std::uint16_t* p) {
    const __m128i halves = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return _mm_castsi128_ps(_mm_slli_epi32(_mm_cvtepu16_epi32(halves), 16));
  }
  template <bool kSigned>
  static void store_n(std::uint8_t* p, __m128i x, std::size_t n) {
    store_first<Bytes128, kSigned>(p, x, n);
  }
  template <bool kSigned>
  static __m128i load_n(const std::uint8_t* p, std::size_t n) {
    return load_first<Bytes128, kSigned>(p, n);
  }
  static __m128 brain_n(const std::uint16_t* p, std::size_t n) { return brain_first<Bytes128>(p, n); }

  template <bool kSigned>
  static __m128i add32(__m128i sum, const std::uint8_t* p) {
    for (std::size_t i = 0; i < 32; i += 16) {
      __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i));
      if (kSigned) bytes = _mm_xor_si128(bytes, _mm_set1_epi8(-128));
      sum = _mm_add_epi64(sum, _mm_sad_epu8(bytes, _mm_setzero_si128()));
    }
    return sum;
  }
  static std::uint32_t total(__m128i sum) {
    return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_add_epi64(sum, _mm_unpackhi_epi64(sum, sum))));
  }
};

}  // namespace

void extremes_f32_1x16_1x1_sse42(const Args& args) {
  extremes<Bytes128, FromF32<Bytes128>>(args);
}
void extremes_bf16_1x16_1x1_sse42(const Args& args) {
  extremes<Bytes128, FromBrain<Bytes128>>(args);
}
void quantize_f32u8_1x16_1x1_sse42(const Args& args) {
  quantize<Bytes128, false>(args);
}
void quantize_f32s8_1x16_1x1_sse42(const Args& args) {
  quantize<Bytes128, true>(args);
}
void dequantize_u8f32_1x4_1x1_sse42(const Args& args) {
  dequantize<Bytes128, false>(args);
}
void dequantize_s8f32_1x4_1x1_sse42(const Args& args) {
  dequantize<Bytes128, true>(args);
}
void row_f32i8_1x16_1x1_sse42(const RowArgs& args) {
  row<Bytes128, FromF32<Bytes128>>(args);
}
void row_bf16i8_1x16_1x1_sse42(const RowArgs& args) {
  row<Bytes128, FromBrain<Bytes128>>(args);
}

}  // namespace intaglio::kernels::quantize
