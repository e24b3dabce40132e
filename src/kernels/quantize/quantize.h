// Contract of the quantisation kernels: f32 to and from 8-bit integers, and the extremes that a dynamic scale is made
// of.
//
//   extremes:    out f32[2] = min(0, x...), max(0, x...); a NaN counts as 0, a zero is +0
//   quantize:    y = saturate(round_to_even(x / scale) + zero), a true division; a NaN quotient gives 0
//   dequantize:  y = float(x - zero) * scale
//
// Group names say the 8-bit type: u8 or s8. zero is a value of that type, in 32 bits; scale may be anything (0 and
// infinities follow IEEE: x / 0 saturates, 0 / 0 is NaN). ONNX QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear.
// Every row gives the same bits as the scalar one, in the default rounding mode.
// source and out do not overlap; no other byte than the `count` elements is read or written; no alignment is asked
// beyond the element's. count = 0: extremes are 0, the others do nothing.
#pragma once

#include "base/pod.h"

namespace intaglio::kernels::quantize {

struct Args {
  const void* source = nullptr;
  void* out = nullptr;
  std::size_t count = 0;
  float scale = 1.0f;     // not of extremes
  std::int32_t zero = 0;  // not of extremes
};

using Kernel = void (*)(const Args& args);

}  // namespace intaglio::kernels::quantize
