// The loops under the family "reduce".
#pragma once

#include <array>
#include <cstdint>

#include "base/pod.h"
#include "base/shape.h"
#include "ops/reduce.h"

namespace intaglio::ops {

// An operand seen as kept dims x reduced dims, each with strides in elements of x.
struct ReduceLoops {
  ReduceKind kind = ReduceKind::sum;
  DType dtype = DType::f32;
  bool take_last = false, smallest = false, exclusive = false, reverse = false;
  int kept_rank = 0, reduced_rank = 0;
  std::array<std::int64_t, kMaxRank> kept_dims{}, kept_strides{}, reduced_dims{}, reduced_strides{};
  std::int64_t kept = 1, reduced = 1;  // products
};

// Computes kept positions [begin, end) of the output. cumsum writes a whole line of `reduced` elements for each.
void run_reduce(const ReduceLoops& loops, const void* input, void* output, std::int64_t begin,
                std::int64_t end) noexcept;

}  // namespace intaglio::ops
