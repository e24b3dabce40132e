// Transcendental functions on vectors, shared by the ISA files of every kernel family. Everything is in an anonymous
// namespace: each ISA file gets its own copy, compiled for its level, and no symbol leaves it. The results of an
// element depend on nothing but the element: not on its lane, not on its neighbours.
//
// A vector policy V (v128.h: SSE4.2, v256.h: AVX2 and FMA, v512.h: AVX-512) has
//   F, I, M            vectors of kLanes floats and of 32-bit integers, and lane masks
//   load_n, store_n    the first n lanes only (n <= kLanes): no byte beyond them is touched, the rest of F is 0
//   min, max           the *second* operand when either is NaN
//   fma(a, b, c)       a*b + c, in one rounding if kFused
//   scale2(x, n)       x * 2^n for integral n in -160..160, denormal results rounded once
//   keep_first(x, n)   lanes from n on set to 0
//   kLookup16          whether lookup16(table, index) exists: table[index % 16] of 16 floats in one instruction
//   sum, largest       over all lanes, in a fixed order; largest ignores some NaN
//
// Accuracy, over all floats (kernels/elementwise/functions_test.cc, against long double): exp, log, tanh, sigmoid, erf
// within 4 ulp (denormal results included); |error| of gelu_erf, gelu_tanh, silu <= 4 eps max(|x|, smallest normal).
// NaN gives NaN. exp(-inf) = 0, exp(inf) = inf; log(0) = -inf, log(x < 0) = NaN; gelu and silu of -inf are NaN (0 *
// inf), as the formula.
#pragma once

#include "base/pod.h"

