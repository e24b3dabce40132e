// Quantisation over a vector policy of math/ and the bytes of its lanes, W:
//   W::V                           the policy
//   W::round(q)                    round_to_even(q), |q| < 2^31
//   W::whole(q, zero, nan)         round(q) + zero, `nan` where q is NaN
//   W::maxi(a, b), W::largesti(a)  of signed lanes
//   W::store<S>(p, x), store_n     the lanes saturated to 8 bits (S: signed) as bytes
//   W::store4<S>(p, a, b, c, d)    the same of four vectors
//   W::load<S>(p), load_n          the inverse of store; load_n fills up with zeros
//   W::brain(p), brain_n           bf16 as f32; brain_n fills up with zeros
//   W::Sum, W::add32<S>(sum, p)    sums of 32 bytes in lanes of some kind, W::total(sum)
// Included by ISA files only.
#pragma once

#include "kernels/math/divide.h"
#include "kernels/quantize/parameters.h"

namespace intaglio::kernels::quantize {
namespace {

template <class W>
struct FromF32 {
  using T = float;
  static typename W::V::F load(const T* p) { return W::V::load(p); }
  static typename W::V::F load_n(const T* p, std::size_t n) { return W::V::load_n(p, n); }
};
template <class W>
struct FromBrain {
  using T = std::uint16_t;
  static typename W::V::F load(const T* p) { return W::brain(p); }
  static typename W::V::F load_n(const T* p, std::size_t n) { return W::brain_n(p, n); }
};

// min and max give their second operand if one is NaN or both are zeros, so the start of +0 stays until something lies
// beyond.
template <class W, class Source>
void find_extremes(const void* source, std::size_t count, float* out) {
  using V = typename W::V;
  using F = typename V::F;
  constexpr std::size_t kLanes = V::kLanes;
  const auto* x = static_cast<const typename Source::T*>(source);
  const F zero = V::set1(0.0f);
  F low0 = zero, low1 = zero, low2 = zero, low3 = zero, high0 = zero, high1 = zero, high2 = zero, high3 = zero;
  std::size_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    const F v0 = Source::load(x + i), v1 = Source::load(x + i + kLanes);
    const F v2 = Source::load(x + i + 2 * kLanes), v3 = Source::load(x + i + 3 * kLanes);
    low0 = V::min(v0, low0), low1 = V::min(v1, low1), low2 = V::min(v2, low2), low3 = V::min(v3, low3);
    high0 = V::max(v0, high0), high1 = V::max(v1, high1), high2 = V::max(v2, high2), high3 = V::max(v3, high3);
  }
  for (; i < count; i += kLanes) {
    const F v = count - i >= kLanes ? Source::load(x + i) : Source::load_n(x + i, count - i);
    low0 = V::min(v, low0);
    high0 = V::max(v, high0);
  }
  const F least = V::min(V::min(low0, low1), V::min(low2, low3));
  const F most = V::max(V::max(high0, high1), V::max(high2, high3));
  // Subtracting is exact, and keeps a zero +0.
  out[0] = 0.0f - V::largest(V::sub(zero, least));
  out[1] = V::largest(most);
}

// The bits of max |x|, which are ordered as the values are; more than those of infinity if there is a NaN.
template <class W, class Source>
std::int32_t find_absmax(const void* source, std::size_t count) {
  using V = typename W::V;
  using I = typename V::I;
  constexpr std::size_t kLanes = V::kLanes;
  const auto* x = static_cast<const typename Source::T*>(source);
  const I magnitude = V::set1i(0x7FFFFFFF);
  const auto bits = [&](typename V::F v) { return V::andi(V::as_int(v), magnitude); };
  I most0 = V::set1i(0), most1 = most0, most2 = most0, most3 = most0;
  std::size_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    most0 = W::maxi(most0, bits(Source::load(x + i)));
    most1 = W::maxi(most1, bits(Source::load(x + i + kLanes)));
    most2 = W::maxi(most2, bits(Source::load(x + i + 2 * kLanes)));
    most3 = W::maxi(most3, bits(Source::load(x + i + 3 * kLanes)));
  }
  for (; i < count; i += kLanes)
    most0 = W::maxi(most0, bits(count - i >= kLanes ? Source::load(x + i) : Source::load_n(x + i, count - i)));
  return W::largesti(W::maxi(W::maxi(most0, most1), W::maxi(most2, most3)));
}

