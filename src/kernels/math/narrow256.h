// Narrow storage types on AVX2 with F16C; the contract is in narrow512.h. Included by ISA files only.
#pragma once

#include "kernels/math/v256.h"

namespace intaglio::kernels::math {
namespace {

struct Narrow256 {
  using V = V256;
  using F = V::F;
  using I = V::I;

  template <int kBits>
  static I shift_left(I x) {
    return _mm256_slli_epi32(x, kBits);
  }
  template <int kBits>
  static I shift_right(I x) {
    return _mm256_srli_epi32(x, kBits);
  }
  template <int kBits>
  static I shift_right_signed(I x) {
    return _mm256_srai_epi32(x, kBits);
  }

  // The first n elements of a narrow type in the low half of a register; the rest 0.
  template <class T>
  static __m128i some(const T* p, std::size_t n) {
    if (sizeof(T) == 2 && n == V::kLanes) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    alignas(16) unsigned char bytes[16] = {};
    if (n == V::kLanes) {
      __builtin_memcpy(bytes, p, V::kLanes * sizeof(T));
    } else {
      for (std::size_t i = 0; i < n; ++i) __builtin_memcpy(bytes + i * sizeof(T), p + i, sizeof(T));
    }
    return _mm_load_si128(reinterpret_cast<const __m128i*>(bytes));
  }
  static F widen_n(const Float16* p, std::size_t n) { return _mm256_cvtph_ps(some(p, n)); }
  static F widen_n(const BFloat16* p, std::size_t n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(some(p, n)), 16));
  }
  static I widen_in(const std::uint8_t* p, std::size_t n) { return _mm256_cvtepu8_epi32(some(p, n)); }
  static I widen_in(const std::int8_t* p, std::size_t n) { return _mm256_cvtepi8_epi32(some(p, n)); }

  static void store_halves(std::uint16_t* p, __m128i x, std::size_t n) {
    if (n == V::kLanes) return _mm_storeu_si128(reinterpret_cast<__m128i*>(p), x);
    alignas(16) std::uint16_t lanes[8];
    _mm_store_si128(reinterpret_cast<__m128i*>(lanes), x);
    for (std::size_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
  static __m128i packed(__m256i lanes) {
    return _mm_packus_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
  }
  static void narrow_n(Float16* p, F x, std::size_t n) {
    store_halves(&p->bits, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), n);
  }
  static void narrow_n(BFloat16* p, F x, std::size_t n) {
    const __m256i bits = V::as_int(x);
    const __m256i high = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(high, V::set1i(1));
    const __m256i rounded = _mm256_srli_epi32(V::addi(bits, V::addi(V::set1i(0x7fff), odd)), 16);
    const __m256i quiet = _mm256_or_si256(high, V::set1i(0x40));
    const __m256i lanes = V::as_int(V::select(V::unordered(x, x), V::as_float(quiet), V::as_float(rounded)));
    store_halves(&p->bits, packed(lanes), n);
  }
  static void store_8n(void* p, I x, std::size_t n) {
    const __m128i words = packed(_mm256_and_si256(x, V::set1i(0xff)));
    const __m128i bytes = _mm_packus_epi16(words, words);
    if (n == V::kLanes) return _mm_storel_epi64(static_cast<__m128i*>(p), bytes);
    alignas(16) unsigned char lanes[16];
    _mm_store_si128(reinterpret_cast<__m128i*>(lanes), bytes);
    for (std::size_t i = 0; i < n; ++i) static_cast<unsigned char*>(p)[i] = lanes[i];
  }
};

}  // namespace
}  // namespace intaglio::kernels::math
