// The reference kernels: the contract of gemm.h written as plainly as possible. Also the last resort of machines below
// the other rows. Functions of Unary are the C library's, in double.
#include <cmath>
#include <limits>

#include "kernels/gemm/table.h"

namespace intaglio::kernels::gemm {
namespace {

double apply_wide(Unary unary, double x) {
  switch (unary) {
    case Unary::none:
      return x;
    case Unary::relu:
      return x < 0 ? 0 : x;
    case Unary::gelu_erf:
      return 0.5 * x * (1 + std::erf(x * 0.70710678118654752));
    case Unary::gelu_tanh:
      return x / (1 + std::exp(-1.5957691216057308 * x * (1 + 0.044715 * x * x)));
    case Unary::silu:
      return x / (1 + std::exp(-x));
    case Unary::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Unary::tanh:
      return std::tanh(x);
  }
  return x;
}
float apply(Unary unary, float x) {
  return static_cast<float>(apply_wide(unary, x));
}

void finish(const Args& g, std::size_t i, std::size_t j, float x) {
  const Epilogue& e = *g.epilogue;
  const std::size_t row = g.row + i;
  const std::size_t column = g.column + j;
  if (e.scaled) {
    const float by_row = e.row_scale != nullptr ? e.row_scale[row] : e.scale;
    x *= e.column_scale != nullptr ? by_row * e.column_scale[column] : by_row;
  }
  if (e.bias != nullptr) x += e.bias[column];
  x = apply(e.unary, x);
  if (e.residual != nullptr) x += static_cast<const float*>(e.residual)[row * e.residual_pitch + column];
  if (e.clamp && x < e.clamp_low) x = e.clamp_low;
  if (e.clamp && x > e.clamp_high) x = e.clamp_high;
  static_cast<float*>(g.out)[i * g.out_pitch + j] = x;
}

void finish(const Args& g, std::size_t i, std::size_t j, std::uint32_t c) {
  const Epilogue& e = *g.epilogue;
  const auto u32 = [](std::int32_t x) { return static_cast<std::uint32_t>(x); };
  if (e.column_sum != nullptr) {
    c -= u32(e.row_zero != nullptr ? e.row_zero[g.row + i] : e.zero) * u32(e.column_sum[g.column + j]);
  }
  if (e.column_zero != nullptr) c -= u32(e.row_term[g.row + i]) * u32(e.column_zero[g.column + j]);
  if (e.out_type == DType::i32) {
    static_cast<std::int32_t*>(g.out)[i * g.out_pitch + j] = static_cast<std::int32_t>(c);
    return;
  }
  finish(g, i, j, static_cast<float>(static_cast<std::int32_t>(c)));
}

}  // namespace

void gemm_f32_4x16x1_1x16x1_scalar(const Args& args) {
  const float* a = static_cast<const float*>(args.a);
  const float* b = static_cast<const float*>(args.b);
  float* partial = static_cast<float*>(args.partial);
  for (std::size_t i = 0; i < args.m; ++i) {
    for (std::size_t j = 0; j < args.n; ++j) {
      float sum = args.load_partial ? partial[i * args.partial_pitch + j] : 0.0f;
      for (std::size_t k = 0; k < args.k; ++k) {
        sum += a[i * args.a_pitch + k] * b[j / kPanelWidth * args.b_panel + k * kPanelWidth + j % kPanelWidth];
      }
      if (args.epilogue != nullptr) {
        finish(args, i, j, sum);
      } else {
        partial[i * args.partial_pitch + j] = sum;
      }
    }
  }
}

void gemm_u8s8i32_4x16x4_1x16x4_scalar(const Args& args) {
  const auto* a = static_cast<const std::uint8_t*>(args.a);
  const auto* b = static_cast<const std::int8_t*>(args.b);
  auto* partial = static_cast<std::int32_t*>(args.partial);
  for (std::size_t i = 0; i < args.m; ++i) {
    for (std::size_t j = 0; j < args.n; ++j) {
      const std::int8_t* column = b + j / kPanelWidth * args.b_panel + j % kPanelWidth * kInt8KGroup;
      std::uint32_t sum = args.load_partial ? static_cast<std::uint32_t>(partial[i * args.partial_pitch + j]) : 0u;
      for (std::size_t k = 0; k < args.k; ++k) {
        const int product =
            a[i * args.a_pitch + k] * column[k / kInt8KGroup * (kInt8KGroup * kPanelWidth) + k % kInt8KGroup];
        sum += static_cast<std::uint32_t>(product);
      }
      if (args.epilogue != nullptr) {
        finish(args, i, j, sum);
      } else {
        partial[i * args.partial_pitch + j] = static_cast<std::int32_t>(sum);
      }
    }
  }
}

}  // namespace intaglio::kernels::gemm
