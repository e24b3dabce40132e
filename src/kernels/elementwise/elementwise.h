// Contract of the elementwise kernels: one function over `count` elements.
//
//   out[i] = op(source[0][i], source[1][i], ...)        0 <= i < count; a uniform source has one element for every i
//
// Two groups of rows (kernels.inc):
//   apply    every Op but cast and constant. `type` is the type of the sources (where: of the 2nd and 3rd; the 1st is
//            bool). The scalar row has every type but f16 and bf16 (where and eq.. of them: convert first; where moves
//            any type); ISA rows have f32 and the ops whose `vector` is true in opcodes.inc.
//   convert  out (type `to`) from source[0] (type `type`), all pairs in the scalar row, vector_converts() in ISA rows.
//
// Memory: elements lie contiguously, aligned to their own size. bool is one byte, 0 or 1 (any non-zero reads as true).
// No byte beyond `count` elements is read or written. out may be exactly one of the sources if element sizes agree;
// nothing else may overlap.
//
// Values: formulas in opcodes.inc. f32 accuracy: within 4 ulp for exp, log, erf, tanh, sigmoid; |error| <= 4 eps
// max(|x|, smallest normal) for gelu, gelu_tanh, silu; add sub mul div sqrt exactly rounded; hard_swish and
// hard_sigmoid round each step. An element's result depends neither on its position nor on count. NaN payloads and
// signs are not specified.
#pragma once

#include "base/pod.h"

namespace intaglio::kernels::elementwise {

enum class Op : std::uint8_t {
#define INTAGLIO_ELEMENTWISE(token, sources, result, types, vector, formula) token,
#include "kernels/elementwise/opcodes.inc"
#undef INTAGLIO_ELEMENTWISE
};

struct Args {
  Op op = Op::neg;
  DType type = DType::f32;
  DType to = DType::f32;  // convert only
  const void* source[3] = {nullptr, nullptr, nullptr};
  bool uniform[3] = {false, false, false};
  void* out = nullptr;
  std::size_t count = 0;
  double alpha = 0.0, beta = 0.0;  // of hard_sigmoid, clamp
};

using Kernel = void (*)(const Args& args);

}  // namespace intaglio::kernels::elementwise
