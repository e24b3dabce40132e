// The reference: the contract of attention.h, sums and exponentials in double.
#include <cmath>

#include "kernels/attention/table.h"

namespace intaglio::kernels::attention {
namespace {

float masked(const SoftmaxArgs& g, std::size_t r, std::size_t j) {
  const float t = g.scores[r * g.pitch + j] * g.scale;
  const std::size_t at = r * g.mask_row_step + j * g.mask_key_step;
  switch (g.mask) {
    case Mask::none:
      return t;
    case Mask::kept:
      return static_cast<const std::uint8_t*>(g.mask_data)[at] != 0 ? t : -INFINITY;
    case Mask::added:
      return t + static_cast<const float*>(g.mask_data)[at];
  }
  return t;
}

void softmax_row(const SoftmaxArgs& g, std::size_t r) {
  float* row = g.scores + r * g.pitch;
  const std::size_t sees = g.visible + r * g.visible_step < g.keys ? g.visible + r * g.visible_step : g.keys;
  float max = g.max[r];
  for (std::size_t j = 0; j < sees; ++j) {
    row[j] = masked(g, r, j);
    if (row[j] > max) max = row[j];
  }
  const float base = max == -INFINITY ? 0.0f : max;
  g.rescale[r] = g.max[r] == max ? 1.0f : std::exp(g.max[r] - base);
  double sum = 0.0;
  for (std::size_t j = 0; j < sees; ++j) {
    row[j] = std::exp(row[j] - base);
    sum += row[j];
  }
  for (std::size_t j = sees; j < g.keys; ++j) row[j] = 0.0f;
  g.max[r] = max;
  g.sum[r] = static_cast<float>(g.sum[r] * g.rescale[r] + sum);
}

}  // namespace

void softmax_f32_1x1_1x1_scalar(const SoftmaxArgs& args) {
  for (std::size_t r = 0; r < args.rows; ++r) softmax_row(args, r);
}

void pack_keys_f32_1x1_1x1_scalar(const MoveArgs& g) {
  for (std::size_t j = 0; j < (g.keys + 15) / 16 * 16; ++j) {
    float* panel = g.out + j / 16 * 16 * g.depth + j % 16;
    for (std::size_t d = 0; d < g.depth; ++d) panel[d * 16] = j < g.keys ? g.source[j * g.pitch + d] : 0.0f;
  }
}

void pack_values_f32_1x16_1x1_scalar(const MoveArgs& g) {
  for (std::size_t d = 0; d < (g.depth + 15) / 16 * 16; ++d) {
    float* panel = g.out + d / 16 * 16 * g.keys + d % 16;
    for (std::size_t j = 0; j < g.keys; ++j) panel[j * 16] = d < g.depth ? g.source[j * g.pitch + d] : 0.0f;
  }
}

void dot_f32_1x1_1x1_scalar(const MoveArgs& g) {
  for (std::size_t j = 0; j < g.keys; ++j) {
    double sum = 0.0;
    for (std::size_t d = 0; d < g.depth; ++d) sum += static_cast<double>(g.weights[d]) * g.source[j * g.pitch + d];
    g.out[j] = static_cast<float>(sum);
  }
}

void mix_f32_1x1_1x1_scalar(const MoveArgs& g) {
  for (std::size_t d = 0; d < g.depth; ++d) {
    double sum = g.accumulate ? g.out[d] : 0.0;
    for (std::size_t j = 0; j < g.keys; ++j) sum += static_cast<double>(g.weights[j]) * g.source[j * g.pitch + d];
    g.out[d] = static_cast<float>(sum);
  }
}

}  // namespace intaglio::kernels::attention
