// Static shares of work.
#pragma once

#include <algorithm>
#include <cstdint>

namespace intaglio::threads {

struct Span {
  std::int64_t begin = 0, end = 0;  // half-open; empty if begin == end
  std::int64_t size() const { return end - begin; }
  friend bool operator==(const Span&, const Span&) = default;
};

// The share of thread `index` of `count` in n items that come in grains of `grain` (the last one may be short): shares
// are contiguous, in order, cover [0, n) and differ by at most one grain. Cannot overflow.
// Preconditions: n >= 0, grain >= 1, 0 <= index < count.
constexpr Span partition(std::int64_t n, std::int64_t grain, int index, int count) {
  const std::int64_t grains = n / grain + (n % grain != 0 ? 1 : 0);
  const std::int64_t each = grains / count, extra = grains % count;
  // The first `extra` threads have one grain more.
  const auto start = [&](std::int64_t i) {
    const std::int64_t first = i * each + std::min(i, extra);
    return first >= grains ? n : first * grain;
  };
  return {start(index), start(index + 1)};
}

}  // namespace intaglio::threads
