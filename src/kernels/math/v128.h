// The vector policy of SSE4.2 (no FMA: multiply, then add). Included by ISA files only; the contract is in functions.h.
#pragma once

#include <nmmintrin.h>

#include "base/pod.h"

namespace intaglio::kernels::math {
namespace {

struct V128 {
  using F = __m128;
  using I = __m128i;
  using M = __m128;  // all bits of a lane
  static constexpr std::size_t kLanes = 4;
  static constexpr bool kFused = false;
  static constexpr bool kLookup16 = false;

  template <class T>
  static void copy(T* to, const T* from, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) to[i] = from[i];
  }
  static F load(const float* p) { return _mm_loadu_ps(p); }
  static I load(const std::int32_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
  static F load_n(const float* p, std::size_t n) {
    if (n == kLanes) return load(p);
    float lanes[kLanes] = {};
    copy(lanes, p, n);
    return load(lanes);
  }
  static I load_n(const std::int32_t* p, std::size_t n) {
    std::int32_t lanes[kLanes] = {};
    copy(lanes, p, n);
    return load(lanes);
  }
  static void store(float* p, F x) { _mm_storeu_ps(p, x); }
  static void store(std::int32_t* p, I x) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), x); }
  static void store_n(float* p, F x, std::size_t n) {
    if (n == kLanes) return store(p, x);
    float lanes[kLanes];
    store(lanes, x);
    copy(p, lanes, n);
  }
  static void store_n(std::int32_t* p, I x, std::size_t n) {
    std::int32_t lanes[kLanes];
    store(lanes, x);
    copy(p, lanes, n);
  }

  static F set1(float x) { return _mm_set1_ps(x); }
  static I set1i(std::int32_t x) { return _mm_set1_epi32(x); }
  static F add(F a, F b) { return _mm_add_ps(a, b); }
  static F sub(F a, F b) { return _mm_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm_mul_ps(a, b); }
  static F div(F a, F b) { return _mm_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
  static F min(F a, F b) { return _mm_min_ps(a, b); }
  static F max(F a, F b) { return _mm_max_ps(a, b); }
  static F sqrt(F x) { return _mm_sqrt_ps(x); }
  static F round_even(F x) { return _mm_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F floor(F x) { return _mm_round_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
  static F ceil(F x) { return _mm_round_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
  static F pow2(I n) { return _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(n, _mm_set1_epi32(127)), 23)); }
  static F scale2(F x, F n) {  // in two factors, so that every one is a normal number
    const I all = _mm_cvtps_epi32(n);
    const I half = _mm_srai_epi32(all, 1);
    return mul(mul(x, pow2(half)), pow2(_mm_sub_epi32(all, half)));
  }
  static F and_bits(F a, F b) { return _mm_and_ps(a, b); }
  static F or_bits(F a, F b) { return _mm_or_ps(a, b); }
  static F xor_bits(F a, F b) { return _mm_xor_ps(a, b); }
  static F andnot_bits(F a, F b) { return _mm_andnot_ps(a, b); }

  static I addi(I a, I b) { return _mm_add_epi32(a, b); }
  static I subi(I a, I b) { return _mm_sub_epi32(a, b); }
  static I muli(I a, I b) { return _mm_mullo_epi32(a, b); }
  static I andi(I a, I b) { return _mm_and_si128(a, b); }
  static F to_float(I x) { return _mm_cvtepi32_ps(x); }
  static I to_int(F x) { return _mm_cvttps_epi32(x); }
  static F as_float(I x) { return _mm_castsi128_ps(x); }
  static I as_int(F x) { return _mm_castps_si128(x); }

  static M lt(F a, F b) { return _mm_cmplt_ps(a, b); }
  static M le(F a, F b) { return _mm_cmple_ps(a, b); }
  static M eq(F a, F b) { return _mm_cmpeq_ps(a, b); }
  static M ne(F a, F b) { return _mm_cmpneq_ps(a, b); }
  static M unordered(F a, F b) { return _mm_cmpunord_ps(a, b); }
  static F select(M m, F yes, F no) { return _mm_blendv_ps(no, yes, m); }
  static F select_lt(F a, F b, F yes, F no) { return select(lt(a, b), yes, no); }
  static F keep_first(F x, std::size_t n) {
    const I lane = _mm_setr_epi32(0, 1, 2, 3);
    return _mm_and_ps(x, _mm_castsi128_ps(_mm_cmpgt_epi32(_mm_set1_epi32(static_cast<std::int32_t>(n)), lane)));
  }
  static void store_mask_n(std::uint8_t* p, M m, std::size_t n) {
    const auto bits = static_cast<unsigned>(_mm_movemask_ps(m));
    for (std::size_t i = 0; i < n; ++i) p[i] = static_cast<std::uint8_t>(bits >> i & 1u);
  }
  static M load_mask_n(const std::uint8_t* p, std::size_t n) {
    std::uint32_t all = 0;
    for (std::size_t i = 0; i < n; ++i) all |= static_cast<std::uint32_t>(p[i]) << (8 * i);
    const I lanes = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(static_cast<std::int32_t>(all)));
    return _mm_castsi128_ps(_mm_cmpgt_epi32(lanes, _mm_setzero_si128()));
  }

  static float sum(F x) {
    const F z = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
  }
  static float largest(F x) {
    const F z = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(z, _mm_movehdup_ps(z)));
  }
};

}  // namespace
}  // namespace intaglio::kernels::math
