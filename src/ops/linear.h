// linear: a product with constant weights, and everything that can follow it in one pass over the result.
//
//   acc[i][j] = sum over k of (x[i][k] - x_zero[i]) * (w[k][j] - w_zero[j])          f32, or exact i32
//   z[i][j]   = act(float(acc[i][j]) * ((alpha | x_scale[i]) * w_scale[j]) + bias[j])
//   y[i][j]   = convert(clamp(z[i][j] + residual[i][j]))          or times the residual
//
// Computes ONNX MatMul and Gemm (B constant; alpha, transB; A untransposed), MatMulInteger (output i32) and its chain
// with Cast, Mul(x_scale * w_scale), Add; QLinearMatMul; ATen linear, addmm, mm, _int_mm and its chain; torchao's and
// pt2e's dynamic and weight-only linears. Each step rounds to f32 by itself, in this order, absent steps skipped: the
// integer forms equal the framework's separate operations bit for bit (kernels/gemm/gemm.h: Epilogue).
//
// What is multiplied follows from the types of `input` and `weight`:
//   floats by floats      f32 x {f32, bf16, f16}, bf16 x bf16, f16 x f16. Sums in f32; narrower operands are widened
//                         exactly, or multiplied by the core's own bf16 instructions where it has them.
//   8 bits by 8 bits      {u8, i8} x {u8, i8}, exact i32.
//   floats by codes       f32, bf16 or f16 x i8, or 4-bit codes (weight_bits = 4):
//     dynamic != none       the input is quantised first (see Dynamic), then integers are multiplied: i8 weights with a
//                           scale per column, exact i32; 4-bit codes by groups, each group's exact sum scaled and added
//                           in f32, groups ascending.
//     dynamic == none       weight-only: w = (code - zero) * scale, rounded to f32, then as floats by floats.
// Codes with groups: `group` consecutive k share a scale and a zero per column; 32, 64, 128 or another multiple of 32
// (the last group may be shorter), 0: all of K. Only weight-only i8 and 4-bit codes have groups.
//
// Inputs (run-time operands, in this order, absent ones left out):
//   x         [..., K]  input dtype; the leading dims are flattened to M
//   x_zero    if input_zero: one element, or M of them; the input's dtype. 8-bit inputs only.
//   x_scale   if input_scale: f32, one element, or M of them. 8-bit inputs only.
//   x_max     if input_max: f32, M elements, the row_max of whatever made x: the largest |x| of each row, which saves
//             token_symmetric a pass over x. It may lie below by the rounding of x to its type: what exceeds it then
//             saturates. Lower values give unspecified results for their row.
//   residual  if residual: residual_type, M * N elements in rows
// Outputs: y [..., N] of type `output`; then, if row_max: f32 [..., 1], the largest |value| of each row before it is
// converted to `output` (NaN passed over), for the next dynamic quantisation.
//
// Constants, in this order; absent ones have data == nullptr:
//   weight        [N, K] if weight_nk else [K, N]. A bf16 or f16 weight may also come as f32 and is then rounded to
//                 nearest even. 4-bit codes: u8 [N, ceil(K / 2)], weight_nk only, k even in the low nibble.
//   weight_zero   if weight_zero: [] or [N], the weight's dtype; codes with groups: [N, groups], i8 or u8 (4-bit: u8)
//   weight_scale  if weight_scale (always with codes): [] or [N], f32; codes with groups: [N, groups]. Must be finite;
//                 a scale of 0 makes its weights 0.
//   bias          if bias: [N] (or [1, N]), f32
// 4-bit codes without weight_zero are symmetric: they count from 8.
//
// Output types: f32, bf16, f16 (rounded to nearest even), i8 or u8: saturate(round_to_even(y / output_scale) +
// output_zero), ONNX QuantizeLinear; i32: the raw sum of 8-bit operands, with nothing after it.
// The output may share the residual's memory if their dtypes have one size. K = 0 gives the epilogue of 0, M = 0 or N =
// 0 empty outputs. NaN and infinity follow IEEE 754; an 8-bit output of NaN is 0.
#pragma once

#include "kernels/gemm/gemm.h"
#include "ops/candidate.h"
#include "ops/descriptor.h"
#include "ops/quantize.h"

namespace intaglio::ops {

using Activation = kernels::gemm::Unary;
inline constexpr int kActivationCount = 8;
std::string_view name_of(Activation activation);  // "none", "relu", "gelu_erf", ...

// How a float input of an integer product becomes 8-bit integers; the formulas are those of kernels/quantize.
//   tensor_asymmetric   one scale and zero point for all of x, u8: ONNX DynamicQuantizeLinear
//   tensor_symmetric    one scale, max|x| / 127, i8; a `rule` other than the default as SymmetricRule says
//   token_asymmetric    tensor_asymmetric on each row by itself
//   token_symmetric     tensor_symmetric on each row by itself
// A NaN counts as 0; an infinity makes its row (or all of y) NaN or infinite.
enum class Dynamic : std::uint8_t { none, tensor_asymmetric, tensor_symmetric, token_asymmetric, token_symmetric };
inline constexpr int kDynamicCount = 5;
std::string_view name_of(Dynamic dynamic);

struct LinearDescriptor final : Descriptor {
  std::int64_t k = 0, n = 0;
  DType input = DType::f32, weight = DType::f32, output = DType::f32;
  bool weight_nk = true;
  std::int64_t weight_bits = 0;  // 4: weight is u8 and holds two codes per byte; 0: as the dtype says
  std::int64_t group = 0;        // of k, for codes; 0: all of K
  Dynamic dynamic = Dynamic::none;
  SymmetricRule rule;  // of dynamic *_symmetric: ours, or that of an imported graph
  bool input_zero = false, weight_zero = false;
  bool input_scale = false, weight_scale = false;
  bool input_max = false;
  double alpha = 1.0;  // floats by floats only; instead of input_scale
  bool bias = false;
  Activation activation = Activation::none;
  bool residual = false;
  DType residual_type = DType::f32;  // f32, bf16, f16, i8, u8
  bool residual_multiply = false;    // else added
  double residual_scale = 1.0;       // of 8-bit residuals: (value - residual_zero) * residual_scale
  std::int64_t residual_zero = 0;
  bool clamp = false;
  double clamp_low = 0, clamp_high = 0;
  double output_scale = 1.0;  // of 8-bit outputs
  std::int64_t output_zero = 0;
  bool row_max = false;

  bool integer_input() const { return input == DType::u8 || input == DType::i8; }
  bool codes() const { return weight_bits == 4 || weight == DType::i8 || weight == DType::u8; }
  bool by_token() const { return dynamic == Dynamic::token_asymmetric || dynamic == Dynamic::token_symmetric; }
  bool symmetric() const { return dynamic == Dynamic::tensor_symmetric || dynamic == Dynamic::token_symmetric; }
  bool weight_only() const { return !integer_input() && codes() && dynamic == Dynamic::none; }
  bool grouped() const { return weight_only() || weight_bits == 4; }  // scales are a table of groups

  std::string_view family() const override { return "linear"; }
  void fields(FieldVisitor& visitor) override;
  Status validate() const override;
  std::unique_ptr<Descriptor> clone() const override;
};

}  // namespace intaglio::ops