template <class W, class Source>
void extremes(const Args& g) {
  find_extremes<W, Source>(g.source, g.count, static_cast<float*>(g.out));
}

// kNan: quotients may be NaN.
template <class W, class Source, bool kSigned, bool kNan, class Divide>
void quantize_all(const void* source, std::uint8_t* y, std::size_t count, const Parameters& p, const Divide& divide) {
  using V = typename W::V;
  constexpr std::size_t kLanes = V::kLanes;
  const auto* x = static_cast<const typename Source::T*>(source);
  const auto zero = V::set1i(p.zero), nan = V::set1i(p.nan);
  const auto apply = [&](typename V::F v) {
    return kNan ? W::whole(divide(v), zero, nan) : V::addi(W::round(divide(v)), zero);
  };
  std::size_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    W::template store4<kSigned>(y + i, apply(Source::load(x + i)), apply(Source::load(x + i + kLanes)),
                                apply(Source::load(x + i + 2 * kLanes)), apply(Source::load(x + i + 3 * kLanes)));
  }
  for (; i + kLanes <= count; i += kLanes) W::template store<kSigned>(y + i, apply(Source::load(x + i)));
  if (i < count) W::template store_n<kSigned>(y + i, apply(Source::load_n(x + i, count - i)), count - i);
}

// A scale or a zero point of its own for each element.
template <class W, bool kSigned>
void quantize_each(const Args& g) {
  using V = typename W::V;
  using F = typename V::F;
  const auto* x = static_cast<const float*>(g.source);
  const auto* zeros = static_cast<const std::uint8_t*>(g.zeros);
  auto* y = static_cast<std::uint8_t*>(g.out);
  const F scale = V::set1(g.scale);
  const auto zero = V::set1i(g.zero), nan = V::set1i(0);
  for (std::size_t i = 0; i < g.count; i += V::kLanes) {
    const std::size_t n = g.count - i;
    if (n >= V::kLanes) {
      const F q = math::held<V>(V::div(V::load(x + i), g.scales != nullptr ? V::load(g.scales + i) : scale));
      W::template store<kSigned>(y + i,
                                 W::whole(q, zeros != nullptr ? W::template load<kSigned>(zeros + i) : zero, nan));
    } else {
      const F q = math::held<V>(V::div(V::load_n(x + i, n), g.scales != nullptr ? V::load_n(g.scales + i, n) : scale));
      W::template store_n<kSigned>(
          y + i, W::whole(q, zeros != nullptr ? W::template load_n<kSigned>(zeros + i, n) : zero, nan), n);
    }
  }
}

template <class W, bool kSigned>
void quantize(const Args& g) {
  using V = typename W::V;
  using Source = FromF32<W>;
  if (g.scales != nullptr || g.zeros != nullptr) return quantize_each<W, kSigned>(g);
  const Parameters p{g.scale, g.zero, 0};
  auto* y = static_cast<std::uint8_t*>(g.out);
  if (math::ByInverse<V, true>::serves(g.scale))
    quantize_all<W, Source, kSigned, true>(g.source, y, g.count, p, math::ByInverse<V, true>(g.scale));
  else
    quantize_all<W, Source, kSigned, true>(g.source, y, g.count, p, math::ByDivision<V>(g.scale));
}

template <class W, bool kSigned>
void dequantize(const Args& g) {
  using V = typename W::V;
  const auto* x = static_cast<const std::uint8_t*>(g.source);
  const auto* zeros = static_cast<const std::uint8_t*>(g.zeros);
  auto* y = static_cast<float*>(g.out);
  const auto scale = V::set1(g.scale);
  const auto zero = V::set1i(g.zero);
  const auto apply = [&](typename V::I v, typename V::I z, typename V::F s) {
    return V::mul(V::to_float(V::subi(v, z)), s);
  };
  for (std::size_t i = 0; i < g.count; i += V::kLanes) {
    const std::size_t n = g.count - i;
    if (n >= V::kLanes) {
      V::store(y + i,
               apply(W::template load<kSigned>(x + i), zeros != nullptr ? W::template load<kSigned>(zeros + i) : zero,
                     g.scales != nullptr ? V::load(g.scales + i) : scale));
    } else {
      V::store_n(y + i,
                 apply(W::template load_n<kSigned>(x + i, n),
                       zeros != nullptr ? W::template load_n<kSigned>(zeros + i, n) : zero,
                       g.scales != nullptr ? V::load_n(g.scales + i, n) : scale),
                 n);
    }
  }
}

