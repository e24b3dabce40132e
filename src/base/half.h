// Conversions between f32 and the two 16-bit float formats: round to nearest, ties to even; NaN stays NaN (quiet);
// overflow goes to infinity; f16 subnormals are exact.
#pragma once

#include "base/pod.h"

namespace intaglio {

float to_float(Float16 x);
float to_float(BFloat16 x);
Float16 to_float16(float x);
// Rounds a double once (not through f32), for exact conformance of f64 -> f16 casts.
Float16 to_float16(double x);
BFloat16 to_bfloat16(float x);

}  // namespace intaglio
