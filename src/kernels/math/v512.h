// The vector policy of AVX-512 (F, BW, VL, DQ). Included by ISA files only; the contract is in functions.h.
#pragma once

#include <immintrin.h>

#include "base/pod.h"

// GCC 12's own headers start unused operands from themselves: https://gcc.gnu.org/bugzilla/show_bug.cgi?id=105593
#pragma GCC diagnostic ignored "-Wuninitialized"

namespace intaglio::kernels::math {
namespace {

struct V512 {
  using F = __m512;
  using I = __m512i;
  using M = __mmask16;
  static constexpr std::size_t kLanes = 16;
  static constexpr bool kFused = true;
  static constexpr bool kLookup16 = true;

  static M first(std::size_t n) { return static_cast<M>((1u << n) - 1u); }
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static I load(const std::int32_t* p) { return _mm512_loadu_si512(p); }
  static F load_n(const float* p, std::size_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static I load_n(const std::int32_t* p, std::size_t n) { return _mm512_maskz_loadu_epi32(first(n), p); }
  static void store(float* p, F x) { _mm512_storeu_ps(p, x); }
  static void store(std::int32_t* p, I x) { _mm512_storeu_si512(p, x); }
  static void store_n(float* p, F x, std::size_t n) { _mm512_mask_storeu_ps(p, first(n), x); }
  static void store_n(std::int32_t* p, I x, std::size_t n) { _mm512_mask_storeu_epi32(p, first(n), x); }

  static F set1(float x) { return _mm512_set1_ps(x); }
  static I set1i(std::int32_t x) { return _mm512_set1_epi32(x); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F min(F a, F b) { return _mm512_min_ps(a, b); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static F sqrt(F x) { return _mm512_sqrt_ps(x); }
  static F round_even(F x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F floor(F x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
  static F ceil(F x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
  static F scale2(F x, F n) { return _mm512_scalef_ps(x, n); }
  static F and_bits(F a, F b) { return _mm512_and_ps(a, b); }
  static F or_bits(F a, F b) { return _mm512_or_ps(a, b); }
  static F xor_bits(F a, F b) { return _mm512_xor_ps(a, b); }
  static F andnot_bits(F a, F b) { return _mm512_andnot_ps(a, b); }

  static I addi(I a, I b) { return _mm512_add_epi32(a, b); }
  static I subi(I a, I b) { return _mm512_sub_epi32(a, b); }
  static I muli(I a, I b) { return _mm512_mullo_epi32(a, b); }
  static I andi(I a, I b) { return _mm512_and_si512(a, b); }
  static F to_float(I x) { return _mm512_cvtepi32_ps(x); }
  static I to_int(F x) { return _mm512_cvttps_epi32(x); }
  static F as_float(I x) { return _mm512_castsi512_ps(x); }
  static I as_int(F x) { return _mm512_castps_si512(x); }

  static M lt(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
  static M le(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
  static M eq(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
  static M ne(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ); }
  static M unordered(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q); }
  static F select(M m, F yes, F no) { return _mm512_mask_blend_ps(m, no, yes); }
  static F lookup16(const float (&table)[16], I index) { return _mm512_permutexvar_ps(index, load(table)); }
  static F select_lt(F a, F b, F yes, F no) { return select(lt(a, b), yes, no); }
  static F keep_first(F x, std::size_t n) { return _mm512_maskz_mov_ps(first(n), x); }
  // One byte a lane, 0 or 1; and the inverse (any non-zero byte counts as true).
  static void store_mask_n(std::uint8_t* p, M m, std::size_t n) {
    _mm_mask_storeu_epi8(p, first(n), _mm_maskz_set1_epi8(m, 1));
  }
  static M load_mask_n(const std::uint8_t* p, std::size_t n) {
    const __m128i bytes = _mm_maskz_loadu_epi8(first(n), p);
    return _mm_test_epi8_mask(bytes, bytes);
  }

  static float sum(F x) {
    const __m256 y = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
  }
  static float largest(F x) {
    const __m256 y = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 z = _mm_max_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_max_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_max_ss(z, _mm_movehdup_ps(z)));
  }
};

}  // namespace
}  // namespace intaglio::kernels::math
