// Conversions on AVX-512.
#include "kernels/elementwise/convert_body.h"
#include "kernels/math/v512.h"

namespace intaglio::kernels::elementwise {
namespace {

struct Convert512 {
  using V = math::V512;
  using F = V::F;

  static __m256i halves(const void* p, std::size_t n) { return _mm256_maskz_loadu_epi16(V::first(n), p); }
  static __m128i bytes(const void* p, std::size_t n) { return _mm_maskz_loadu_epi8(V::first(n), p); }
  static F widen_n(const Float16* p, std::size_t n) { return _mm512_cvtph_ps(halves(p, n)); }
  static F widen_n(const BFloat16* p, std::size_t n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves(p, n)), 16));
  }
  static F widen_n(const std::int32_t* p, std::size_t n) { return V::to_float(V::load_n(p, n)); }
  static F widen_n(const std::uint8_t* p, std::size_t n) { return V::to_float(_mm512_cvtepu8_epi32(bytes(p, n))); }
  static F widen_n(const std::int8_t* p, std::size_t n) { return V::to_float(_mm512_cvtepi8_epi32(bytes(p, n))); }
  static F widen_n(const Truth* p, std::size_t n) {
    return _mm512_maskz_mov_ps(V::load_mask_n(&p->byte, n), V::set1(1.0f));
  }

  static void narrow_n(Float16* p, F x, std::size_t n) {
    _mm256_mask_storeu_epi16(p, V::first(n), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static void narrow_n(BFloat16* p, F x, std::size_t n) {
    const __m512i bits = V::as_int(x);
    const __m512i high = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(high, V::set1i(1));
    const __m512i rounded = _mm512_srli_epi32(V::addi(bits, V::addi(V::set1i(0x7fff), odd)), 16);
    const __m512i quiet = _mm512_or_si512(high, V::set1i(0x40));
    const __m512i lanes = _mm512_mask_blend_epi32(V::unordered(x, x), rounded, quiet);
    _mm256_mask_storeu_epi16(p, V::first(n), _mm512_cvtepi32_epi16(lanes));
  }
  static void narrow_n(std::int32_t* p, F x, std::size_t n) { V::store_n(p, saturated_i32<V>(x), n); }
  static void narrow_n(Truth* p, F x, std::size_t n) { V::store_mask_n(&p->byte, V::ne(x, V::set1(0.0f)), n); }
};

}  // namespace

void convert_any_1x16_1x1_avx512(const Args& args) {
  convert<Convert512>(args);
}

}  // namespace intaglio::kernels::elementwise
