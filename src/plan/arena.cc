#include "plan/arena.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "base/alloc.h"

namespace intaglio::plan {

namespace {

constexpr std::size_t round_up(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Can all buffers exist side by side in a signed 64-bit address space? If so, nothing below can overflow.
bool adds_up(std::span<const Lifetime> lifetimes) {
  std::size_t left = static_cast<std::size_t>(INT64_MAX);
  for (const Lifetime& lifetime : lifetimes) {
    if (lifetime.bytes > left || round_up(lifetime.bytes) > left) return false;
    left -= round_up(lifetime.bytes);
  }
  return true;
}

bool overlap(const Lifetime& a, const Lifetime& b) {
  return a.first <= b.last && b.first <= a.last;
}

std::size_t peak_of(std::span<const Lifetime> lifetimes) {
  // Sweep over the steps at which something begins or ends.
  std::vector<std::pair<int, std::int64_t>> events;
  for (const Lifetime& lifetime : lifetimes) {
    const auto bytes = static_cast<std::int64_t>(round_up(lifetime.bytes));
    events.emplace_back(2 * lifetime.first, bytes);
    events.emplace_back(2 * lifetime.last + 1, -bytes);
  }
  std::sort(events.begin(), events.end());
  std::int64_t live = 0;
  std::int64_t peak = 0;
  for (const auto& [time, delta] : events) {
    live += delta;
    peak = std::max(peak, live);
  }
  return static_cast<std::size_t>(peak);
}

}  // namespace

ArenaLayout lay_out(std::span<const Lifetime> lifetimes) {
  ArenaLayout layout;
  layout.offsets.assign(lifetimes.size(), 0);
  if (!adds_up(lifetimes)) {
    layout.bytes = layout.peak_live = kUnlayable;
    return layout;
  }
  layout.peak_live = peak_of(lifetimes);
  std::vector<std::size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });
  std::vector<std::size_t> placed;  // sorted by offset
  for (std::size_t index : order) {
    const std::size_t bytes = round_up(lifetimes[index].bytes);
    std::size_t offset = 0;
    for (std::size_t other : placed) {
      if (!overlap(lifetimes[index], lifetimes[other])) continue;
      if (layout.offsets[other] >= offset + bytes) break;  // fits into the gap before `other`
      offset = std::max(offset, layout.offsets[other] + round_up(lifetimes[other].bytes));
    }
    layout.offsets[index] = offset;
    layout.bytes = std::max(layout.bytes, offset + bytes);
    const auto position = std::lower_bound(placed.begin(), placed.end(), index, [&](std::size_t a, std::size_t b) {
      return layout.offsets[a] < layout.offsets[b];
    });
    placed.insert(position, index);
  }
  return layout;
}

}  // namespace intaglio::plan
