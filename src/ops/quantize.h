// Family "quantize": ONNX DynamicQuantizeLinear, QuantizeLinear and DequantizeLinear, with exactly their roundings.
//   constants: none      params: none
//   dynamic:    inputs x f32; outputs y u8 (shape of x), scale f32 [], zero point u8 []
//               scale = (max(x,0) - min(x,0)) / 255 (1 if x is all zeros), zero = saturate(round(-min / scale)),
//               y = saturate(round(x / scale) + zero)
//   quantize:   inputs x f32, scale f32, [zero]; output u8 or i8: saturate(round(x / scale) + zero)
//   dequantize: inputs x u8, i8 or i32, scale f32, [zero, dtype of x]; output f32: (x - zero) * scale
// scale and zero have one element or one per index of `axis`. Rounding is to even; a NaN becomes 0.
#pragma once

#include <cstdint>

#include "ops/descriptor.h"

namespace intaglio::ops {

enum class QuantizeKind : std::uint8_t { dynamic, quantize, dequantize };
inline constexpr int kQuantizeKinds = 3;

class QuantizeDescriptor final : public Descriptor {
 public:
  QuantizeKind kind = QuantizeKind::dynamic;
  DType input = DType::f32;
  DType output = DType::u8;
  std::int64_t axis = 0;
  bool zero = false;  // quantize, dequantize: there is a zero point operand

  std::string_view family() const override { return "quantize"; }
  void fields(FieldVisitor& visitor) override;
  Status validate() const override;
  std::unique_ptr<Descriptor> clone() const override { return std::make_unique<QuantizeDescriptor>(*this); }
};

}  // namespace intaglio::ops
