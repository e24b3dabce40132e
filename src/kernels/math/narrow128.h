// Narrow storage types on SSE4.2; the contract is in narrow512.h. f16 and what is not a whole vector go lane by lane.
// Included by ISA files only.
#pragma once

#include "kernels/math/scalar_half.h"
#include "kernels/math/v128.h"

namespace intaglio::kernels::math {
namespace {

struct Narrow128 {
  using V = V128;
  using F = V::F;
  using I = V::I;

  template <int kBits>
  static I shift_left(I x) {
    return _mm_slli_epi32(x, kBits);
  }
  template <int kBits>
  static I shift_right(I x) {
    return _mm_srli_epi32(x, kBits);
  }
  template <int kBits>
  static I shift_right_signed(I x) {
    return _mm_srai_epi32(x, kBits);
  }

  static F widen_n(const Float16* p, std::size_t n) {
    float lanes[V::kLanes] = {};
    for (std::size_t i = 0; i < n; ++i) lanes[i] = widened(p[i]);
    return V::load(lanes);
  }
  static F widen_n(const BFloat16* p, std::size_t n) {
    if (n == V::kLanes) {
      const I halves = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
      return V::as_float(_mm_unpacklo_epi16(_mm_setzero_si128(), halves));
    }
    float lanes[V::kLanes] = {};
    for (std::size_t i = 0; i < n; ++i) lanes[i] = widened(p[i]);
    return V::load(lanes);
  }
  // The first n bytes, the others 0.
  static I bytes(const void* p, std::size_t n) {
    std::int32_t all = 0;
    if (n == V::kLanes) {
      __builtin_memcpy(&all, p, V::kLanes);
    } else {
      __builtin_memcpy(&all, p, n);
    }
    return _mm_cvtsi32_si128(all);
  }
  static I widen_in(const std::uint8_t* p, std::size_t n) { return _mm_cvtepu8_epi32(bytes(p, n)); }
  static I widen_in(const std::int8_t* p, std::size_t n) { return _mm_cvtepi8_epi32(bytes(p, n)); }
  static void narrow_n(Float16* p, F x, std::size_t n) {
    float lanes[V::kLanes];
    V::store(lanes, x);
    for (std::size_t i = 0; i < n; ++i) p[i] = narrowed_f16(lanes[i]);
  }
  static void narrow_n(BFloat16* p, F x, std::size_t n) {
    if (n == V::kLanes) {
      const I bits = V::as_int(x), high = _mm_srli_epi32(bits, 16);
      const I odd = V::andi(high, V::set1i(1));
      const I rounded = _mm_srli_epi32(V::addi(bits, V::addi(V::set1i(0x7fff), odd)), 16);
      const I quiet = _mm_or_si128(high, V::set1i(0x40));
      const I lanes = V::as_int(V::select(V::unordered(x, x), V::as_float(quiet), V::as_float(rounded)));
      return _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi32(lanes, lanes));
    }
    float lanes[V::kLanes];
    V::store(lanes, x);
    for (std::size_t i = 0; i < n; ++i) p[i] = narrowed_bf16(lanes[i]);
  }
  static void store_8n(void* p, I x, std::size_t n) {
    const I low = _mm_shuffle_epi8(x, _mm_set1_epi32(0x0C080400));
    const std::int32_t all = _mm_cvtsi128_si32(low);
    if (n == V::kLanes) {
      __builtin_memcpy(p, &all, V::kLanes);
    } else {
      __builtin_memcpy(p, &all, n);
    }
  }
};

}  // namespace
}  // namespace intaglio::kernels::math
