// Quantisation on AVX2.
#include "kernels/math/v256.h"
#include "kernels/quantize/body.h"

namespace intaglio::kernels::quantize {
namespace {

struct Bytes256 {
  using V = math::V256;
  using Sum = __m256i;
  static __m256i round(__m256 q) { return _mm256_cvtps_epi32(q); }
  static __m256i maxi(__m256i a, __m256i b) { return _mm256_max_epi32(a, b); }
  static std::int32_t largesti(__m256i a) {
    __m128i x = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    x = _mm_max_epi32(x, _mm_shuffle_epi32(x, 0x4E));
    return _mm_cvtsi128_si32(_mm_max_epi32(x, _mm_shuffle_epi32(x, 0xB1)));
  }
  static __m256i whole(__m256 q, __m256i zero, __m256i nan) {
    const __m256i ordered = _mm256_castps_si256(_mm256_cmp_ps(q, q, _CMP_ORD_Q));
    return _mm256_blendv_epi8(nan, _mm256_add_epi32(_mm256_cvtps_epi32(q), zero), ordered);
  }
  template <bool kSigned>
  static void store(std::uint8_t* p, __m256i x) {
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    const __m128i bytes = kSigned ? _mm_packs_epi16(words, words) : _mm_packus_epi16(words, words);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes);
  }
  // Packing works in halves of 128 bits: groups of four bytes come out as a0 b0 c0 d0 a1 b1 c1 d1.
  template <bool kSigned>
  static void store4(std::uint8_t* p, __m256i a, __m256i b, __m256i c, __m256i d) {
    const __m256i low = _mm256_packs_epi32(a, b), high = _mm256_packs_epi32(c, d);
    const __m256i bytes = kSigned ? _mm256_packs_epi16(low, high) : _mm256_packus_epi16(low, high);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
  }
  template <bool kSigned>
  static __m256i load(const std::uint8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return kSigned ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes);
  }
  static __m256 brain(const std::uint16_t* p) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
  }
  template <bool kSigned>
  static void store_n(std::uint8_t* p, __m256i x, std::size_t n) {
    store_first<Bytes256, kSigned>(p, x, n);
  }
  template <bool kSigned>
  static __m256i load_n(const std::uint8_t* p, std::size_t n) {
    return load_first<Bytes256, kSigned>(p, n);
  }
  static __m256 brain_n(const std::uint16_t* p, std::size_t n) { return brain_first<Bytes256>(p, n); }

  template <bool kSigned>
  static __m256i add32(__m256i sum, const std::uint8_t* p) {
    __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    if (kSigned) bytes = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
    return _mm256_add_epi64(sum, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
  }
  static std::uint32_t total(__m256i sum) {
    const __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_add_epi64(half, _mm_unpackhi_epi64(half, half))));
  }
};

}  // namespace

void extremes_f32_1x32_1x1_avx2(const Args& args) {
  extremes<Bytes256, FromF32<Bytes256>>(args);
}
void extremes_bf16_1x32_1x1_avx2(const Args& args) {
  extremes<Bytes256, FromBrain<Bytes256>>(args);
}
void quantize_f32u8_1x32_1x1_avx2(const Args& args) {
  quantize<Bytes256, false>(args);
}
void quantize_f32s8_1x32_1x1_avx2(const Args& args) {
  quantize<Bytes256, true>(args);
}
void dequantize_u8f32_1x8_1x1_avx2(const Args& args) {
  dequantize<Bytes256, false>(args);
}
void dequantize_s8f32_1x8_1x1_avx2(const Args& args) {
  dequantize<Bytes256, true>(args);
}
void row_f32i8_1x32_1x1_avx2(const RowArgs& args) {
  row<Bytes256, FromF32<Bytes256>>(args);
}
void row_bf16i8_1x32_1x1_avx2(const RowArgs& args) {
  row<Bytes256, FromBrain<Bytes256>>(args);
}

}  // namespace intaglio::kernels::quantize
