// Broadcast operands as the fewest nested loops: dims of 1 dropped, dims along which every operand walks on evenly
// merged.
#pragma once

#include <span>
#include <vector>

#include "base/shape.h"

namespace intaglio::ops {

struct BroadcastLoops {
  std::vector<std::int64_t> dims;                  // outermost first; at least one
  std::vector<std::vector<std::int64_t>> strides;  // [operand][dim] in elements; 0 where the operand is repeated
  std::int64_t total = 1;                          // the product of dims
  std::int64_t inner() const { return dims.back(); }
};

// Error (usage): an operand does not broadcast to `out`. Innermost strides are 0 or 1.
Result<BroadcastLoops> broadcast_loops(std::span<const std::int64_t> out, std::span<const Shape> operands);

}  // namespace intaglio::ops
