// Narrow storage types on AVX-512: f16, bf16 and 8-bit integers to and from the lanes of V512. Included by ISA files
// only.
#pragma once

#include "kernels/math/v512.h"

namespace intaglio::kernels::math {
namespace {

// widen_n and narrow_n touch the first n elements only; widened lanes beyond are 0. Floats are rounded to nearest even,
// a NaN stays one. store_8n keeps the low byte of each lane. Shifts are of 32-bit lanes.
struct Narrow512 {
  using V = V512;
  using F = V::F;
  using I = V::I;

  template <int kBits>
  static I shift_left(I x) {
    return _mm512_slli_epi32(x, kBits);
  }
  template <int kBits>
  static I shift_right(I x) {
    return _mm512_srli_epi32(x, kBits);
  }
  template <int kBits>
  static I shift_right_signed(I x) {
    return _mm512_srai_epi32(x, kBits);
  }

  // table[index % 16], lane by lane.
  static F pick(F table, I index) { return _mm512_permutexvar_ps(index, table); }
  static F iota() { return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }

  // Whole vectors go without a mask: masked stores are several times slower on Zen 4.
  static __m256i halves(const void* p, std::size_t n) {
    return n == V::kLanes ? _mm256_loadu_si256(static_cast<const __m256i*>(p))
                          : _mm256_maskz_loadu_epi16(V::first(n), p);
  }
  static __m128i bytes(const void* p, std::size_t n) {
    return n == V::kLanes ? _mm_loadu_si128(static_cast<const __m128i*>(p)) : _mm_maskz_loadu_epi8(V::first(n), p);
  }
  static void store_halves(void* p, __m256i x, std::size_t n) {
    if (n == V::kLanes) return _mm256_storeu_si256(static_cast<__m256i*>(p), x);
    _mm256_mask_storeu_epi16(p, V::first(n), x);
  }
  static F widen_n(const Float16* p, std::size_t n) { return _mm512_cvtph_ps(halves(p, n)); }
  static F widen_n(const BFloat16* p, std::size_t n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves(p, n)), 16));
  }
  static I widen_in(const std::uint8_t* p, std::size_t n) { return _mm512_cvtepu8_epi32(bytes(p, n)); }
  static I widen_in(const std::int8_t* p, std::size_t n) { return _mm512_cvtepi8_epi32(bytes(p, n)); }

  static void narrow_n(Float16* p, F x, std::size_t n) {
    store_halves(p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), n);
  }
  static void narrow_n(BFloat16* p, F x, std::size_t n) {
    const __m512i bits = V::as_int(x);
    const __m512i high = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(high, V::set1i(1));
    const __m512i rounded = _mm512_srli_epi32(V::addi(bits, V::addi(V::set1i(0x7fff), odd)), 16);
    const __m512i quiet = _mm512_or_si512(high, V::set1i(0x40));
    const __m512i lanes = _mm512_mask_blend_epi32(V::unordered(x, x), rounded, quiet);
    store_halves(p, _mm512_cvtepi32_epi16(lanes), n);
  }
  static void store_8n(void* p, I x, std::size_t n) {
    const __m128i low = _mm512_cvtepi32_epi8(x);
    if (n == V::kLanes) return _mm_storeu_si128(static_cast<__m128i*>(p), low);
    _mm_mask_storeu_epi8(p, V::first(n), low);
  }
};

}  // namespace
}  // namespace intaglio::kernels::math
