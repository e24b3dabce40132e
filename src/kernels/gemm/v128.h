// The vector policy of SSE4.2 (no FMA: multiply, then add). Included by ISA files only.
#pragma once

#include <nmmintrin.h>

#include "kernels/gemm/gemm.h"

namespace intaglio::kernels::gemm {
namespace {

struct V128 {
  using F = __m128;
  using I = __m128i;
  static constexpr std::size_t kLanes = 4;

  static F load(const float* p) { return _mm_loadu_ps(p); }
  static I load(const std::int32_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
  static F load_n(const float* p, std::size_t n) {
    float lanes[kLanes] = {};
    for (std::size_t i = 0; i < n; ++i) lanes[i] = p[i];
    return load(lanes);
  }
  static I load_n(const std::int32_t* p, std::size_t n) {
    std::int32_t lanes[kLanes] = {};
    for (std::size_t i = 0; i < n; ++i) lanes[i] = p[i];
    return load(lanes);
  }
  static void store(float* p, F x) { _mm_storeu_ps(p, x); }
  static void store(std::int32_t* p, I x) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), x); }
  static void store_n(float* p, F x, std::size_t n) {
    float lanes[kLanes];
    store(lanes, x);
    for (std::size_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
  static void store_n(std::int32_t* p, I x, std::size_t n) {
    std::int32_t lanes[kLanes];
    store(lanes, x);
    for (std::size_t i = 0; i < n; ++i) p[i] = lanes[i];
  }

  static F set1(float x) { return _mm_set1_ps(x); }
  static F add(F a, F b) { return _mm_add_ps(a, b); }
  static F sub(F a, F b) { return _mm_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm_mul_ps(a, b); }
  static F div(F a, F b) { return _mm_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
  static F min(F a, F b) { return _mm_min_ps(a, b); }
  static F max(F a, F b) { return _mm_max_ps(a, b); }
  static F round_even(F x) { return _mm_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F pow2(F n) {
    return _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(_mm_cvtps_epi32(n), _mm_set1_epi32(127)), 23));
  }
  static F select_lt(F a, F b, F yes, F no) { return _mm_blendv_ps(no, yes, _mm_cmplt_ps(a, b)); }

  static I set1i(std::int32_t x) { return _mm_set1_epi32(x); }
  static I subi(I a, I b) { return _mm_sub_epi32(a, b); }
  static I muli(I a, I b) { return _mm_mullo_epi32(a, b); }
  static F to_float(I x) { return _mm_cvtepi32_ps(x); }
};

}  // namespace
}  // namespace intaglio::kernels::gemm
