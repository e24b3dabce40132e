#include "plan/barriers.h"

#include <algorithm>
#include <vector>

namespace intaglio::plan {

namespace {

using ops::ByteRange;
using ops::Division;
using ops::Touch;

// A memory that threads share. Inputs and constants are never written, so they are of no concern.
struct Space {
  enum class Kind : std::uint8_t { arena, output, scratch } kind = Kind::arena;
  std::uint32_t index = 0;  // of the output
  friend bool operator==(const Space&, const Space&) = default;
};

// The bytes [begin, end) of a space, divided among the threads.
struct Region {
  Space space;
  std::size_t begin = 0, end = 0;
  bool writes = false;
  const Division* division = nullptr;  // nullptr: any thread may touch any byte

  std::size_t row_bytes() const { return division->pitch != 0 ? division->pitch : end - begin; }
  // One range that contains all that the thread touches, in bytes of the space.
  ByteRange hull(int index, int count) const {
    if (division == nullptr) return {begin, end};
    const ByteRange range = ops::touched(*division, row_bytes(), index, count);
    if (range.empty()) return {};
    const std::size_t last_row = (end - begin - 1) / row_bytes() * row_bytes();
    return {begin + range.begin, std::min(end, begin + last_row + range.end)};
  }
};

void widen(ByteRange& all, const ByteRange& range) {
  if (range.empty()) return;
  all = all.empty() ? range : ByteRange{std::min(all.begin, range.begin), std::max(all.end, range.end)};
}

bool overlap(const ByteRange& a, const ByteRange& b) {
  return !a.empty() && !b.empty() && a.begin < b.end && b.begin < a.end;
}

// Does what a thread touches in a overlap what another one touches in b? range_of(region, thread) is one range for each
// thread, in the order of the threads; so the hull of all lower threads' ranges, and of all higher ones', is exact but
// for gaps.
template <class RangeOf>
bool threads_meet(const Region& a, const Region& b, int count, const RangeOf& range_of) {
  ByteRange lower;
  for (int i = 1; i < count; ++i) {
    widen(lower, range_of(b, i - 1));
    if (overlap(range_of(a, i), lower)) return true;
  }
  ByteRange higher;
  for (int i = count - 1; i > 0; --i) {
    widen(higher, range_of(b, i));
    if (overlap(range_of(a, i - 1), higher)) return true;
  }
  return false;
}

bool conflict(const Region& a, const Region& b, int count) {
  if ((!a.writes && !b.writes) || a.space != b.space || a.begin >= b.end || b.begin >= a.end) return false;
  if (a.division != nullptr && b.division != nullptr) {
    const bool same_place = a.begin == b.begin && a.end == b.end;
    // The same work by the same threads, no item shared.
    if (same_place && *a.division == *b.division && a.division->group == 1) return false;
    if (same_place && a.division->pitch != 0 && a.division->pitch == b.division->pitch) {
      return threads_meet(a, b, count, [count](const Region& region, int thread) {
        return ops::touched(*region.division, region.row_bytes(), thread, count);
      });
    }
  }
  return threads_meet(a, b, count, [count](const Region& region, int thread) { return region.hull(thread, count); });
}

class Placer {
 public:
  Placer(BoundPlan& bound, std::span<const std::size_t> value_bytes) : bound_(bound), bytes_(value_bytes) {}

  void place() {
    bound_.barriers = 0;
    pending_.reserve(kMostPending);
    now_.reserve(16);
    for (std::size_t i = 0; i < bound_.steps.size(); ++i) {
      BoundStep& step = bound_.steps[i];
      const std::size_t end = i + 1 < bound_.steps.size() ? bound_.steps[i + 1].first_input : bound_.arguments.size();
      collect(step, end, 0);
      step.waits = bound_.threads > 1 && (pending_.size() + now_.size() > kMostPending || meets_pending());
      if (step.waits) pending_.clear();
      const int phases = step.binding->phases;
      if (bound_.threads > 1)
        bound_.barriers += (step.waits ? 1 : 0) + static_cast<std::size_t>(std::max(phases, 1) - 1);
      if (phases > 1) {  // the barrier between phases does for all that came before
        pending_.clear();
        collect(step, end, phases - 1);
      }
      pending_.insert(pending_.end(), now_.begin(), now_.end());
    }
  }

 private:
  bool meets_pending() const {
    return std::ranges::any_of(now_, [&](const Region& region) {
      return std::ranges::any_of(pending_,
                                 [&](const Region& earlier) { return conflict(earlier, region, bound_.threads); });
    });
  }

  // What the step touches in one phase: now_.
  void collect(const BoundStep& step, std::size_t end, int phase) {
    now_.clear();
    const std::span<const ValueId> all(bound_.arguments);
    const auto inputs = all.subspan(step.first_input, step.first_output - step.first_input);
    const auto outputs = all.subspan(step.first_output, end - step.first_output);
    const auto scratch = [&](const Touch* touch) {
      if (step.binding->shared_scratch_bytes == 0) return;
      const bool writes = touch == nullptr || touch->writes;
      now_.push_back({{Space::Kind::scratch, 0}, 0, step.binding->shared_scratch_bytes, writes, division_of(touch)});
    };
    if (!step.binding->touches) {
      for (const ValueId id : inputs) add(id, false, nullptr);
      for (const ValueId id : outputs) add(id, true, nullptr);
      return scratch(nullptr);
    }
    for (const Touch& touch : *step.binding->touches) {
      if (touch.phase != phase) continue;
      const auto index = static_cast<std::size_t>(touch.index);
      if (touch.of == Touch::Of::input) add(inputs[index], touch.writes, &touch);
      if (touch.of == Touch::Of::output) add(outputs[index], touch.writes, &touch);
      if (touch.of == Touch::Of::shared_scratch) scratch(&touch);
    }
  }

  static const Division* division_of(const Touch* touch) {
    return touch != nullptr && touch->division ? &*touch->division : nullptr;
  }

  void add(ValueId id, bool writes, const Touch* touch) {
    const Location& location = bound_.locations[id];
    if (bytes_[id] == 0 || location.home == Home::input || location.home == Home::constant) return;
    const bool arena = location.home == Home::arena;
    const Space space{arena ? Space::Kind::arena : Space::Kind::output, arena ? 0 : location.index};
    const std::size_t begin = arena ? location.offset : 0;
    now_.push_back({space, begin, begin + bytes_[id], writes, division_of(touch)});
  }

  BoundPlan& bound_;
  std::span<const std::size_t> bytes_;  // of every value
  std::vector<Region> pending_;         // touched since the last barrier
  std::vector<Region> now_;
};

}  // namespace

void place_barriers(BoundPlan& bound, std::span<const std::size_t> value_bytes) {
  Placer(bound, value_bytes).place();
}

}  // namespace intaglio::plan
