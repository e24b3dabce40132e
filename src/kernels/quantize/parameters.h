// The scale and the zero point that the extremes of a row give: the formulas of RowArgs, once for every level. Scalar
// code without calls, in an anonymous namespace, so that ISA files may include it.
#pragma once

#include "kernels/quantize/quantize.h"

namespace intaglio::kernels::quantize {
namespace {

struct Parameters {
  float scale;
  std::int32_t zero;  // added to the rounded quotient
  std::int32_t nan;   // instead of both, for a NaN
};

inline Parameters parameters_of(const RowArgs& g, float low, float high) {
  if (g.rule == Rule::symmetric) {
    const float most = -low > high ? -low : high;
    float scale = most / g.divisor;
    if (scale < g.least) scale = g.least;
    if (most == 0.0f && g.least == 0.0f) scale = 1.0f;
    const std::int32_t zero = g.plus128 ? 128 : 0;
    return {scale, zero, zero};
  }
  const float scale = low == high ? 1.0f : (high - low) / 255.0f;
  const float quotient = -low / scale;
  // 0 for a NaN. Adding and subtracting 1.5 * 2^23 rounds what is small to integers, ties to even.
  const float held = quotient > 255.0f ? 255.0f : quotient > 0.0f ? quotient : 0.0f;
  return {scale, static_cast<std::int32_t>((held + 12582912.0f) - 12582912.0f), 0};
}

}  // namespace
}  // namespace intaglio::kernels::quantize
