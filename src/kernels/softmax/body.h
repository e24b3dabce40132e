// Softmax over a vector policy V. Included by ISA files only.
#pragma once

#include "kernels/math/functions.h"
#include "kernels/softmax/softmax.h"

namespace intaglio::kernels::softmax {
namespace {

// max drops NaN; the exponentials bring it back through the sum.
template <class V>
float row_max(const float* x, std::size_t n) {
  using F = typename V::F;
  const F lowest = V::set1(-__builtin_inff());
  F m0 = lowest, m1 = lowest, m2 = lowest, m3 = lowest;
  std::size_t i = 0;
  for (; i + 4 * V::kLanes <= n; i += 4 * V::kLanes) {
    m0 = V::max(V::load(x + i), m0);
    m1 = V::max(V::load(x + i + V::kLanes), m1);
    m2 = V::max(V::load(x + i + 2 * V::kLanes), m2);
    m3 = V::max(V::load(x + i + 3 * V::kLanes), m3);
  }
  for (; i + V::kLanes <= n; i += V::kLanes) m0 = V::max(V::load(x + i), m0);
  for (; i < n; ++i) m1 = V::max(V::set1(x[i]), m1);
  return V::largest(V::max(V::max(m0, m1), V::max(m2, m3)));
}

// Sum of e^(x - max), stored to out too if kStore.
template <class V, bool kStore>
float exponentials(const float* x, float* out, std::size_t n, float max) {
  using F = typename V::F;
  const F m = V::set1(max);
  F s[4] = {V::set1(0.0f), V::set1(0.0f), V::set1(0.0f), V::set1(0.0f)};
  const auto step = [&](std::size_t i, F& sum) {
    const F e = math::exp_v<V>(V::sub(V::load(x + i), m));
    if (kStore) V::store(out + i, e);
    sum = V::add(sum, e);
  };
  std::size_t i = 0;
  for (; i + 4 * V::kLanes <= n; i += 4 * V::kLanes) {
    for (std::size_t c = 0; c < 4; ++c) step(i + c * V::kLanes, s[c]);
  }
  for (; i + V::kLanes <= n; i += V::kLanes) step(i, s[0]);
  if (i < n) {
    const F e = V::keep_first(math::exp_v<V>(V::sub(V::load_n(x + i, n - i), m)), n - i);
    if (kStore) V::store_n(out + i, e, n - i);
    s[1] = V::add(s[1], e);
  }
  return V::sum(V::add(V::add(s[0], s[1]), V::add(s[2], s[3])));
}

template <class V, class Fn>
void map(const float* x, float* out, std::size_t n, Fn fn) {
  std::size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) V::store(out + i, fn(V::load(x + i)));
  if (i < n) V::store_n(out + i, fn(V::load_n(x + i, n - i)), n - i);
}

template <class V>
typename V::F one_log(typename V::F x) {
  return math::log_v<V>(x);
}

template <class V>
void rows(const Args& g) {
  using F = typename V::F;
  if (g.n == 0) return;
  const float max = row_max<V>(g.source, g.n);
  if (g.log) {
    const F m = V::set1(max);
    const F l = one_log<V>(V::set1(exponentials<V, false>(g.source, nullptr, g.n, max)));
    return map<V>(g.source, g.out, g.n, [=](F x) { return V::sub(V::sub(x, m), l); });
  }
  const F scale = V::set1(1.0f / exponentials<V, true>(g.source, g.out, g.n, max));
  map<V>(g.out, g.out, g.n, [=](F x) { return V::mul(x, scale); });
}

// kLanes columns at a time; the first `lanes` of them exist.
template <class V>
void column_block(const Args& g, std::size_t column, std::size_t lanes) {
  using F = typename V::F;
  const float* x = g.source + column;
  float* y = g.out + column;
  F max = V::set1(-__builtin_inff());
  for (std::size_t i = 0; i < g.n; ++i) max = V::max(V::load_n(x + i * g.pitch, lanes), max);
  F sum = V::set1(0.0f);
  for (std::size_t i = 0; i < g.n; ++i) {
    const F e = math::exp_v<V>(V::sub(V::load_n(x + i * g.pitch, lanes), max));
    sum = V::add(sum, e);
    if (!g.log) V::store_n(y + i * g.pitch, e, lanes);
  }
  const F l = g.log ? one_log<V>(sum) : V::div(V::set1(1.0f), sum);
  for (std::size_t i = 0; i < g.n; ++i) {
    const F v = V::load_n((g.log ? x : y) + i * g.pitch, lanes);
    V::store_n(y + i * g.pitch, g.log ? V::sub(V::sub(v, max), l) : V::mul(v, l), lanes);
  }
}
template <class V>
void columns(const Args& g) {
  for (std::size_t c = 0; c < g.columns; c += V::kLanes) {
    column_block<V>(g, c, g.columns - c < V::kLanes ? g.columns - c : V::kLanes);
  }
}

}  // namespace
}  // namespace intaglio::kernels::softmax
