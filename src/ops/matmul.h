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
// Types: f32 -> f32; f16 -> f16, bf16 -> bf16 (products and sums in f32, one rounding at the end); {u8, i8} x {u8, i8}
// -> i32 (exact modulo 2^32): all by the packed GEMM kernels, b packed at each run. f64, i32, u32, i64, u64 (modulo
// 2^bits): plain loops. Only f32 takes an alpha other than 1.
//
// f32 with at most 16 rows of a (8 with some widths of b; all matrices of a that share one b counted), or with one
// column of b: by kernels/direct, nothing packed. Which way a product goes depends on the shapes alone.
//
// The order of sums is the level's and does not depend on threads. With b [K, N], N > 1, a row of an f32 product has
// the same bits whatever the number of rows, and on all levels with FMA; with b [N, K] few rows are summed in another
// order (by vector lane) than many. 16-bit floats: levels with an instruction for bf16 add pairs of products, each
// product exact, sums rounded to f32 in the instruction's order, denormals as 0; all others widen both operands, which
// is exact, and multiply as f32.
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
