// The bytes of one element of any dtype.
#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace intaglio::ops {

// `value` converted to `dtype` by the rules of a cast (saturating; NaN to an integer is 0); in the low bytes.
std::uint64_t element_bits(double value, DType dtype);

}  // namespace intaglio::ops
