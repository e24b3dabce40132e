// Packing of keys and values into panels of 16 columns for the f32 GEMM kernels. ISA files only. V is a vector policy
// (kernels/math/) with transpose(r): r[i] of a square of kLanes vectors becomes its column i.
#pragma once

#include "kernels/attention/attention.h"

namespace intaglio::kernels::attention {
namespace {

constexpr std::size_t kColumns = 16;

// Up to kLanes keys into neighbouring columns of a panel; missing keys are 0.
template <class V>
inline void pack_columns(const MoveArgs& g, std::size_t first, float* column) {
  constexpr std::size_t kLanes = V::kLanes;
  const std::size_t left = first >= g.keys ? 0 : g.keys - first, count = left < kLanes ? left : kLanes;
  const float* rows = g.source + first * g.pitch;
  std::size_t d = 0;
  for (; d + kLanes <= g.depth; d += kLanes) {
    typename V::F r[kLanes];
    for (std::size_t i = 0; i < kLanes; ++i) r[i] = i < count ? V::load(rows + i * g.pitch + d) : V::set1(0.0f);
    V::transpose(r);
    for (std::size_t i = 0; i < kLanes; ++i) V::store(column + (d + i) * kColumns, r[i]);
  }
  for (; d < g.depth; ++d) {
    for (std::size_t i = 0; i < kLanes; ++i) column[d * kColumns + i] = i < count ? rows[i * g.pitch + d] : 0.0f;
  }
}

template <class V>
void pack_keys(const MoveArgs& g) {
  for (std::size_t j = 0; j < g.keys; j += kColumns) {
    for (std::size_t i = 0; i < kColumns; i += V::kLanes) pack_columns<V>(g, j + i, g.out + j * g.depth + i);
  }
}

template <class V>
void pack_values(const MoveArgs& g) {
  for (std::size_t d = 0; d < g.depth; d += kColumns) {
    float* panel = g.out + d * g.keys;
    const float* source = g.source + d;
    if (d + kColumns <= g.depth) {
      for (std::size_t j = 0; j < g.keys; ++j) {
        for (std::size_t i = 0; i < kColumns; i += V::kLanes)
          V::store(panel + j * kColumns + i, V::load(source + j * g.pitch + i));
      }
      continue;
    }
    for (std::size_t j = 0; j < g.keys; ++j) {
      for (std::size_t i = 0; i < kColumns; ++i)
        panel[j * kColumns + i] = d + i < g.depth ? source[j * g.pitch + i] : 0.0f;
    }
  }
}

}  // namespace
}  // namespace intaglio::kernels::attention
