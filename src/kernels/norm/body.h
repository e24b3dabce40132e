// One row over a vector policy V. Included by ISA files only.
#pragma once

#include "kernels/math/functions.h"
#include "kernels/norm/norm.h"

namespace intaglio::kernels::norm {
namespace {

// The sum over i < n of term(x[i]), in 4 chains; lanes beyond n count 0.
template <class V, class Term>
float sum_of(const float* x, std::size_t n, Term term) {
  using F = typename V::F;
  constexpr std::size_t kStep = 4 * V::kLanes;
  F s0 = V::set1(0.0f), s1 = s0, s2 = s0, s3 = s0;
  std::size_t i = 0;
  for (; i + kStep <= n; i += kStep) {
    s0 = term(V::load(x + i), s0);
    s1 = term(V::load(x + i + V::kLanes), s1);
    s2 = term(V::load(x + i + 2 * V::kLanes), s2);
    s3 = term(V::load(x + i + 3 * V::kLanes), s3);
  }
  for (; i + V::kLanes <= n; i += V::kLanes) s0 = term(V::load(x + i), s0);
  if (i < n) s1 = V::add(s1, V::keep_first(term(V::load_n(x + i, n - i), V::set1(0.0f)), n - i));
  return V::sum(V::add(V::add(s0, s1), V::add(s2, s3)));
}

template <class V>
void add_residual(const Args& g) {
  std::size_t i = 0;
  for (; i + V::kLanes <= g.n; i += V::kLanes)
    V::store(g.out + i, V::add(V::load(g.source + i), V::load(g.residual + i)));
  const std::size_t n = g.n - i;
  if (n != 0) V::store_n(g.out + i, V::add(V::load_n(g.source + i, n), V::load_n(g.residual + i, n)), n);
}

// min(0, y...) and max(0, y...): min and max give their second operand if one is NaN or both are zeros, so the start of
// +0 stays until something lies beyond.
template <class V>
struct Extremes {
  typename V::F low = V::set1(0.0f), high = V::set1(0.0f);
  void add(typename V::F y) {
    low = V::min(y, low);
    high = V::max(y, high);
  }
  void write(float* out) const {
    out[0] = 0.0f - V::largest(V::sub(V::set1(0.0f), low));  // exact, and a zero stays +0
    out[1] = V::largest(high);
  }
};

template <class V, bool kGamma, bool kBeta, bool kExtremes>
void finish(const Args& g, const float* x, float mean, float factor) {
  using F = typename V::F;
  const F m = V::set1(mean), s = V::set1(factor);
  Extremes<V> extremes;
  const auto map = [&](F v, F gamma, F beta) {
    F y = V::mul(V::sub(v, m), s);
    if (kGamma && kBeta) return V::fma(y, gamma, beta);
    if (kGamma) y = V::mul(y, gamma);
    return kBeta ? V::add(y, beta) : y;
  };
  std::size_t i = 0;
  for (; i + V::kLanes <= g.n; i += V::kLanes) {
    const F y = map(V::load(x + i), kGamma ? V::load(g.gamma + i) : s, kBeta ? V::load(g.beta + i) : s);
    if (kExtremes) extremes.add(y);
    V::store(g.out + i, y);
  }
  const std::size_t n = g.n - i;
  if (n != 0) {
    const F y = map(V::load_n(x + i, n), kGamma ? V::load_n(g.gamma + i, n) : s, kBeta ? V::load_n(g.beta + i, n) : s);
    if (kExtremes) extremes.add(V::keep_first(y, n));
    V::store_n(g.out + i, y, n);
  }
  if (kExtremes) extremes.write(g.extremes);
}

template <class V, bool kExtremes>
void finish_any(const Args& g, const float* x, float mean, float factor) {
  if (g.gamma != nullptr && g.beta != nullptr) return finish<V, true, true, kExtremes>(g, x, mean, factor);
  if (g.gamma != nullptr) return finish<V, true, false, kExtremes>(g, x, mean, factor);
  if (g.beta != nullptr) return finish<V, false, true, kExtremes>(g, x, mean, factor);
  finish<V, false, false, kExtremes>(g, x, mean, factor);
}

template <class V>
void row(const Args& g) {
  using F = typename V::F;
  if (g.n == 0) {
    if (g.extremes != nullptr) g.extremes[0] = g.extremes[1] = 0.0f;
    return;
  }
  if (g.residual != nullptr) add_residual<V>(g);
  const float* x = g.residual != nullptr ? g.out : g.source;
  const float count = static_cast<float>(g.n);
  float mean = 0.0f;
  if (g.kind == Kind::layer) mean = sum_of<V>(x, g.n, [](F v, F s) { return V::add(s, v); }) / count;
  const F m = V::set1(mean);
  const float squares = sum_of<V>(x, g.n, [m](F v, F s) {
    const F d = V::sub(v, m);
    return V::fma(d, d, s);
  });
  const float factor = 1.0f / __builtin_sqrtf(squares / count + g.epsilon);
  if (g.extremes != nullptr) return finish_any<V, true>(g, x, mean, factor);
  finish_any<V, false>(g, x, mean, factor);
}

}  // namespace
}  // namespace intaglio::kernels::norm
