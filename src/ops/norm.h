// Family "norm": layer_norm and rms_norm over the trailing axes [axis, rank) of x, with an optional fused residual.
//
//   layer: y = (v - mean) / sqrt(var + epsilon) * gamma + beta, biased variance;   rms: y = v / sqrt(mean(v^2) +
//   epsilon) * gamma v = x, or x + residual
//
// Inputs of a run, absent ones left out: x, residual?, gamma?, beta?. x, residual and y: one shape, one floating dtype;
// gamma and beta broadcast to the normalised shape, any floating dtype. f16 and bf16 are computed in f32 (the sum with
// the residual too) and rounded once. No params, no packed constants. ONNX LayerNormalization, RMSNormalization; ATen
// layer_norm.
#pragma once

#include "ops/candidate.h"

namespace intaglio::ops {

enum class NormKind : std::uint8_t { layer, rms };

class NormDescriptor final : public Descriptor {
 public:
  NormKind kind = NormKind::layer;
  DType dtype = DType::f32;
  std::int64_t axis = 0;
  double epsilon = 1e-5;
  bool residual = false, gamma = false, beta = false;

  std::string_view family() const override { return "norm"; }
  void fields(FieldVisitor& visitor) override;
  Status validate() const override;
  std::unique_ptr<Descriptor> clone() const override { return std::make_unique<NormDescriptor>(*this); }
};

}  // namespace intaglio::ops
