// The vector policy of AVX-512 (F, BW, VL, DQ). Included by ISA files only.
#pragma once

#include <immintrin.h>

#include "kernels/gemm/gemm.h"

namespace intaglio::kernels::gemm {
namespace {

struct V512 {
  using F = __m512;
  using I = __m512i;
  static constexpr std::size_t kLanes = 16;

  static __mmask16 first(std::size_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static I load(const std::int32_t* p) { return _mm512_loadu_si512(p); }
  static F load_n(const float* p, std::size_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static I load_n(const std::int32_t* p, std::size_t n) { return _mm512_maskz_loadu_epi32(first(n), p); }
  static void store(float* p, F x) { _mm512_storeu_ps(p, x); }
  static void store(std::int32_t* p, I x) { _mm512_storeu_si512(p, x); }
  static void store_n(float* p, F x, std::size_t n) { _mm512_mask_storeu_ps(p, first(n), x); }
  static void store_n(std::int32_t* p, I x, std::size_t n) { _mm512_mask_storeu_epi32(p, first(n), x); }

  static F set1(float x) { return _mm512_set1_ps(x); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F min(F a, F b) { return _mm512_min_ps(a, b); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static F round_even(F x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F pow2(F n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
  }
  static F select_lt(F a, F b, F yes, F no) { return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes); }

  static I set1i(std::int32_t x) { return _mm512_set1_epi32(x); }
  static I subi(I a, I b) { return _mm512_sub_epi32(a, b); }
  static I muli(I a, I b) { return _mm512_mullo_epi32(a, b); }
  static F to_float(I x) { return _mm512_cvtepi32_ps(x); }
};

}  // namespace
}  // namespace intaglio::kernels::gemm
