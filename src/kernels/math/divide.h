// Ways to divide many x by one scale s, for quotients that are then rounded to integers. Included by ISA files of
// kernels/quantize and kernels/gemm only.
//
// ByInverse gives the same integers as the division, in three operations that the multipliers take one a cycle each:
// rows of 768 f32 in L1 take 113 instead of 133 ns on Zen 4 (AVX-512, with the test for NaN, 2026-11), whose divider is
// fast (4 cycles for 8 lanes; that of Intel takes 16 for 16).
//
//   r = RN(1 / s),  q = RN(x r),  e = RN(x - q s),  q' = RN(q + e r)
//
// Let t = x / s, 0 <= t < 1024 (signs are symmetric), and look at the only places where an error could change the
// rounded integer: t next to h = n + 1/2, where RN(t) may be h or a neighbour of h. u = ulp(h); a midpoint between two
// neighbouring floats is never a quotient of two floats.
//  * |x r - t| <= 2^-24 t < u m / 2, where m < 2 is the mantissa of t, and rounding to q adds u / 2. Near h < 1024
//    m is at most 2047/1024, so |q - t| < 1.4996 u. (Next to h = 1/2 m is 1 and the bound u, on either side.)
//  * e is exact if |e| <= s u, as in every division step: a multiple of u ulp(s) below 2^24 of them. Above that it is
//    rounded by at most 2^-24 of itself, and then t is more than u from q.
//  * The midpoints that matter are q +- u/2, since q +- 3u/2 is out of reach: e r (1 + 2^-23) < 1.4999 u too. If |e| is
//    exact and beyond the midpoint, |e| > s u / 2, both are floats, so |e| >= (s + ulp(s)) u / 2, and
//    (s + ulp(s)) r > 1 for r = RN(1 / s) (with s in [1, 2): ulp(s) / s > 2 ulp(1 / s) / 2 as s < 2): q' lies beyond
//    the midpoint as well. If |e| < s u / 2 the same with s - ulp(s) gives q' before it. So q' = RN(t).
// This is Markstein's theorem (IBM J. Res. Dev. 34, 1990) with a start that is worse than faithful but enough here.
// Nothing may underflow: e is a multiple of 2^-25 ulp(s) >= 2^-149 for s >= 2^-100; r is normal for s <= 2^100.
// Smaller t (x r or e may be denormal) stay far below 1/2.
#pragma once

#include "base/pod.h"

namespace intaglio::kernels::math {
namespace {

constexpr float kFar = 1024.0f;  // beyond every 8-bit value with any zero point

// Into [-kFar, kFar]; a NaN stays.
template <class V>
inline typename V::F held(typename V::F x) {
  return V::min(V::set1(kFar), V::max(V::set1(-kFar), x));
}

template <class V>
struct ByDivision {
  typename V::F scale;
  explicit ByDivision(float s) : scale(V::set1(s)) {}
  typename V::F operator()(typename V::F x) const { return held<V>(V::div(x, scale)); }
};

// kHeld: t may be anything; else the caller knows that |t| < 1024.
template <class V, bool kHeld>
struct ByInverse {
  typename V::F minus_scale, inverse, most, least;
  explicit ByInverse(float s)
      : minus_scale(V::set1(-s)),
        inverse(V::set1(1.0f / s)),
        most(V::set1(kFar * (s < 0.0f ? -s : s))),
        least(V::set1(-kFar * (s < 0.0f ? -s : s))) {}
  typename V::F operator()(typename V::F x) const {
    if (kHeld) x = V::min(most, V::max(least, x));  // a NaN stays
    const typename V::F q = V::mul(x, inverse);
    return V::fma(V::fma(q, minus_scale, x), inverse, q);
  }
  static bool serves(float s) {
    const float size = s < 0.0f ? -s : s;
    return V::kFused && size >= 0x1p-100f && size <= 0x1p100f;
  }
};

template <class V>
struct ByReciprocal {
  typename V::F inverse;
  explicit ByReciprocal(float s) : inverse(V::set1(1.0f / s)) {}
  typename V::F operator()(typename V::F x) const { return held<V>(V::mul(x, inverse)); }
};

}  // namespace
}  // namespace intaglio::kernels::math
