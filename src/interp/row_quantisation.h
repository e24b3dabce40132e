// Dynamic quantisation of one row (or one tensor), by the formulas of ir/ops.inc. Private to interp/.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

namespace intaglio::interp {

// symmetric: scale = max|x| / 127, 1 if all are 0 (any serves; 1 as ONNX Runtime has it); i8. Otherwise ONNX
// DynamicQuantizeLinear; u8. A NaN is stored as 0, in u8 too, and counts as 0 in the extremes.
template <class C>
struct RowQuantisation {
  C scale = C(1);
  std::int64_t zero = 0;
  bool symmetric = true;

  RowQuantisation(std::span<const C> x, bool is_symmetric) : symmetric(is_symmetric) {
    C low = 0, high = 0;
    for (const C value : x) {
      low = value < low ? value : low;
      high = value > high ? value : high;
    }
    if (low == C(0) && high == C(0)) return;
    scale = symmetric ? std::max(-low, high) / C(127) : (high - low) / C(255);
    if (!symmetric) zero = saturated(-low / scale, 0);
  }

  // As stored: i8 if symmetric, else u8.
  std::int64_t quantised(C value) const { return saturated(value / scale, zero); }

 private:
  std::int64_t saturated(C scaled, std::int64_t offset) const {
    const double value = static_cast<double>(std::nearbyint(scaled)) + static_cast<double>(offset);
    const double least = symmetric ? -128 : 0, most = symmetric ? 127 : 255;
    if (value != value) return 0;
    return static_cast<std::int64_t>(std::clamp(value, least, most));
  }
};

}  // namespace intaglio::interp
