// Contract of the quantisation kernels: f32 and bf16 to 8-bit integers and back, and dynamic quantisation of rows.
//
//   extremes:    out f32[2] = min(0, x...), max(0, x...); a NaN counts as 0, a zero is +0; x f32 or bf16
//   quantize:    y = saturate(round_to_even(x / scale) + zero), a true division; a NaN quotient gives 0
//   dequantize:  y = float(x - zero) * scale
//   row:         both steps of a dynamic quantisation, and sums; see RowArgs
//
// Group names say the 8-bit type: u8 or s8. zero is a value of that type, in 32 bits; scale may be anything (0 and
// infinities follow IEEE: x / 0 saturates, 0 / 0 is NaN). ONNX QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear.
// Every row of the table gives the same bits as the scalar one, in the default rounding mode. Levels with FMA divide by
// a reciprocal and one correction where that is proven to round as the division does (math/divide.h).
// source and out do not overlap; no other byte than the `count` elements is read or written; no alignment is asked
// beyond the element's. count = 0: extremes are 0, the others do nothing (row: sums and scale of an empty row).
#pragma once

#include "base/pod.h"

namespace intaglio::kernels::quantize {

struct Args {
  const void* source = nullptr;
  void* out = nullptr;
  std::size_t count = 0;
  float scale = 1.0f;     // not of extremes
  std::int32_t zero = 0;  // not of extremes
  // One scale, one zero point (of the 8-bit type) for each element; null: scale and zero hold for all. Not of extremes.
  const float* scales = nullptr;
  const void* zeros = nullptr;
};

// symmetric:   a = max |x|, scale = max(a / divisor, least), but 1 if that is 0 because a = 0 and least = 0;
//              y = saturate(round_to_even(x / scale)) in s8, NaN gives 0; with `plus128` y + 128 in u8
//              (by_reciprocal: x * (1 / scale), each operation rounded)
// asymmetric:  low = min(0, x...), high = max(0, x...), scale = (high - low) / 255, 1 if low = high;
//              zero = saturate(round_to_even(-low / scale)), y = saturate(round_to_even(x / scale) + zero) in u8,
//              NaN gives 0. ONNX DynamicQuantizeLinear.
//
// Every operation is rounded to f32. A NaN counts as 0 in a, low and high. Infinite values follow IEEE: the scale is
// infinite, every y is that of a NaN or a zero, so that what is computed from the row (0 * inf) is NaN, as from the
// infinity itself. A scale that underflows to 0 saturates the row, and 127 * 0 is 0 again.
// Ours is divisor 127; graphs of torchao have 127.5, least 1.19e-7 and by_reciprocal, those that divide by 127 and
// clamp the scale from below have `least`.
enum class Rule : std::uint8_t { symmetric, asymmetric };

// One row: extremes unless they are given, then the quantised values. Two passes over `source`, which is best when it
// stays in L1. Outputs that are null are not written.
struct RowArgs {
  const void* source = nullptr;  // f32 or bf16, the row of the table says which
  std::uint8_t* out = nullptr;   // the bytes of s8 or u8
  std::size_t count = 0;
  Rule rule = Rule::symmetric;
  bool plus128 = false;        // symmetric
  float divisor = 127.0f;      // symmetric, > 0
  float least = 0.0f;          // symmetric, >= 0
  bool by_reciprocal = false;  // symmetric
  // low <= 0 and high >= 0 that enclose the row (extremes of the row, or of the tensor it is part of; {0, a} will do
  // for symmetric), if known already. Values outside give unspecified bytes.
  const float* extremes = nullptr;

  float* scale = nullptr;
  std::int32_t* zero = nullptr;  // asymmetric: zero; symmetric: 0, 128 with plus128
  // Sums of the written bytes, as the s8 or u8 that they are: one of the whole row (sum_group 0), or ceil(count /
  // sum_group) of consecutive groups of sum_group (a multiple of 32) elements. Exact modulo 2^32.
  std::int32_t* sums = nullptr;
  std::size_t sum_group = 0;
};

using Kernel = void (*)(const Args& args);
using RowKernel = void (*)(const RowArgs& args);

}  // namespace intaglio::kernels::quantize