namespace intaglio::kernels::math {
namespace {

template <class V>
inline typename V::F sign_bit() {
  return V::set1(-0.0f);
}
template <class V>
inline typename V::F abs_v(typename V::F x) {
  return V::andnot_bits(sign_bit<V>(), x);
}
// |magnitude| with the sign of `sign`.
template <class V>
inline typename V::F copysign_v(typename V::F magnitude, typename V::F sign) {
  return V::or_bits(V::andnot_bits(sign_bit<V>(), magnitude), V::and_bits(sign_bit<V>(), sign));
}

// x = n ln 2 + r, |r| <= ln 2 / 2; n integral. The high part of ln 2 has 15 bits: n * high is exact without FMA too.
template <class V>
struct Reduced {
  typename V::F n, r;
};
template <class V>
inline Reduced<V> reduce_ln2(typename V::F x) {
  const typename V::F n = V::round_even(V::mul(x, V::set1(1.44269504088896341f)));
  typename V::F r = V::fma(n, V::set1(-6.93145752e-1f), x);
  r = V::fma(n, V::set1(-1.42860677e-6f), r);
  return {n, r};
}
// (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2
template <class V>
inline typename V::F exp_tail(typename V::F r) {
  typename V::F p = V::set1(1.37805939e-3f);
  p = V::fma(p, r, V::set1(8.37312452e-3f));
  p = V::fma(p, r, V::set1(4.16695364e-2f));
  p = V::fma(p, r, V::set1(1.66664720e-1f));
  return V::fma(p, r, V::set1(4.99999851e-1f));
}

template <class V>
inline typename V::F exp_v(typename V::F x) {
  using F = typename V::F;
  const F one = V::set1(1.0f);
  // Beyond these bounds the result is 0 or inf; NaN passes (second operand).
  const F held = V::max(V::set1(-104.0f), V::min(V::set1(89.0f), x));
  const Reduced<V> e = reduce_ln2<V>(held);
  F p = V::fma(exp_tail<V>(e.r), e.r, one);
  p = V::fma(p, e.r, one);
  return V::scale2(p, e.n);
}

// 2/3 <= m < 4/3, x = 2^e m: ln x = e ln 2 + log1p(m - 1).
template <class V>
inline typename V::F log_v(typename V::F x) {
  using F = typename V::F;
  const auto denormal = V::lt(x, V::set1(1.17549435e-38f));
  const F scaled = V::select(denormal, V::mul(x, V::set1(8388608.0f)), x);
  const auto e =
      V::andi(V::subi(V::as_int(scaled), V::set1i(0x3f2aaaab)), V::set1i(static_cast<std::int32_t>(0xff800000u)));
  const F m = V::sub(V::as_float(V::subi(V::as_int(scaled), e)), V::set1(1.0f));
  const F exponent =
      V::add(V::mul(V::to_float(e), V::set1(1.19209290e-7f)), V::select(denormal, V::set1(-23.0f), V::set1(0.0f)));
  const F s = V::mul(m, m);
  F r = V::fma(V::set1(-0.130310059f), s, V::set1(-0.121483512f));
  F t = V::fma(V::set1(0.140869141f), s, V::set1(0.139814854f));
  r = V::fma(r, s, V::set1(-0.166846126f));
  t = V::fma(t, s, V::set1(0.200120345f));
  r = V::fma(r, s, V::set1(-0.249996200f));
  r = V::fma(t, m, r);
  r = V::fma(r, m, V::set1(0.333331972f));
  r = V::fma(r, m, V::set1(-0.5f));
  r = V::fma(r, s, m);
  r = V::fma(exponent, V::set1(0.693147182f), r);
  const F infinity = V::set1(__builtin_inff());
  const F zero = V::set1(0.0f);
  r = V::select(V::lt(x, infinity), r, V::add(x, x));  // inf and NaN
  r = V::select(V::lt(x, zero), V::set1(__builtin_nanf("")), r);
  return V::select(V::eq(x, zero), V::sub(zero, infinity), r);
}

// From e = exp(-|x|): no overflow, and small results keep their digits.
template <class V>
inline typename V::F sigmoid_v(typename V::F x) {
  using F = typename V::F;
  const F one = V::set1(1.0f);
  const F e = exp_v<V>(V::or_bits(x, sign_bit<V>()));
  return V::div(V::select_lt(x, V::set1(0.0f), e, one), V::add(one, e));
}

// With m = e^(2|x|) - 1: m / (m + 2).
template <class V>
inline typename V::F tanh_v(typename V::F x) {
  using F = typename V::F;
  const F magnitude = abs_v<V>(x);
  const F doubled = V::min(V::set1(20.0f), V::add(magnitude, magnitude));  // 1 from here on
  const Reduced<V> e = reduce_ln2<V>(doubled);
  const F minus_one = V::fma(V::mul(exp_tail<V>(e.r), e.r), e.r, e.r);  // e^r - 1
  const F power = V::scale2(V::set1(1.0f), e.n);
  const F m = V::fma(power, minus_one, V::sub(power, V::set1(1.0f)));
  return copysign_v<V>(V::div(m, V::add(m, V::set1(2.0f))), x);
}

// An odd polynomial up to 475/512, 1 - exp(polynomial) above.
template <class V>
inline typename V::F erf_v(typename V::F x) {
  using F = typename V::F;
  const F t = V::min(V::set1(4.0f), abs_v<V>(x));  // 1 from 3.92 on; NaN passes
  const F s = V::mul(t, t);
  F far = V::fma(V::set1(-1.72853470e-5f), t, V::set1(3.83197126e-4f));
  far = V::fma(far, s, V::fma(V::set1(-3.88396438e-3f), t, V::set1(2.42546219e-2f)));
  far = V::fma(far, t, V::set1(-1.06777877e-1f));
  far = V::fma(far, t, V::set1(-6.34846687e-1f));
  far = V::fma(far, t, V::set1(-1.28717512e-1f));
  far = V::sub(V::mul(far, t), t);
  far = V::sub(V::set1(1.0f), exp_v<V>(far));
  F near = V::fma(V::set1(-5.96761703e-4f), s, V::set1(4.99119423e-3f));
  near = V::fma(near, s, V::set1(-2.67681349e-2f));
  near = V::fma(near, s, V::set1(1.12819925e-1f));
  near = V::fma(near, s, V::set1(-3.76125336e-1f));
  near = V::fma(near, s, V::set1(1.28379166e-1f));
  near = V::fma(near, t, t);
  return copysign_v<V>(V::select_lt(V::set1(0.927734375f), t, far, near), x);
}

// Q(t) = erfc(t / sqrt 2) / 2, the normal distribution's tail, for 0 <= t < 15.5 h: around i h for i = 0..15 a
// polynomial of degree 4 in t - i h, coefficient c of all i in row c. The last is 0, which is within 1e-7. Fitted by
// reweighted least squares in double; 1.4 eps |x| is the worst error of a GELU made of it.
constexpr float kTailStep = 0.359375f;
alignas(64) constexpr float kTail[5][16] = {
    {5.000000000e-01f, 3.596572876e-01f, 2.361474931e-01f, 1.404889971e-01f, 7.528798282e-02f, 3.617773205e-02f,
     1.553207263e-02f, 5.941075739e-03f, 2.020137617e-03f, 6.095467834e-04f, 1.629766484e-04f, 3.856874901e-05f,
     8.071025150e-06f, 1.492340289e-06f, 2.436537443e-07f, 0.000000000e+00f},
    {-3.989412785e-01f, -3.739924133e-01f, -3.081280887e-01f, -2.231060117e-01f, -1.419716626e-01f, -7.939639688e-02f,
     -3.902173042e-02f, -1.685451716e-02f, -6.397745106e-03f, -2.134198556e-03f, -6.256563938e-04f, -1.611852640e-04f,
     -3.649202336e-05f, -7.260187431e-06f, -1.269312406e-06f, 0.000000000e+00f},
    {-4.443933722e-05f, 6.720001251e-02f, 1.107311770e-01f, 1.202659011e-01f, 1.020410433e-01f, 7.133269310e-02f,
     4.207089916e-02f, 2.120051906e-02f, 9.197285399e-03f, 3.451704513e-03f, 1.124369679e-03f, 3.186489048e-04f,
     7.870450645e-05f, 1.696459003e-05f, 3.194384135e-06f, 0.000000000e+00f},
    {6.718508154e-02f, 5.400126427e-02f, 2.480791695e-02f, -5.841349717e-03f, -2.498893999e-02f, -2.933348902e-02f,
     -2.369090915e-02f, -1.499644388e-02f, -7.794289384e-03f, -3.401422640e-03f, -1.262229402e-03f, -4.014706938e-04f,
     -1.100329755e-04f, -2.608463546e-05f, -5.363482614e-06f, 0.000000000e+00f},
    {-4.439821932e-03f, -1.593327895e-02f, -2.274702117e-02f, -1.832833327e-02f, -7.960667834e-03f, 1.283402555e-03f,
     5.717541091e-03f, 5.852716044e-03f, 4.036637954e-03f, 2.156923991e-03f, 9.384081350e-04f, 3.405429889e-04f,
     1.045138561e-04f, 2.736546958e-05f, 6.149638921e-06f, 0.000000000e+00f},
};

// x (1 + erf(x / sqrt 2)) / 2. Where 16 floats can be looked up at once: x Q(-x), 17 instructions instead of 36 (Zen 4,
// AVX-512: 3.2 instead of 11.4 ns per vector).
template <class V>
inline typename V::F gelu_erf_v(typename V::F x) {
  using F = typename V::F;
  if constexpr (V::kLookup16) {
    const F t = V::min(V::set1(5.55f), abs_v<V>(x));                           // 0 from 14.5 h = 5.2 on; NaN passes
    const F shifted = V::fma(t, V::set1(1.0f / kTailStep), V::set1(0x1p23f));  // the piece in the last bits
    const F d = V::fma(V::sub(shifted, V::set1(0x1p23f)), V::set1(-kTailStep), t);
    const auto piece = V::as_int(shifted);
    F q = V::lookup16(kTail[4], piece);
    q = V::fma(q, d, V::lookup16(kTail[3], piece));
    q = V::fma(q, d, V::lookup16(kTail[2], piece));
    q = V::fma(q, d, V::lookup16(kTail[1], piece));
    q = V::fma(q, d, V::lookup16(kTail[0], piece));
    return V::mul(x, V::select_lt(V::set1(0.0f), x, V::sub(V::set1(1.0f), q), q));
  } else {
    const F e = erf_v<V>(V::mul(x, V::set1(0.70710678118654752f)));
    return V::mul(V::mul(V::set1(0.5f), x), V::add(V::set1(1.0f), e));
  }
}

// 0.5 (1 + tanh u) = sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3)
template <class V>
inline typename V::F gelu_tanh_v(typename V::F x) {
  using F = typename V::F;
  const F inner = V::fma(V::mul(x, x), V::set1(0.044715f), V::set1(1.0f));
  return V::mul(x, sigmoid_v<V>(V::mul(V::mul(x, V::set1(1.5957691216057308f)), inner)));
}

template <class V>
inline typename V::F silu_v(typename V::F x) {
  return V::mul(x, sigmoid_v<V>(x));
}

// x * clamp(x / 6 + 1/2, 0, 1): ONNX HardSwish. NaN gives NaN, -inf too (inf * 0).
template <class V>
inline typename V::F hard_swish_v(typename V::F x) {
  const typename V::F gate = V::add(V::div(x, V::set1(6.0f)), V::set1(0.5f));
  return V::mul(x, V::min(V::set1(1.0f), V::max(V::set1(0.0f), gate)));
}

}  // namespace
}  // namespace intaglio::kernels::math