template <class W, bool kSigned>
std::int32_t sum_bytes(const std::uint8_t* p, std::size_t count) {
  typename W::Sum sum{};
  std::size_t i = 0;
  for (; i + 32 <= count; i += 32) sum = W::template add32<kSigned>(sum, p + i);
  if (i < count) {
    std::uint8_t last[32] = {};
    for (std::size_t j = 0; i + j < count; ++j) last[j] = p[i + j];
    sum = W::template add32<kSigned>(sum, last);
  }
  // s8 were summed 128 higher, in whole steps of 32.
  const std::uint32_t extra = kSigned ? static_cast<std::uint32_t>((count + 31) / 32 * 32 * 128) : 0;
  return static_cast<std::int32_t>(W::total(sum) - extra);
}

template <class W, bool kSigned>
void sum_groups(const RowArgs& g) {
  if (g.sum_group == 0) {
    *g.sums = sum_bytes<W, kSigned>(g.out, g.count);
    return;
  }
  std::int32_t* sums = g.sums;
  for (std::size_t i = 0; i < g.count; i += g.sum_group) {
    *sums++ = sum_bytes<W, kSigned>(g.out + i, g.count - i < g.sum_group ? g.count - i : g.sum_group);
  }
}

template <class W, class Source, bool kSigned>
void row_as(const RowArgs& g, const Parameters& p, bool no_nan) {
  using V = typename W::V;
  if (g.by_reciprocal && g.rule == Rule::symmetric)
    quantize_all<W, Source, kSigned, true>(g.source, g.out, g.count, p, math::ByReciprocal<V>(p.scale));
  else if (math::ByInverse<V, false>::serves(p.scale) && no_nan)
    quantize_all<W, Source, kSigned, false>(g.source, g.out, g.count, p, math::ByInverse<V, false>(p.scale));
  else if (math::ByInverse<V, false>::serves(p.scale))
    quantize_all<W, Source, kSigned, true>(g.source, g.out, g.count, p, math::ByInverse<V, false>(p.scale));
  else
    quantize_all<W, Source, kSigned, true>(g.source, g.out, g.count, p, math::ByDivision<V>(p.scale));
  if (g.sums != nullptr) sum_groups<W, kSigned>(g);
}

template <class W, class Source>
void row(const RowArgs& g) {
  float found[2] = {0.0f, 0.0f};
  const float* extremes = g.extremes != nullptr ? g.extremes : found;
  bool no_nan = false;
  if (g.extremes == nullptr && g.rule == Rule::symmetric) {
    constexpr std::int32_t kInfinity = 0x7F800000;
    const std::int32_t most = find_absmax<W, Source>(g.source, g.count);
    __builtin_memcpy(&found[1], &most, 4);
    no_nan = most <= kInfinity;
  }
  if (g.extremes == nullptr && !no_nan) find_extremes<W, Source>(g.source, g.count, found);
  const Parameters p = parameters_of(g, extremes[0], extremes[1]);
  if (g.scale != nullptr) *g.scale = p.scale;
  if (g.zero != nullptr) *g.zero = p.zero;
  if (g.rule == Rule::symmetric && !g.plus128)
    row_as<W, Source, true>(g, p, no_nan);
  else
    row_as<W, Source, false>(g, p, no_nan);
}

// store_n, load_n and brain_n over whole lanes in memory, for levels without masks.
template <class W, bool kSigned>
void store_first(std::uint8_t* p, typename W::V::I x, std::size_t n) {
  std::uint8_t lanes[W::V::kLanes];
  W::template store<kSigned>(lanes, x);
  for (std::size_t i = 0; i < n; ++i) p[i] = lanes[i];
}
template <class W, bool kSigned>
typename W::V::I load_first(const std::uint8_t* p, std::size_t n) {
  std::uint8_t lanes[W::V::kLanes] = {};
  for (std::size_t i = 0; i < n; ++i) lanes[i] = p[i];
  return W::template load<kSigned>(lanes);
}
template <class W>
typename W::V::F brain_first(const std::uint16_t* p, std::size_t n) {
  std::uint16_t lanes[W::V::kLanes] = {};
  for (std::size_t i = 0; i < n; ++i) lanes[i] = p[i];
  return W::brain(lanes);
}

}  // namespace
}  // namespace intaglio::kernels::quantize
