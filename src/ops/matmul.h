// matmul: the product of two run-time operands, batched, with NumPy's broadcasting.
//
//   y[..., i, j] = alpha * sum over k of (a[..., i, k] - a_zero[i]) * (b[..., k, j] - b_zero[j])
//
// Computes ONNX MatMul (all its types), MatMulInteger, Gemm without C; ATen matmul, mm, bmm, mv, dot, baddbmm's
// product.
//
// Inputs (absent ones left out): a [..., M, K], or [..., K, M] if transpose_a; b [..., K, N], or [..., N, K] if
// transpose_b; a_zero if a_zero: 1 or M elements of a's dtype; b_zero if b_zero: 1 or N elements of b's dtype. A rank-1
// a is [1, K] and a rank-1 b is [K, 1], whatever the transposes say; the dims of 1 are dropped from the output. The
// dims before the last two broadcast. Output: y, the dtype `output`. No constants.
//
// Types: f32 -> f32; {u8, i8} x {u8, i8} -> i32 (exact modulo 2^32), both by the packed GEMM kernels, b packed at each
// run. f64, i32, u32, i64, u64 (modulo 2^bits), f16 and bf16 (products and sums in f32, one rounding at the end): plain
// loops. Only f32 takes an alpha other than 1.
#pragma once

#include "ops/candidate.h"
#include "ops/descriptor.h"

namespace intaglio::ops {

struct MatmulDescriptor final : Descriptor {
  DType a = DType::f32, b = DType::f32, output = DType::f32;
  bool transpose_a = false, transpose_b = false;
  bool a_zero = false, b_zero = false;
  double alpha = 1.0;

  std::string_view family() const override { return "matmul"; }
  void fields(FieldVisitor& visitor) override;
  Status validate() const override;
  std::unique_ptr<Descriptor> clone() const override;
};

}  // namespace intaglio::ops
