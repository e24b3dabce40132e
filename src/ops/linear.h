// linear: a product with constant weights, and everything that can follow it in one pass over the result.
//
//   acc[i][j] = sum over k of (x[i][k] - x_zero[i]) * (w[k][j] - w_zero[j])          f32, or exact i32
//   y[i][j]   = clamp(residual[i][j] + act(float(acc[i][j]) * ((alpha | x_scale[i]) * w_scale[j]) + bias[j]))
//
// Computes ONNX MatMul and Gemm (B constant; alpha, transB; A untransposed), MatMulInteger (output i32) and its chain
// with Cast, Mul(x_scale * w_scale), Add; ATen linear, addmm, mm. Each step rounds to f32 by itself, in this order,
// absent steps skipped: the integer forms equal the framework's separate operations bit for bit.
//
// Inputs (run-time operands, in this order, absent ones left out):
//   x         [..., K]  input dtype; the leading dims are flattened to M
//   x_zero    if input_zero: one element, or M of them; the input's dtype
//   x_scale   if input_scale: f32, one element, or M of them
//   residual  if residual: f32, M * N elements in rows
// Output: y [..., N], f32 or i32.
// Constants, in this order: weight [N, K] if weight_nk else [K, N]; weight_zero [] or [N], the weight's dtype;
// weight_scale [] or [N], f32; bias [N] (or [1, N]), f32. Absent ones have data == nullptr.
//
// Types: f32 x f32 -> f32; {u8, i8} x {u8, i8} -> i32 (raw) or f32. The output may share the residual's memory.
#pragma once

#include "kernels/gemm/gemm.h"
#include "ops/candidate.h"
#include "ops/descriptor.h"

namespace intaglio::ops {

using Activation = kernels::gemm::Unary;
inline constexpr int kActivationCount = 7;
std::string_view name_of(Activation activation);  // "none", "relu", "gelu_erf", ...

struct LinearDescriptor final : Descriptor {
  std::int64_t k = 0, n = 0;
  DType input = DType::f32, weight = DType::f32, output = DType::f32;
  bool weight_nk = true;
  bool input_zero = false, weight_zero = false;
  bool input_scale = false, weight_scale = false;
  double alpha = 1.0;  // f32 only; instead of input_scale
  bool bias = false;
  Activation activation = Activation::none;
  bool residual = false;
  bool clamp = false;
  double clamp_low = 0, clamp_high = 0;

  std::string_view family() const override { return "linear"; }
  void fields(FieldVisitor& visitor) override;
  Status validate() const override;
  std::unique_ptr<Descriptor> clone() const override;
};

}  // namespace intaglio::ops
