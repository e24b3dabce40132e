// The functions of Unary on vectors, over a vector policy V (x86_<isa>.cc). Included by ISA files only: everything is in
// an anonymous namespace, so each level has its own copy.
//
// V: F, I, kLanes; set1, add, sub, mul, div, fma (one rounding where the level has it), min and max that return the
// *second* operand when either is NaN, round_even, pow2 (2^n for integral n in -126..127), select_lt(a, b, yes, no).
#pragma once

#include "kernels/gemm/gemm.h"

namespace intaglio::kernels::gemm {
namespace {

// exp(x), about 1 ulp for -87.3 < x < 88.3; 0 below, inf above. Cephes' expf.
template <class V>
inline typename V::F exp_v(typename V::F x) {
  using F = typename V::F;
  constexpr float kHigh = 88.3762626647949f, kLow = -87.3365478515625f;
  const F clipped = V::max(V::set1(kLow), V::min(V::set1(kHigh), x));
  const F n = V::round_even(V::mul(clipped, V::set1(1.44269504088896341f)));
  F r = V::fma(n, V::set1(-0.693359375f), clipped);
  r = V::fma(n, V::set1(2.12194440e-4f), r);
  F p = V::set1(1.9875691500e-4f);
  p = V::fma(p, r, V::set1(1.3981999507e-3f));
  p = V::fma(p, r, V::set1(8.3334519073e-3f));
  p = V::fma(p, r, V::set1(4.1665795894e-2f));
  p = V::fma(p, r, V::set1(1.6666665459e-1f));
  p = V::fma(p, r, V::set1(5.0000001201e-1f));
  p = V::add(V::fma(p, V::mul(r, r), r), V::set1(1.0f));
  p = V::mul(p, V::pow2(n));
  p = V::select_lt(x, V::set1(kLow), V::set1(0.0f), p);
  return V::select_lt(V::set1(kHigh), x, V::set1(__builtin_inff()), p);
}

// 1 / (1 + exp(-x))
template <class V>
inline typename V::F sigmoid_v(typename V::F x) {
  const typename V::F one = V::set1(1.0f);
  return V::div(one, V::add(one, exp_v<V>(V::sub(V::set1(0.0f), x))));
}

// x * P(x^2) / Q(x^2), the rational minimax form used by Eigen and XLA; |error| < 2e-7. Held to [-1, 1], so that
// 1 + erf never changes sign (gelu of -inf would be +inf).
template <class V>
inline typename V::F erf_v(typename V::F x) {
  using F = typename V::F;
  constexpr float kOneFrom = 3.832506856900711f;  // erf rounds to 1 from here on
  x = V::max(V::set1(-kOneFrom), V::min(V::set1(kOneFrom), x));
  const F s = V::mul(x, x);
  F p = V::set1(0.00022905065861350646f);
  p = V::fma(p, s, V::set1(0.0034082910107109506f));
  p = V::fma(p, s, V::set1(0.050955695062380861f));
  p = V::fma(p, s, V::set1(0.18520832239976145f));
  p = V::fma(p, s, V::set1(1.128379143519084f));
  F q = V::set1(-1.1791602954361697e-7f);
  q = V::fma(q, s, V::set1(0.000023547966471313185f));
  q = V::fma(q, s, V::set1(0.0010179625278914885f));
  q = V::fma(q, s, V::set1(0.014070470171167667f));
  q = V::fma(q, s, V::set1(0.11098505178285362f));
  q = V::fma(q, s, V::set1(0.49746925110067538f));
  q = V::fma(q, s, V::set1(1.0f));
  return V::max(V::set1(-1.0f), V::min(V::set1(1.0f), V::div(V::mul(x, p), q)));
}

// Eigen's rational form; |error| < 4e-7.
template <class V>
inline typename V::F tanh_v(typename V::F x) {
  using F = typename V::F;
  constexpr float kOneFrom = 7.90531110763549805f;
  x = V::max(V::set1(-kOneFrom), V::min(V::set1(kOneFrom), x));
  const F s = V::mul(x, x);
  F p = V::set1(-2.76076847742355e-16f);
  p = V::fma(p, s, V::set1(2.00018790482477e-13f));
  p = V::fma(p, s, V::set1(-8.60467152213735e-11f));
  p = V::fma(p, s, V::set1(5.12229709037114e-08f));
  p = V::fma(p, s, V::set1(1.48572235717979e-05f));
  p = V::fma(p, s, V::set1(6.37261928875436e-04f));
  p = V::fma(p, s, V::set1(4.89352455891786e-03f));
  F q = V::set1(1.19825839466702e-06f);
  q = V::fma(q, s, V::set1(1.18534705686654e-04f));
  q = V::fma(q, s, V::set1(2.26843463243900e-03f));
  q = V::fma(q, s, V::set1(4.89352518554385e-03f));
  return V::div(V::mul(x, p), q);
}

template <class V, Unary U>
inline typename V::F unary_v(typename V::F x) {
  using F = typename V::F;
  if constexpr (U == Unary::relu) return V::max(V::set1(0.0f), x);
  if constexpr (U == Unary::sigmoid) return sigmoid_v<V>(x);
  if constexpr (U == Unary::tanh) return tanh_v<V>(x);
  if constexpr (U == Unary::silu) {
    return V::div(x, V::add(V::set1(1.0f), exp_v<V>(V::sub(V::set1(0.0f), x))));
  }
  if constexpr (U == Unary::gelu_erf) {
    const F half = V::mul(V::set1(0.5f), x);
    return V::mul(half, V::add(V::set1(1.0f), erf_v<V>(V::mul(x, V::set1(0.70710678118654752f)))));
  }
  if constexpr (U == Unary::gelu_tanh) {  // 0.5 (1 + tanh u) = 1 / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3)
    const F inner = V::fma(V::mul(x, x), V::set1(0.044715f), V::set1(1.0f));
    const F minus_2u = V::mul(V::mul(x, V::set1(-1.5957691216057308f)), inner);
    return V::div(x, V::add(V::set1(1.0f), exp_v<V>(minus_2u)));
  }
  return x;
}

}  // namespace
}  // namespace intaglio::kernels::gemm
