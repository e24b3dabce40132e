// Where the threads of a run must wait for each other.
#pragma once

#include <cstddef>
#include <span>

#include "plan/binding.h"

namespace intaglio::plan {

// Sets BoundStep::waits and BoundPlan::barriers from where values live (locations), how large they are (value_bytes, of
// every value) and what the steps' bindings tell of their threads (ops::Binding::touches). Between two barriers no
// thread touches a byte of the arena, of an output or of the shared scratch that another thread writes. Between the
// phases of a step there is always a barrier. A pure function; for one thread it places none.
//
// A step waits if it conflicts with any step since the last barrier. Placing as late as possible is optimal for such
// intervals; what is not known is taken as touched by all. At most kMostPending touches are remembered: a barrier is
// placed rather than more.
void place_barriers(BoundPlan& bound, std::span<const std::size_t> value_bytes);

inline constexpr std::size_t kMostPending = 128;

}  // namespace intaglio::plan
