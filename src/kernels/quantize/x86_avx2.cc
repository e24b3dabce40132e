// Quantisation on AVX2.
#include "kernels/math/v256.h"
#include "kernels/quantize/body.h"

namespace intaglio::kernels::quantize {
namespace {

struct Bytes256 {
  using V = math::V256;
  template <bool kSigned>
  static void store(std::uint8_t* p, __m256i x) {
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    const __m128i bytes = kSigned ? _mm_packs_epi16(words, words) : _mm_packus_epi16(words, words);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes);
  }
  template <bool kSigned>
  static __m256i load(const std::uint8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return kSigned ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes);
  }
  template <bool kSigned>
  static void store_n(std::uint8_t* p, __m256i x, std::size_t n) {
    store_first<Bytes256, kSigned>(p, x, n);
  }
  template <bool kSigned>
  static __m256i load_n(const std::uint8_t* p, std::size_t n) {
    return load_first<Bytes256, kSigned>(p, n);
  }
};

}  // namespace

void extremes_f32_1x32_1x1_avx2(const Args& args) {
  extremes<Bytes256>(args);
}
void quantize_f32u8_1x8_1x1_avx2(const Args& args) {
  quantize<Bytes256, false>(args);
}
void quantize_f32s8_1x8_1x1_avx2(const Args& args) {
  quantize<Bytes256, true>(args);
}
void dequantize_u8f32_1x8_1x1_avx2(const Args& args) {
  dequantize<Bytes256, false>(args);
}
void dequantize_s8f32_1x8_1x1_avx2(const Args& args) {
  dequantize<Bytes256, true>(args);
}

}  // namespace intaglio::kernels::quantize
