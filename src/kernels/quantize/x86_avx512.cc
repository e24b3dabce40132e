// Quantisation on AVX-512.
#include "kernels/math/v512.h"
#include "kernels/quantize/body.h"

namespace intaglio::kernels::quantize {
namespace {

struct Bytes512 {
  using V = math::V512;
  using Sum = __m256i;
  static __m512i round(__m512 q) { return _mm512_cvtps_epi32(q); }
  static __m512i maxi(__m512i a, __m512i b) { return _mm512_max_epi32(a, b); }
  static std::int32_t largesti(__m512i a) {
    const __m256i half = _mm256_max_epi32(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
    __m128i x = _mm_max_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    x = _mm_max_epi32(x, _mm_shuffle_epi32(x, 0x4E));
    return _mm_cvtsi128_si32(_mm_max_epi32(x, _mm_shuffle_epi32(x, 0xB1)));
  }
  static __m512i whole(__m512 q, __m512i zero, __m512i nan) {
    return _mm512_mask_add_epi32(nan, _mm512_cmp_ps_mask(q, q, _CMP_ORD_Q), _mm512_cvtps_epi32(q), zero);
  }
  template <bool kSigned>
  static __m128i bytes(__m512i x) {
    return kSigned ? _mm512_cvtsepi32_epi8(x) : _mm512_cvtusepi32_epi8(_mm512_max_epi32(x, _mm512_setzero_si512()));
  }
  template <bool kSigned>
  static void store(std::uint8_t* p, __m512i x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes<kSigned>(x));
  }
  template <bool kSigned>
  static void store_n(std::uint8_t* p, __m512i x, std::size_t n) {
    _mm_mask_storeu_epi8(p, V::first(n), bytes<kSigned>(x));
  }
  // Packing works in quarters of 128 bits: groups of four bytes come out as a0 b0 c0 d0 a1 b1 c1 d1 a2 ...
  template <bool kSigned>
  static void store4(std::uint8_t* p, __m512i a, __m512i b, __m512i c, __m512i d) {
    const __m512i low = _mm512_packs_epi32(a, b), high = _mm512_packs_epi32(c, d);
    const __m512i all = kSigned ? _mm512_packs_epi16(low, high) : _mm512_packus_epi16(low, high);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, all));
  }
  template <bool kSigned>
  static __m512i widen(__m128i narrow) {
    return kSigned ? _mm512_cvtepi8_epi32(narrow) : _mm512_cvtepu8_epi32(narrow);
  }
  template <bool kSigned>
  static __m512i load(const std::uint8_t* p) {
    return widen<kSigned>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  template <bool kSigned>
  static __m512i load_n(const std::uint8_t* p, std::size_t n) {
    return widen<kSigned>(_mm_maskz_loadu_epi8(V::first(n), p));
  }
  static __m512 as_f32(__m256i halves) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
  }
  static __m512 brain(const std::uint16_t* p) {
    return as_f32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static __m512 brain_n(const std::uint16_t* p, std::size_t n) {
    return as_f32(_mm256_maskz_loadu_epi16(V::first(n), p));
  }

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

void extremes_f32_1x64_1x1_avx512(const Args& args) {
  extremes<Bytes512, FromF32<Bytes512>>(args);
}
void extremes_bf16_1x64_1x1_avx512(const Args& args) {
  extremes<Bytes512, FromBrain<Bytes512>>(args);
}
void quantize_f32u8_1x64_1x1_avx512(const Args& args) {
  quantize<Bytes512, false>(args);
}
void quantize_f32s8_1x64_1x1_avx512(const Args& args) {
  quantize<Bytes512, true>(args);
}
void dequantize_u8f32_1x16_1x1_avx512(const Args& args) {
  dequantize<Bytes512, false>(args);
}
void dequantize_s8f32_1x16_1x1_avx512(const Args& args) {
  dequantize<Bytes512, true>(args);
}
void row_f32i8_1x64_1x1_avx512(const RowArgs& args) {
  row<Bytes512, FromF32<Bytes512>>(args);
}
void row_bf16i8_1x64_1x1_avx512(const RowArgs& args) {
  row<Bytes512, FromBrain<Bytes512>>(args);
}

}  // namespace intaglio::kernels::quantize
