// The reference: the contract of attention.h, sums and exponentials in double.
#include <cmath>
#include <cstring>

#include "kernels/attention/table.h"
#include "kernels/math/scalar_half.h"

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

// As f32, then every element to `out` by `store`, which returns what is summed.
template <class Store>
void narrow_softmax(const SoftmaxArgs& g, Store store) {
  for (std::size_t r = 0; r < g.rows; ++r) {
    const float before = g.sum[r];
    softmax_row(g, r);
    double sum = 0.0;
    for (std::size_t j = 0; j < g.keys; ++j) sum += store(r * g.out_pitch + j, g.scores[r * g.pitch + j]);
    g.sum[r] = static_cast<float>(before * g.rescale[r] + sum);
  }
}

}  // namespace

void softmax_f32_1x1_1x1_scalar(const SoftmaxArgs& args) {
  for (std::size_t r = 0; r < args.rows; ++r) softmax_row(args, r);
}

void softmax_bf16_1x1_1x1_scalar(const SoftmaxArgs& args) {
  narrow_softmax(args, [&](std::size_t at, float e) {
    static_cast<BFloat16*>(args.out)[at] = math::narrowed_bf16(e);
    return static_cast<double>(e);
  });
}

void softmax_u8_1x1_1x1_scalar(const SoftmaxArgs& args) {
  narrow_softmax(args, [&](std::size_t at, float e) {
    const float scaled = std::nearbyint(e * 255.0f);
    static_cast<std::uint8_t*>(args.out)[at] = static_cast<std::uint8_t>(scaled == scaled ? scaled : 0.0f);
    return static_cast<double>(scaled);
  });
}

void pack_values_bf16_2x1_1x1_scalar(const ValuesArgs& g) {
  const auto* source = static_cast<const BFloat16*>(g.source);
  for (std::size_t d = 0; d < (g.depth + 15) / 16 * 16; ++d) {
    auto* panel = reinterpret_cast<BFloat16*>(static_cast<char*>(g.out) + d / 16 * g.panel) + d % 16 * 2;
    for (std::size_t j = 0; j < (g.keys + 31) / 32 * 32; ++j)
      panel[j / 2 * 32 + j % 2] = d < g.depth && j < g.keys ? source[j * g.pitch + d] : BFloat16{};
  }
}

void pack_values_s8_4x1_1x1_scalar(const ValuesArgs& g) {
  const auto* source = static_cast<const float*>(g.source);
  for (std::size_t d = 0; d < (g.depth + 15) / 16 * 16; ++d) {
    auto* panel = reinterpret_cast<std::int8_t*>(static_cast<char*>(g.out) + d / 16 * g.panel) + d % 16 * 4;
    float most = 0.0f;
    for (std::size_t j = 0; d < g.depth && j < g.keys; ++j) {
      const float magnitude = std::fabs(source[j * g.pitch + d]);
      most = magnitude > most ? magnitude : most;
    }
    const float inverse = most == 0.0f ? 0.0f : 127.0f / most;
    if (d < g.depth) g.scale[d] = most == 0.0f ? 1.0f : most * (1.0f / 127.0f);
    for (std::size_t j = 0; j < (g.keys + 63) / 64 * 64; ++j) {
      const float code = d < g.depth && j < g.keys ? std::nearbyint(source[j * g.pitch + d] * inverse) : 0.0f;
      panel[j / 4 * 64 + j % 4] = static_cast<std::int8_t>(code == code ? code : 0.0f);
    }
  }
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
