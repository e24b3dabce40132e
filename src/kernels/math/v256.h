// The vector policy of AVX2 with FMA. Included by ISA files only; the contract is in functions.h.
#pragma once

#include <immintrin.h>

#include "base/pod.h"

namespace intaglio::kernels::math {
namespace {

struct V256 {
  using F = __m256;
  using I = __m256i;
  using M = __m256;  // all bits of a lane
  static constexpr std::size_t kLanes = 8;
  static constexpr bool kFused = true;
  static constexpr bool kLookup16 = false;

  static I first(std::size_t n) {  // lane < n
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<std::int32_t>(n)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static F load(const float* p) { return _mm256_loadu_ps(p); }
  static I load(const std::int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static F load_n(const float* p, std::size_t n) { return _mm256_maskload_ps(p, first(n)); }
  static I load_n(const std::int32_t* p, std::size_t n) { return _mm256_maskload_epi32(p, first(n)); }
  static void store(float* p, F x) { _mm256_storeu_ps(p, x); }
  static void store(std::int32_t* p, I x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x); }
  static void store_n(float* p, F x, std::size_t n) { _mm256_maskstore_ps(p, first(n), x); }
  static void store_n(std::int32_t* p, I x, std::size_t n) { _mm256_maskstore_epi32(p, first(n), x); }

  static F set1(float x) { return _mm256_set1_ps(x); }
  static I set1i(std::int32_t x) { return _mm256_set1_epi32(x); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F div(F a, F b) { return _mm256_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F min(F a, F b) { return _mm256_min_ps(a, b); }
  static F max(F a, F b) { return _mm256_max_ps(a, b); }
  static F sqrt(F x) { return _mm256_sqrt_ps(x); }
  static F round_even(F x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F floor(F x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
  static F ceil(F x) { return _mm256_round_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
  static F pow2(I n) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23)); }
  static F scale2(F x, F n) {  // in two factors, so that every one is a normal number
    const I all = _mm256_cvtps_epi32(n);
    const I half = _mm256_srai_epi32(all, 1);
    return mul(mul(x, pow2(half)), pow2(_mm256_sub_epi32(all, half)));
  }
  static F and_bits(F a, F b) { return _mm256_and_ps(a, b); }
  static F or_bits(F a, F b) { return _mm256_or_ps(a, b); }
  static F xor_bits(F a, F b) { return _mm256_xor_ps(a, b); }
  static F andnot_bits(F a, F b) { return _mm256_andnot_ps(a, b); }

  static I addi(I a, I b) { return _mm256_add_epi32(a, b); }
  static I subi(I a, I b) { return _mm256_sub_epi32(a, b); }
  static I muli(I a, I b) { return _mm256_mullo_epi32(a, b); }
  static I andi(I a, I b) { return _mm256_and_si256(a, b); }
  static F to_float(I x) { return _mm256_cvtepi32_ps(x); }
  static I to_int(F x) { return _mm256_cvttps_epi32(x); }
  static F as_float(I x) { return _mm256_castsi256_ps(x); }
  static I as_int(F x) { return _mm256_castps_si256(x); }

  static M lt(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
  static M le(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
  static M eq(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
  static M ne(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_NEQ_UQ); }
  static M unordered(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_UNORD_Q); }
  static F select(M m, F yes, F no) { return _mm256_blendv_ps(no, yes, m); }
  static F select_lt(F a, F b, F yes, F no) { return select(lt(a, b), yes, no); }
  static F keep_first(F x, std::size_t n) { return _mm256_and_ps(x, _mm256_castsi256_ps(first(n))); }
  static void store_mask_n(std::uint8_t* p, M m, std::size_t n) {
    const __m256i lanes = _mm256_castps_si256(m);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    const __m128i bytes = _mm_and_si128(_mm_packs_epi16(words, words), _mm_set1_epi8(1));
    const auto all = static_cast<std::uint64_t>(_mm_cvtsi128_si64(bytes));
    if (n == kLanes) {
      __builtin_memcpy(p, &all, 8);
    } else {
      for (std::size_t i = 0; i < n; ++i) p[i] = static_cast<std::uint8_t>(all >> (8 * i));
    }
  }
  static M load_mask_n(const std::uint8_t* p, std::size_t n) {
    std::uint64_t all = 0;
    if (n == kLanes) {
      __builtin_memcpy(&all, p, 8);
    } else {
      for (std::size_t i = 0; i < n; ++i) all |= static_cast<std::uint64_t>(p[i]) << (8 * i);
    }
    const __m256i lanes = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<std::int64_t>(all)));
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(lanes, _mm256_setzero_si256()));
  }

  static float sum(F x) {
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
  }
  static float largest(F x) {
    __m128 z = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    z = _mm_max_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_max_ss(z, _mm_movehdup_ps(z)));
  }
};

}  // namespace
}  // namespace intaglio::kernels::math
