// Family "quantize": ONNX DynamicQuantizeLinear, QuantizeLinear and DequantizeLinear, with exactly their roundings, and
// dynamic quantisation by token.
//   constants: none      params: none
//   dynamic:    inputs x f32; outputs y u8 (shape of x), scale f32 [], zero point u8 []
//               scale = (max(x,0) - min(x,0)) / 255 (1 if x is all zeros), zero = saturate(round(-min / scale)),
//               y = saturate(round(x / scale) + zero)
//   quantize:   inputs x f32, scale f32, [zero]; output u8 or i8: saturate(round(x / scale) + zero)
//   dequantize: inputs x u8, i8 or i32, scale f32, [zero, dtype of x]; output f32: (x - zero) * scale
//   tensor_symmetric: inputs x; outputs y i8 or u8 (shape of x), scale f32 []
//               scale = max(max |x| / divisor, least), 1 if x is all zeros and least is 0; y = saturate(round(x /
//               scale)) in i8, 128 more in u8. With by_reciprocal round(x * (1 / scale)), each operation rounded.
//   rows_symmetric: the same for each of the M rows of x [..., K] on its own; scale has M elements in any shape
//   rows_asymmetric: `dynamic` for each row; outputs y u8, scale f32 and zero point u8 of M elements
// x of the dynamic kinds is f32 or bf16. scale and zero of the others have one element or one per index of `axis`.
// Rounding is to even; a NaN becomes 0 (128 in symmetric u8) and counts as 0 in extremes; infinities give an infinite
// scale, see kernels/quantize/quantize.h.
#pragma once

#include <cstdint>

#include "ops/descriptor.h"

namespace intaglio::ops {

// A plan stores the number: append only.
enum class QuantizeKind : std::uint8_t {
  dynamic,
  quantize,
  dequantize,
  tensor_symmetric,
  rows_symmetric,
  rows_asymmetric
};
inline constexpr int kQuantizeKinds = 6;

// How a symmetric dynamic scale is made of an absolute maximum: ours is the default, the others reproduce the
// frameworks (torchao: 127.5, 1.1920929e-7, by reciprocal).
struct SymmetricRule {
  double divisor = 127.0;  // 1 .. 1024
  double least = 0.0;      // 0 .. 1e38
  bool by_reciprocal = false;

  void fields(FieldVisitor& visitor);
  Status validate() const;
};

class QuantizeDescriptor final : public Descriptor {
 public:
  QuantizeKind kind = QuantizeKind::dynamic;
  DType input = DType::f32;
  DType output = DType::u8;
  std::int64_t axis = 0;
  bool zero = false;   // quantize, dequantize: there is a zero point operand
  SymmetricRule rule;  // *_symmetric

  std::string_view family() const override { return "quantize"; }
  void fields(FieldVisitor& visitor) override;
  Status validate() const override;
  std::unique_ptr<Descriptor> clone() const override { return std::make_unique<QuantizeDescriptor>(*this); }
};

}  // namespace intaglio::ops
