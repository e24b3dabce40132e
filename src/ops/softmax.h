// Family "softmax": softmax and log-softmax along one axis. Inputs of a run: x. y has its shape and (floating) dtype.
// f16 and bf16 are computed in f32 and rounded once. No params, no packed constants. ONNX Softmax, LogSoftmax (opset
// 13); ATen softmax, log_softmax. NaN and Inf: kernels/softmax/softmax.h.
#pragma once

#include "ops/candidate.h"

namespace intaglio::ops {

class SoftmaxDescriptor final : public Descriptor {
 public:
  DType dtype = DType::f32;
  std::int64_t axis = 0;
  bool log = false;

  std::string_view family() const override { return "softmax"; }
  void fields(FieldVisitor& visitor) override;
  Status validate() const override;
  std::unique_ptr<Descriptor> clone() const override { return std::make_unique<SoftmaxDescriptor>(*this); }
};

}  // namespace intaglio::ops
