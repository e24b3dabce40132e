#include "threads/count.h"

#include <fmt/format.h>

#include <algorithm>

namespace intaglio::threads {

ThreadCount threads_for(const cpu::Machine& machine, const EnvOptions& env, std::optional<int> requested) {
  ThreadCount result;
  const std::optional<int> wish = requested ? requested : env.threads;
  if (wish) {
    result.count = std::max(1, *wish);
    result.reason = fmt::format("{} requested{}", *wish, requested ? "" : " by INTAGLIO_THREADS");
    if (*wish < 1) result.reason += ", raised to 1";
    if (result.count > machine.logical_cores()) {
      result.count = machine.logical_cores();
      result.reason += fmt::format(", cut to the {} CPUs of the affinity mask", result.count);
    }
  } else {
    result.count = std::max(1, machine.physical_cores);
    result.reason = fmt::format("{} physical core{}", result.count, result.count == 1 ? "" : "s");
  }
  if (machine.cpu_quota && *machine.cpu_quota < result.count) {
    result.count = std::max(1, static_cast<int>(*machine.cpu_quota));
    result.reason += fmt::format(", cut to {} by the quota of {:.2f} CPUs in {}", result.count, *machine.cpu_quota,
                                 machine.cpu_quota_source);
  }
  return result;
}

}  // namespace intaglio::threads
