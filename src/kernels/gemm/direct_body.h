// The epilogue that most layers have, on accumulators that are still in registers: zero point of the tensor, scales,
// bias, relu, an f32 output. About 6 instructions a vector instead of 12 and a trip through memory, which at K = 768 is
// 3 % of a whole 8-bit product (Zen 4, 2026-11). Stages that are absent are done with neutral operands (+ 0 in i32,
// * 1, + -0, max(-inf, x)), which leave every bit as it is. Included by ISA files only.
#pragma once

#include "kernels/gemm/epilogue_body.h"

namespace intaglio::kernels::gemm {
namespace {

// True for a block of all `width` columns whose epilogue this file can do.
inline bool is_direct(const Args& g, std::size_t width) {
  const Epilogue* e = g.epilogue;
  return e != nullptr && !g.load_partial && g.n == width && e->out_type == DType::f32 && e->unary <= Unary::relu &&
         e->residual == nullptr && !e->clamp && e->row_max == nullptr && e->row_zero == nullptr &&
         e->column_zero == nullptr;
}

template <class V, int kVectors>
struct DirectEpilogue {
  using F = typename V::F;
  using I = typename V::I;

  I start[kVectors];
  F scale[kVectors], bias[kVectors];
  F least;
  const Args& g;

  explicit DirectEpilogue(const Args& args) : g(args) {
    const Epilogue& e = *args.epilogue;
    const I zero = V::set1i(e.zero);
    const F by_tensor = V::set1(e.scaled && e.row_scale == nullptr ? e.scale : 1.0f);
    least = V::set1(e.unary == Unary::relu ? 0.0f : -__builtin_inff());
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const std::size_t at = args.column + static_cast<std::size_t>(v) * V::kLanes;
      start[v] = e.column_start != nullptr ? V::load(e.column_start + at) : V::set1i(0);
      if (e.column_sum != nullptr) start[v] = V::subi(start[v], V::muli(zero, V::load(e.column_sum + at)));
      scale[v] = e.scaled && e.column_scale != nullptr ? V::mul(by_tensor, V::load(e.column_scale + at)) : by_tensor;
      bias[v] = e.bias != nullptr ? V::load(e.bias + at) : V::set1(-0.0f);
    }
  }
  F widen(I c, int v) const { return V::to_float(V::addi(c, start[v])); }
  F widen(F x, int) const { return x; }

  template <class R, int MR>
  inline __attribute__((always_inline)) void run(const R (&acc)[MR][kVectors]) const {
    const float* rows = g.epilogue->scaled ? g.epilogue->row_scale : nullptr;
    float* out = static_cast<float*>(g.out);
#pragma GCC unroll 8
    for (std::size_t i = 0; i < MR; ++i) {
      const F by_row = V::set1(rows != nullptr ? rows[g.row + i] : 1.0f);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const F s = rows != nullptr ? V::mul(by_row, scale[v]) : scale[v];
        const F y = V::add(V::mul(widen(acc[i][v], v), s), bias[v]);
        V::store(out + i * g.out_pitch + static_cast<std::size_t>(v) * V::kLanes, V::max(least, y));
      }
    }
  }
};

}  // namespace
}  // namespace intaglio::kernels::gemm
