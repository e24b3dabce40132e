// PyTorch's type promotion: tensors with dimensions before 0-dim tensors before Python numbers, each class only
// counting when it is of a higher kind (bool < integer < float) than the class before it.
#pragma once

#include <span>

#include "frontend/builder.h"
#include "frontend/pt2/call.h"

namespace intaglio::frontend::pt2 {

// The dtype a Python number has in torch: int i64, float f32 (the default dtype), bool.
DType dtype_of(const Scalar& scalar);
// torch.result_type of all operands.
DType result_type(std::span<const Operand> operands);
// f32 for integers and bools, else the dtype itself: what true division and transcendental functions compute in.
inline DType float_type(DType t) {
  return is_floating(t) ? t : DType::f32;
}

// A number as a rank-0 value of a dtype (a constant, or computed from dims when it is symbolic).
MaybeValue scalar_value(Builder& b, const Scalar& scalar, DType dtype);
// The operand as a value of a dtype.
MaybeValue as_value(Builder& b, const Operand& operand, DType dtype);

}  // namespace intaglio::frontend::pt2
