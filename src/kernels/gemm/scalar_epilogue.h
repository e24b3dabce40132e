// The Epilogue of gemm.h, one element at a time and as plainly as possible: the reference of every row. Functions of
// Unary are the C library's, in double. Included by scalar files only.
#pragma once

#include <cmath>

#include "kernels/gemm/gemm.h"
#include "kernels/math/scalar_half.h"

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
    case Unary::hard_swish: {
      const double gate = x / 6 + 0.5;
      return x * (gate < 0 ? 0 : gate > 1 ? 1 : gate);
    }
  }
  return x;
}

float residual_at(const Epilogue& e, std::size_t at) {
  const auto from_8 = [&](int value) { return static_cast<float>(value - e.residual_zero) * e.residual_scale; };
  switch (e.residual_type) {
    case DType::bf16:
      return math::widened(static_cast<const BFloat16*>(e.residual)[at]);
    case DType::f16:
      return math::widened(static_cast<const Float16*>(e.residual)[at]);
    case DType::i8:
      return from_8(static_cast<const std::int8_t*>(e.residual)[at]);
    case DType::u8:
      return from_8(static_cast<const std::uint8_t*>(e.residual)[at]);
    default:
      return static_cast<const float*>(e.residual)[at];
  }
}

void store_at(const Args& g, std::size_t at, float x) {
  const Epilogue& e = *g.epilogue;
  switch (e.out_type) {
    case DType::bf16:
      static_cast<BFloat16*>(g.out)[at] = math::narrowed_bf16(x);
      return;
    case DType::f16:
      static_cast<Float16*>(g.out)[at] = math::narrowed_f16(static_cast<double>(x));
      return;
    case DType::i8:
    case DType::u8: {
      const float least = e.out_type == DType::i8 ? -128.0f : 0.0f, most = least + 255.0f;
      float y = std::nearbyint(x / e.out_scale) + static_cast<float>(e.out_zero);
      y = y != y ? 0.0f : y < least ? least : y > most ? most : y;
      static_cast<std::uint8_t*>(g.out)[at] = static_cast<std::uint8_t>(static_cast<int>(y));
      return;
    }
    default:
      static_cast<float*>(g.out)[at] = x;
  }
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
  x = static_cast<float>(apply_wide(e.unary, x));
  if (e.residual != nullptr) {
    const float r = residual_at(e, row * e.residual_pitch + column);
    x = e.residual_multiply ? x * r : x + r;
  }
  if (e.clamp && x < e.clamp_low) x = e.clamp_low;
  if (e.clamp && x > e.clamp_high) x = e.clamp_high;
  if (e.row_max != nullptr && std::fabs(x) > e.row_max[row]) e.row_max[row] = std::fabs(x);
  store_at(g, i * g.out_pitch + j, x);
}

void finish(const Args& g, std::size_t i, std::size_t j, std::uint32_t c) {
  const Epilogue& e = *g.epilogue;
  const auto u32 = [](std::int32_t x) { return static_cast<std::uint32_t>(x); };
  if (e.column_start != nullptr) c += u32(e.column_start[g.column + j]);
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
}  // namespace intaglio::kernels::gemm
