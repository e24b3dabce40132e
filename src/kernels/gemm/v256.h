// The vector policy of AVX2 with FMA. Included by ISA files only.
#pragma once

#include <immintrin.h>

#include "kernels/gemm/gemm.h"

namespace intaglio::kernels::gemm {
namespace {

struct V256 {
  using F = __m256;
  using I = __m256i;
  static constexpr std::size_t kLanes = 8;

  static I first(std::size_t n) {  // lane < n
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<std::int32_t>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
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
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F div(F a, F b) { return _mm256_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F min(F a, F b) { return _mm256_min_ps(a, b); }
  static F max(F a, F b) { return _mm256_max_ps(a, b); }
  static F round_even(F x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F pow2(F n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
  }
  static F select_lt(F a, F b, F yes, F no) { return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ)); }

  static I set1i(std::int32_t x) { return _mm256_set1_epi32(x); }
  static I subi(I a, I b) { return _mm256_sub_epi32(a, b); }
  static I muli(I a, I b) { return _mm256_mullo_epi32(a, b); }
  static F to_float(I x) { return _mm256_cvtepi32_ps(x); }
};

}  // namespace
}  // namespace intaglio::kernels::gemm
