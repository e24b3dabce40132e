// Softmax of score rows, dot and mix over a vector policy V. Included by ISA files only.
#pragma once

#include "kernels/attention/attention.h"
#include "kernels/math/functions.h"

namespace intaglio::kernels::attention {
namespace {

// t = scores * scale + mask, stored back; returns the largest (NaN may be dropped: the exponentials bring it back).
template <class V, class Masked>
float scale_row(float* row, std::size_t n, Masked masked) {
  using F = typename V::F;
  const F lowest = V::set1(-__builtin_inff());
  F m0 = lowest, m1 = lowest;
  std::size_t i = 0;
  for (; i + 2 * V::kLanes <= n; i += 2 * V::kLanes) {
    const F t0 = masked(V::load(row + i), i, V::kLanes);
    const F t1 = masked(V::load(row + i + V::kLanes), i + V::kLanes, V::kLanes);
    V::store(row + i, t0);
    V::store(row + i + V::kLanes, t1);
    m0 = V::max(t0, m0);
    m1 = V::max(t1, m1);
  }
  for (; i < n; i += V::kLanes) {
    const std::size_t lanes = n - i < V::kLanes ? n - i : V::kLanes;
    const F t = masked(V::load_n(row + i, lanes), i, lanes);
    V::store_n(row + i, t, lanes);
    // Lanes that do not exist must not win: they are replaced by the first one.
    alignas(64) float held[V::kLanes];
    V::store_n(held, t, V::kLanes);
    for (std::size_t l = lanes; l < V::kLanes; ++l) held[l] = held[0];
    m0 = V::max(V::load(held), m0);
  }
  return V::largest(V::max(m0, m1));
}

template <class V>
float exponentials(float* row, std::size_t n, float base) {
  using F = typename V::F;
  const F b = V::set1(base);
  F s0 = V::set1(0.0f), s1 = s0, s2 = s0, s3 = s0;
  std::size_t i = 0;
  for (; i + 4 * V::kLanes <= n; i += 4 * V::kLanes) {
    const F e0 = math::exp_v<V>(V::sub(V::load(row + i), b));
    const F e1 = math::exp_v<V>(V::sub(V::load(row + i + V::kLanes), b));
    const F e2 = math::exp_v<V>(V::sub(V::load(row + i + 2 * V::kLanes), b));
    const F e3 = math::exp_v<V>(V::sub(V::load(row + i + 3 * V::kLanes), b));
    V::store(row + i, e0);
    V::store(row + i + V::kLanes, e1);
    V::store(row + i + 2 * V::kLanes, e2);
    V::store(row + i + 3 * V::kLanes, e3);
    s0 = V::add(s0, e0);
    s1 = V::add(s1, e1);
    s2 = V::add(s2, e2);
    s3 = V::add(s3, e3);
  }
  for (; i < n; i += V::kLanes) {
    const std::size_t lanes = n - i < V::kLanes ? n - i : V::kLanes;
    const F e = V::keep_first(math::exp_v<V>(V::sub(V::load_n(row + i, lanes), b)), lanes);
    V::store_n(row + i, e, lanes);
    s0 = V::add(s0, e);
  }
  return V::sum(V::add(V::add(s0, s1), V::add(s2, s3)));
}

template <class V>
float masked_row(const SoftmaxArgs& g, std::size_t r, float* row, std::size_t n) {
  using F = typename V::F;
  const F scale = V::set1(g.scale);
  if (g.mask == Mask::kept) {
    const std::uint8_t* kept = static_cast<const std::uint8_t*>(g.mask_data) + r * g.mask_row_step;
    const F hidden = V::set1(-__builtin_inff());
    if (g.mask_key_step != 0) {
      return scale_row<V>(row, n, [=](F s, std::size_t i, std::size_t lanes) {
        return V::select(V::load_mask_n(kept + i, lanes), V::mul(s, scale), hidden);
      });
    }
    if (n != 0 && *kept == 0) return scale_row<V>(row, n, [=](F, std::size_t, std::size_t) { return hidden; });
  }
  if (g.mask == Mask::added) {
    const float* added = static_cast<const float*>(g.mask_data) + r * g.mask_row_step;
    if (g.mask_key_step != 0) {
      return scale_row<V>(row, n, [=](F s, std::size_t i, std::size_t lanes) {
        return V::fma(s, scale, lanes == V::kLanes ? V::load(added + i) : V::load_n(added + i, lanes));
      });
    }
    if (n != 0) {
      const F all = V::set1(*added);
      return scale_row<V>(row, n, [=](F s, std::size_t, std::size_t) { return V::fma(s, scale, all); });
    }
  }
  return scale_row<V>(row, n, [=](F s, std::size_t, std::size_t) { return V::mul(s, scale); });
}

// Row by row: scores and running state. exponentials(row number, its scores, how many it sees, base) makes and stores
// e^(score - base) of those, and what stands for the scores beyond; it returns their sum.
template <class V, class Exponentials>
void softmax_rows(const SoftmaxArgs& g, Exponentials exponentials) {
  constexpr float kLowest = -__builtin_inff();
  for (std::size_t r = 0; r < g.rows; ++r) {
    float* row = g.scores + r * g.pitch;
    const std::size_t reach = g.visible + r * g.visible_step;
    const std::size_t n = reach < g.keys ? reach : g.keys;
    const float here = masked_row<V>(g, r, row, n);
    const float before = g.max[r];
    const float max = here > before ? here : before;
    const float base = max == kLowest ? 0.0f : max;
    float rescale = 1.0f;
    if (before != max) V::store_n(&rescale, math::exp_v<V>(V::set1(before - base)), 1);
    const float sum = exponentials(r, row, n, base);
    g.max[r] = max;
    g.rescale[r] = rescale;
    g.sum[r] = g.sum[r] * rescale + sum;
  }
}

template <class V>
void softmax(const SoftmaxArgs& g) {
  softmax_rows<V>(g, [&](std::size_t, float* row, std::size_t n, float base) {
    const float sum = exponentials<V>(row, n, base);
    for (std::size_t j = n; j < g.keys; ++j) row[j] = 0.0f;
    return sum;
  });
}

template <class V, int kRows>
void dot_rows(const MoveArgs& g, std::size_t j) {
  using F = typename V::F;
  F acc[kRows];
  for (F& each : acc) each = V::set1(0.0f);
  const float* rows = g.source + j * g.pitch;
  std::size_t d = 0;
  for (; d + V::kLanes <= g.depth; d += V::kLanes) {
    const F w = V::load(g.weights + d);
    for (int i = 0; i < kRows; ++i)
      acc[i] = V::fma(w, V::load(rows + static_cast<std::size_t>(i) * g.pitch + d), acc[i]);
  }
  if (d < g.depth) {
    const F w = V::load_n(g.weights + d, g.depth - d);
    for (int i = 0; i < kRows; ++i) {
      acc[i] = V::fma(w, V::load_n(rows + static_cast<std::size_t>(i) * g.pitch + d, g.depth - d), acc[i]);
    }
  }
  for (int i = 0; i < kRows; ++i) g.out[j + static_cast<std::size_t>(i)] = V::sum(acc[i]);
}
template <class V>
void dot(const MoveArgs& g) {
  std::size_t j = 0;
  for (; j + 4 <= g.keys; j += 4) dot_rows<V, 4>(g, j);
  for (; j < g.keys; ++j) dot_rows<V, 1>(g, j);
}

template <class V, int kVectors>
void mix_columns(const MoveArgs& g, std::size_t d, std::size_t lanes_of_last) {
  using F = typename V::F;
  F acc[kVectors];
  const auto load = [&](const float* p, int v) {
    return v + 1 == kVectors ? V::load_n(p, lanes_of_last) : V::load(p + 0);
  };
  for (int v = 0; v < kVectors; ++v) {
    acc[v] = g.accumulate ? load(g.out + d + static_cast<std::size_t>(v) * V::kLanes, v) : V::set1(0.0f);
  }
  for (std::size_t j = 0; j < g.keys; ++j) {
    const F w = V::set1(g.weights[j]);
    const float* row = g.source + j * g.pitch + d;
    for (int v = 0; v < kVectors; ++v)
      acc[v] = V::fma(w, load(row + static_cast<std::size_t>(v) * V::kLanes, v), acc[v]);
  }
  for (int v = 0; v < kVectors; ++v) {
    V::store_n(g.out + d + static_cast<std::size_t>(v) * V::kLanes, acc[v],
               v + 1 == kVectors ? lanes_of_last : V::kLanes);
  }
}
template <class V>
void mix(const MoveArgs& g) {
  std::size_t d = 0;
  for (; d + 4 * V::kLanes <= g.depth; d += 4 * V::kLanes) mix_columns<V, 4>(g, d, V::kLanes);
  for (; d < g.depth; d += V::kLanes) mix_columns<V, 1>(g, d, g.depth - d < V::kLanes ? g.depth - d : V::kLanes);
}

}  // namespace
}  // namespace intaglio::kernels::attention
