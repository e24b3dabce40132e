// How many threads a run gets.
#pragma once

#include <optional>
#include <string>

#include "base/env.h"
#include "cpu/machine.h"

namespace intaglio::threads {

struct ThreadCount {
  int count = 1;
  std::string reason;  // "2 physical cores", "4 requested, cut to the 2 CPUs of the affinity mask": for `doctor`
};

// Without a wish: the physical cores in the affinity mask. A wish (`requested`, else INTAGLIO_THREADS) may go up to the
// logical CPUs in the mask. Both are cut to the whole CPUs of the cgroup's quota, as a throttled thread would hold up
// the others at every barrier. At least 1.
ThreadCount threads_for(const cpu::Machine& machine, const EnvOptions& env, std::optional<int> requested);

}  // namespace intaglio::threads
