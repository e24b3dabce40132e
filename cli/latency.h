// Figures made of latencies and of outputs.
#pragma once

#include <cstdint>
#include <vector>

#include "cli/report.h"

namespace intaglio::cli {

struct Latency {
  double min = 0, p50 = 0, p90 = 0, p99 = 0, mean = 0;  // milliseconds
};
// p50 is the median (the mean of the middle two), p90 and p99 are values that occurred. Not for no values.
Latency summarise(std::vector<std::int64_t> nanoseconds);
Json latency_json(const Latency& latency);

struct Difference {
  double max_abs = 0, rel_l2 = 0, cosine = 1;
};
// Over all elements of all outputs, in double. Throws Error (requirement) if their number, shapes or dtypes differ, or
// for dtypes other than f32, f64 and integers.
Difference compare(const std::vector<NamedTensor>& ours, const std::vector<NamedTensor>& theirs);

}  // namespace intaglio::cli
