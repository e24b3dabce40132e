// Family "rotary": rotary position embedding (RoFormer, Su et al. 2021; ONNX RotaryEmbedding).
//
//   pairs (a, b) of the first R elements of every row of D: (a*cos - b*sin, b*cos + a*sin); the other D - R stay
//
// Pairs are elements i and i + R/2, or 2i and 2i + 1 if `interleaved`. Inputs of a run: x [.., H, D], cos and sin
// [.., R/2], whose leading dims broadcast to those of x (so the axis of positions may stand anywhere before the last).
// Output y: the shape and dtype of x; it may share the memory of x. `heads` > 0 rotates only the first so many of H and
// copies the rest. x: f32, bf16, f16 or f64; cos and sin: f32 or the dtype of x. 16-bit floats are computed in f32 and
// rounded once, f64 in f64. No params, no packed constants.
#pragma once

#include "ops/candidate.h"

namespace intaglio::ops {

struct RotaryDescriptor final : Descriptor {
  DType dtype = DType::f32, table = DType::f32;
  bool interleaved = false;
  std::int64_t heads = 0;

  std::string_view family() const override { return "rotary"; }
  void fields(FieldVisitor& visitor) override;
  Status validate() const override;
  std::unique_ptr<Descriptor> clone() const override;
};

}  // namespace intaglio::ops
