// Family "norm": layer_norm and rms_norm over the trailing axes [axis, rank) of x, with an optional fused residual.
//
//   v = x, or x + residual
//
//   layer: y = (v - mean) / sqrt(var + epsilon) * gamma + beta, biased variance
//
//   rms:   y = v / sqrt(mean(v^2) + epsilon) * gamma
//
// Inputs of a run, absent ones left out: x, residual?, gamma?, beta?. x, residual and y: one shape, one floating dtype;
// gamma and beta broadcast to the normalised shape, any floating dtype. f16 and bf16 are computed in f32 (the sum with
// the residual too) and rounded once. No params, no packed constants. ONNX LayerNormalization, RMSNormalization; ATen
// layer_norm.
//
// Outputs, absent ones left out: y?, q?, scale?, zero?, absmax?
//   y       unless keep_float is false, which needs `quantize`
//   q, scale [, zero]   the dynamic quantisation of each row of y while it is in the first cache: outputs and bits of
//           ops/quantize.h, rows_symmetric (q i8 or u8 by `quantized`) or rows_asymmetric (q and zero u8), on y as
//           rounded to the dtype. q has the shape of y; scale, zero have one element a row, in any shape.
//   absmax  max |y| of each row, f32, a NaN counting as 0: for a consumer that quantises the row itself
// quantize and absmax need a dtype of f32 or bf16.
#pragma once

#include "ops/candidate.h"
#include "ops/quantize.h"

namespace intaglio::ops {

enum class NormKind : std::uint8_t { layer, rms };
enum class NormQuantize : std::uint8_t { none, symmetric, asymmetric };
inline constexpr int kNormQuantizes = 3;

class NormDescriptor final : public Descriptor {
 public:
  NormKind kind = NormKind::layer;
  DType dtype = DType::f32;
  std::int64_t axis = 0;
  double epsilon = 1e-5;
  bool residual = false, gamma = false, beta = false;
  NormQuantize quantize = NormQuantize::none;
  DType quantized = DType::u8;  // of q
  SymmetricRule rule;           // symmetric
  bool keep_float = true;
  bool absmax = false;

  std::string_view family() const override { return "norm"; }
  void fields(FieldVisitor& visitor) override;
  Status validate() const override;
  std::unique_ptr<Descriptor> clone() const override { return std::make_unique<NormDescriptor>(*this); }
};

}  // namespace intaglio::ops
