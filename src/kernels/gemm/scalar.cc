// The reference kernels: the contract of gemm.h written as plainly as possible. Also the last resort of machines below
// the other rows.
#include "kernels/gemm/scalar_epilogue.h"
#include "kernels/gemm/table.h"

namespace intaglio::kernels::gemm {
namespace {

// Element (k, j) of a block of B, columns counted from the block's first panel.
template <class T, std::size_t kGroup>
T element(const Args& g, std::size_t k, std::size_t j) {
  const char* panel = static_cast<const char*>(g.b) + j / kPanelWidth * g.b_panel;
  return reinterpret_cast<const T*>(panel)[(k / kGroup * kPanelWidth + j % kPanelWidth) * kGroup + k % kGroup];
}
int nibble(const Args& g, std::size_t k, std::size_t j) {
  const std::size_t in = k % kNibbleKGroup;
  const char* panel = static_cast<const char*>(g.b) + j / kPanelWidth * g.b_panel;
  const auto* line = reinterpret_cast<const std::uint8_t*>(panel) + k / kNibbleKGroup * kLineBytes;
  return line[j % kPanelWidth * 4 + in % 4] >> (in < 4 ? 0 : 4) & 15;
}

// Where the scale and the zero of (group of k, column j) stand.
std::size_t in_groups(const GroupTable& t, std::size_t k, std::size_t j) {
  return j / kPanelWidth * t.panel + k / t.group * kPanelWidth + j % kPanelWidth;
}
float zero_of(const GroupTable& t, std::size_t at) {
  return t.zero != nullptr ? t.zero[at] : t.center;
}
float scaled(const GroupTable& t, std::size_t k, std::size_t j, int code) {
  const std::size_t at = in_groups(t, k, j);
  return (static_cast<float>(code) - zero_of(t, at)) * t.scale[at];
}

float wide(float x) {
  return x;
}
float wide(BFloat16 x) {
  return math::widened(x);
}
float wide(Float16 x) {
  return math::widened(x);
}

// Sums in f32; weight(k, j) is one element of B as f32.
template <class A, class Weight>
void multiply_f32(const Args& g, Weight weight) {
  const A* a = static_cast<const A*>(g.a);
  float* partial = static_cast<float*>(g.partial);
  for (std::size_t i = 0; i < g.m; ++i) {
    for (std::size_t j = 0; j < g.n; ++j) {
      float sum = g.load_partial ? partial[i * g.partial_pitch + j] : 0.0f;
      for (std::size_t k = 0; k < g.k; ++k) sum += wide(a[i * g.a_pitch + k]) * weight(k, j);
      if (g.epilogue != nullptr) {
        finish(g, i, j, sum);
      } else {
        partial[i * g.partial_pitch + j] = sum;
      }
    }
  }
}

template <class A>
void multiply_i32(const Args& g) {
  const A* a = static_cast<const A*>(g.a);
  auto* partial = static_cast<std::int32_t*>(g.partial);
  for (std::size_t i = 0; i < g.m; ++i) {
    for (std::size_t j = 0; j < g.n; ++j) {
      std::uint32_t sum = g.load_partial ? static_cast<std::uint32_t>(partial[i * g.partial_pitch + j]) : 0u;
      for (std::size_t k = 0; k < g.k; ++k) {
        sum += static_cast<std::uint32_t>(a[i * g.a_pitch + k] * element<std::int8_t, kInt8KGroup>(g, k, j));
      }
      if (g.epilogue != nullptr) {
        finish(g, i, j, sum);
      } else {
        partial[i * g.partial_pitch + j] = static_cast<std::int32_t>(sum);
      }
    }
  }
}

// One term of s8w4: group g of row i and column j.
float group_term(const Args& g, std::size_t i, std::size_t j, std::size_t k0) {
  const auto* a = static_cast<const std::int8_t*>(g.a) + i * g.a_pitch;
  const std::size_t end = k0 + g.groups.group < g.k ? k0 + g.groups.group : g.k;
  std::int32_t sum = 0, total = 0;
  for (std::size_t k = k0; k < end; ++k) {
    sum += a[k] * nibble(g, k, j);
    total += a[k];
  }
  const std::size_t at = in_groups(g.groups, k0, j);
  sum -= static_cast<std::int32_t>(zero_of(g.groups, at)) * total;
  return g.groups.scale[at] * static_cast<float>(sum);
}

}  // namespace

void gemm_f32_4x16x1_1x16x1_scalar(const Args& args) {
  multiply_f32<float>(args, [&](std::size_t k, std::size_t j) { return element<float, 1>(args, k, j); });
}
void gemm_f32bf16_4x16x2_1x16x2_scalar(const Args& args) {
  multiply_f32<float>(args, [&](std::size_t k, std::size_t j) { return wide(element<BFloat16, 2>(args, k, j)); });
}
void gemm_f32f16_4x16x1_1x16x1_scalar(const Args& args) {
  multiply_f32<float>(args, [&](std::size_t k, std::size_t j) { return wide(element<Float16, 1>(args, k, j)); });
}
void gemm_f32w8_4x16x4_1x16x4_scalar(const Args& args) {
  multiply_f32<float>(args, [&](std::size_t k, std::size_t j) {
    return scaled(args.groups, k, j, element<std::int8_t, kInt8KGroup>(args, k, j));
  });
}
void gemm_f32w4_4x16x8_1x16x8_scalar(const Args& args) {
  multiply_f32<float>(args,
                      [&](std::size_t k, std::size_t j) { return scaled(args.groups, k, j, nibble(args, k, j)); });
}
void gemm_bf16_4x16x2_1x16x2_scalar(const Args& args) {
  multiply_f32<BFloat16>(args, [&](std::size_t k, std::size_t j) { return wide(element<BFloat16, 2>(args, k, j)); });
}
void gemm_f16_4x16x1_1x16x1_scalar(const Args& args) {
  multiply_f32<Float16>(args, [&](std::size_t k, std::size_t j) { return wide(element<Float16, 1>(args, k, j)); });
}
void gemm_u8s8i32_4x16x4_1x16x4_scalar(const Args& args) {
  multiply_i32<std::uint8_t>(args);
}
void gemm_s8s8i32_4x16x4_1x16x4_scalar(const Args& args) {
  multiply_i32<std::int8_t>(args);
}
void gemm_s8w4_4x16x8_1x16x8_scalar(const Args& args) {
  float* partial = static_cast<float*>(args.partial);
  for (std::size_t i = 0; i < args.m; ++i) {
    for (std::size_t j = 0; j < args.n; ++j) {
      float sum = args.load_partial ? partial[i * args.partial_pitch + j] : 0.0f;
      for (std::size_t k = 0; k < args.k; k += args.groups.group) sum += group_term(args, i, j, k);
      if (args.epilogue != nullptr) {
        finish(args, i, j, sum);
      } else {
        partial[i * args.partial_pitch + j] = sum;
      }
    }
  }
}

}  // namespace intaglio::kernels::gemm
