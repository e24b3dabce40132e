// Quantisation over a vector policy of math/ and the bytes of its lanes, W:
//   W::V                           the policy
//   W::store<S>(p, x), store_n     the lanes, whole numbers of 8 bits (S: signed), as bytes
//   W::load<S>(p), load_n          the inverse; load_n fills up with zeros
// Included by ISA files only.
#pragma once

#include "kernels/quantize/quantize.h"

namespace intaglio::kernels::quantize {
namespace {

// min and max give their second operand if one is NaN or both are zeros, so the start of +0 stays until something lies
// beyond.
template <class W>
void extremes(const Args& g) {
  using V = typename W::V;
  using F = typename V::F;
  constexpr std::size_t kChains = 4, kLanes = V::kLanes;
  const auto* x = static_cast<const float*>(g.source);
  const F zero = V::set1(0.0f);
  F low[kChains] = {zero, zero, zero, zero}, high[kChains] = {zero, zero, zero, zero};
  std::size_t i = 0;
  for (; i + kChains * kLanes <= g.count; i += kChains * kLanes) {
    for (std::size_t c = 0; c < kChains; ++c) {
      const F v = V::load(x + i + c * kLanes);
      low[c] = V::min(v, low[c]);
      high[c] = V::max(v, high[c]);
    }
  }
  for (; i < g.count; i += kLanes) {
    const F v = g.count - i >= kLanes ? V::load(x + i) : V::load_n(x + i, g.count - i);
    low[0] = V::min(v, low[0]);
    high[0] = V::max(v, high[0]);
  }
  const F least = V::min(V::min(low[0], low[1]), V::min(low[2], low[3]));
  const F most = V::max(V::max(high[0], high[1]), V::max(high[2], high[3]));
  auto* out = static_cast<float*>(g.out);
  // Subtracting is exact, and keeps a zero +0.
  out[0] = 0.0f - V::largest(V::sub(zero, least));
  out[1] = V::largest(most);
}

template <class W, bool kSigned>
void quantize(const Args& g) {
  using V = typename W::V;
  using F = typename V::F;
  const auto* x = static_cast<const float*>(g.source);
  auto* y = static_cast<std::uint8_t*>(g.out);
  const F scale = V::set1(g.scale), zero = V::set1(static_cast<float>(g.zero));
  const F least = V::set1(kSigned ? -128.0f : 0.0f), most = V::set1(kSigned ? 127.0f : 255.0f);
  const auto apply = [&](F v) {
    v = V::add(V::round_even(V::div(v, scale)), zero);
    v = V::select(V::unordered(v, v), V::set1(0.0f), v);
    return V::to_int(V::min(V::max(v, least), most));
  };
  std::size_t i = 0;
  for (; i + V::kLanes <= g.count; i += V::kLanes) W::template store<kSigned>(y + i, apply(V::load(x + i)));
  if (i < g.count) W::template store_n<kSigned>(y + i, apply(V::load_n(x + i, g.count - i)), g.count - i);
}

template <class W, bool kSigned>
void dequantize(const Args& g) {
  using V = typename W::V;
  const auto* x = static_cast<const std::uint8_t*>(g.source);
  auto* y = static_cast<float*>(g.out);
  const auto scale = V::set1(g.scale);
  const auto zero = V::set1i(g.zero);
  const auto apply = [&](typename V::I v) { return V::mul(V::to_float(V::subi(v, zero)), scale); };
  std::size_t i = 0;
  for (; i + V::kLanes <= g.count; i += V::kLanes) V::store(y + i, apply(W::template load<kSigned>(x + i)));
  if (i < g.count) V::store_n(y + i, apply(W::template load_n<kSigned>(x + i, g.count - i)), g.count - i);
}

// store_n and load_n over whole lanes in memory, for levels without masks.
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

}  // namespace
}  // namespace intaglio::kernels::quantize
