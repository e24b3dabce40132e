// Rows over a policy P: V (vector policy), T (element), load and store of a whole vector of T, load_one and store_one,
// swap_pairs (lanes 2i and 2i + 1 exchanged), spread (n/2 floats, each in two lanes), alternating_signs. Included by
// ISA files only.
#pragma once

#include "kernels/math/functions.h"
#include "kernels/math/scalar_half.h"
#include "kernels/rotary/rotary.h"

namespace intaglio::kernels::rotary {
namespace {

template <class P>
void rotate_pair(const typename P::T* x, typename P::T* y, std::size_t first, std::size_t second, float c, float s) {
  const float a = P::load_one(x + first), b = P::load_one(x + second);
  P::store_one(y + first, a * c - b * s);
  P::store_one(y + second, b * c + a * s);
}

template <class P>
void rotate_halves(const typename P::T* x, typename P::T* y, const float* cos, const float* sin, std::size_t half) {
  using V = typename P::V;
  using F = typename V::F;
  std::size_t i = 0;
  for (; i + V::kLanes <= half; i += V::kLanes) {
    const F a = P::load(x + i), b = P::load(x + half + i), c = V::load(cos + i), s = V::load(sin + i);
    P::store(y + i, V::sub(V::mul(a, c), V::mul(b, s)));
    P::store(y + half + i, V::fma(b, c, V::mul(a, s)));
  }
  for (; i < half; ++i) rotate_pair<P>(x, y, i, i + half, cos[i], sin[i]);
}

template <class P>
void rotate_interleaved(const typename P::T* x, typename P::T* y, const float* cos, const float* sin,
                        std::size_t half) {
  using V = typename P::V;
  using F = typename V::F;
  constexpr std::size_t kPairs = V::kLanes / 2;
  const F signs = P::alternating_signs();
  std::size_t i = 0;
  for (; i + kPairs <= half; i += kPairs) {
    const F v = P::load(x + 2 * i);
    const F s = V::xor_bits(P::spread(sin + i), signs);
    P::store(y + 2 * i, V::fma(v, P::spread(cos + i), V::mul(P::swap_pairs(v), s)));
  }
  for (; i < half; ++i) rotate_pair<P>(x, y, 2 * i, 2 * i + 1, cos[i], sin[i]);
}

template <class P>
void rotate(const Args& g) {
  using T = typename P::T;
  const T* x = static_cast<const T*>(g.x);
  T* y = static_cast<T*>(g.y);
  for (std::size_t r = 0; r < g.rows; ++r, x += g.x_pitch, y += g.y_pitch) {
    const float *cos = g.cos + r * g.table_pitch, *sin = g.sin + r * g.table_pitch;
    if (g.interleaved)
      rotate_interleaved<P>(x, y, cos, sin, g.half);
    else
      rotate_halves<P>(x, y, cos, sin, g.half);
  }
}

// What f32 policies share: Lanes gives V, swap_pairs, spread and alternating_signs.
template <class Lanes>
struct Float : Lanes {
  using V = typename Lanes::V;
  using T = float;
  static typename V::F load(const T* p) { return V::load(p); }
  static void store(T* p, typename V::F x) { V::store(p, x); }
  static float load_one(const T* p) { return *p; }
  static void store_one(T* p, float x) { *p = x; }
};

// bf16 with the narrow policy N.
template <class Lanes, class N>
struct Bf16 : Lanes {
  using V = typename Lanes::V;
  using T = BFloat16;
  static typename V::F load(const T* p) { return N::widen_n(p, V::kLanes); }
  static void store(T* p, typename V::F x) { N::narrow_n(p, x, V::kLanes); }
  static float load_one(const T* p) { return math::widened(*p); }
  static void store_one(T* p, float x) { *p = math::narrowed_bf16(x); }
};

}  // namespace
}  // namespace intaglio::kernels::rotary
