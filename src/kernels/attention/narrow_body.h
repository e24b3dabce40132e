// Softmax to narrow rows and packing of values, over a policy N of narrow types (math/narrow*.h). Included by ISA files
// only.
#pragma once

#include "kernels/attention/body.h"

namespace intaglio::kernels::attention {
namespace {

// e^x for x <= 0, within 1.1e-4 of its value; 0 below 2^-126, NaN stays NaN.
template <class V>
typename V::F exp_short(typename V::F x) {
  using F = typename V::F;
  const F least = V::set1(-126.0f);
  const F y = V::mul(x, V::set1(1.44269504088896341f));
  const F bounded = V::max(least, y);  // of NaN the second: NaN
  const F n = V::round_even(bounded);
  const F f = V::sub(bounded, n);
  F p = V::set1(0.055008933f);  // (2^f - 1) / f, |f| <= 1/2: minimax of 2^f with 1 at 0
  p = V::fma(p, f, V::set1(0.24221097f));
  p = V::fma(p, f, V::set1(0.69328290f));
  return V::select_lt(y, least, V::set1(0.0f), V::scale2(V::fma(p, f, V::set1(1.0f)), n));
}

// How a vector of e^t, 0 <= e <= 1, is stored; returns what goes into the sum.
template <class N>
struct ToBFloat16 {
  using F = typename N::F;
  static F store(BFloat16* out, F e, std::size_t lanes) {
    N::narrow_n(out, e, lanes);
    return e;
  }
};
template <class N>
struct ToByte {
  using F = typename N::F;
  static F store(std::uint8_t* out, F e, std::size_t lanes) {
    const F scaled = N::V::round_even(N::V::mul(e, N::V::set1(255.0f)));
    N::store_8n(out, N::V::to_int(scaled), lanes);
    return scaled;
  }
};

template <class N, class To, class T>
float narrow_exponentials(const float* row, std::size_t n, float base, T* out) {
  using V = typename N::V;
  using F = typename V::F;
  const F b = V::set1(base);
  F s0 = V::set1(0.0f), s1 = s0;
  std::size_t i = 0;
  for (; i + 2 * V::kLanes <= n; i += 2 * V::kLanes) {
    const F e0 = exp_short<V>(V::sub(V::load(row + i), b));
    const F e1 = exp_short<V>(V::sub(V::load(row + i + V::kLanes), b));
    s0 = V::add(s0, To::store(out + i, e0, V::kLanes));
    s1 = V::add(s1, To::store(out + i + V::kLanes, e1, V::kLanes));
  }
  for (; i < n; i += V::kLanes) {
    const std::size_t lanes = n - i < V::kLanes ? n - i : V::kLanes;
    const F e = V::keep_first(exp_short<V>(V::sub(V::load_n(row + i, lanes), b)), lanes);
    s0 = V::add(s0, To::store(out + i, e, lanes));
  }
  return V::sum(V::add(s0, s1));
}

template <class N, class To, class T>
void narrow_softmax(const SoftmaxArgs& g) {
  softmax_rows<typename N::V>(g, [&](std::size_t r, const float* row, std::size_t n, float base) {
    T* out = static_cast<T*>(g.out) + r * g.out_pitch;
    __builtin_memset(out + n, 0, (g.keys - n) * sizeof(T));
    return narrow_exponentials<N, To>(row, n, base, out);
  });
}

// Two rows of bf16 as the pairs of a panel: the row's bits, widened, are in the high half of each lane already.
template <class N>
void pack_pairs(const ValuesArgs& g) {
  using V = typename N::V;
  const auto* source = static_cast<const BFloat16*>(g.source);
  const std::size_t padded = (g.keys + 31) / 32 * 32;
  for (std::size_t d = 0; d < (g.depth + 15) / 16 * 16; d += V::kLanes) {
    auto* panel = reinterpret_cast<float*>(static_cast<char*>(g.out) + d / 16 * g.panel) + d % 16;
    const std::size_t lanes = d >= g.depth ? 0 : g.depth - d < V::kLanes ? g.depth - d : V::kLanes;
    for (std::size_t j = 0; j < padded; j += 2) {
      typename V::F pair = V::set1(0.0f);
      if (j < g.keys && lanes != 0) {
        const auto even = V::as_int(N::widen_n(source + j * g.pitch + d, lanes));
        pair = V::as_float(N::template shift_right<16>(even));
        if (j + 1 < g.keys) pair = V::or_bits(pair, N::widen_n(source + (j + 1) * g.pitch + d, lanes));
      }
      V::store(panel + j / 2 * 16, pair);
    }
  }
}

template <class N>
typename N::I quantised(const float* row, std::size_t lanes, typename N::F inverse) {
  using V = typename N::V;
  return V::andi(V::to_int(V::round_even(V::mul(V::load_n(row, lanes), inverse))), V::set1i(255));
}

// Columns as s8, four rows to a lane.
template <class N>
void pack_quads(const ValuesArgs& g) {
  using V = typename N::V;
  using F = typename V::F;
  const auto* source = static_cast<const float*>(g.source);
  const std::size_t padded = (g.keys + 63) / 64 * 64;
  for (std::size_t d = 0; d < (g.depth + 15) / 16 * 16; d += V::kLanes) {
    auto* panel = reinterpret_cast<std::int32_t*>(static_cast<char*>(g.out) + d / 16 * g.panel) + d % 16;
    const std::size_t lanes = d >= g.depth ? 0 : g.depth - d < V::kLanes ? g.depth - d : V::kLanes;
    F most = V::set1(0.0f);
    for (std::size_t j = 0; j < g.keys; ++j)
      most = V::max(math::abs_v<V>(V::load_n(source + j * g.pitch + d, lanes)), most);  // a NaN is passed over
    const auto zero = V::eq(most, V::set1(0.0f));
    V::store_n(g.scale + d, V::select(zero, V::set1(1.0f), V::mul(most, V::set1(1.0f / 127.0f))), lanes);
    const F inverse = V::select(zero, V::set1(0.0f), V::div(V::set1(127.0f), most));
    for (std::size_t j = 0; j < padded; j += 4) {
      const std::size_t rows = j >= g.keys || lanes == 0 ? 0 : g.keys - j < 4 ? g.keys - j : 4;
      const float* row = source + j * g.pitch + d;
      auto quad = V::set1i(0);
      if (rows > 0) quad = quantised<N>(row, lanes, inverse);
      if (rows > 1) quad = V::addi(quad, N::template shift_left<8>(quantised<N>(row + g.pitch, lanes, inverse)));
      if (rows > 2) quad = V::addi(quad, N::template shift_left<16>(quantised<N>(row + 2 * g.pitch, lanes, inverse)));
      if (rows > 3) quad = V::addi(quad, N::template shift_left<24>(quantised<N>(row + 3 * g.pitch, lanes, inverse)));
      V::store(panel + j / 4 * 16, quad);
    }
  }
}

}  // namespace
}  // namespace intaglio::kernels::attention
