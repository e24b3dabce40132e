// The machine and how this process would use it.
#include "api/rooms.h"

#include <fmt/core.h>
#include <hwloc.h>
#include <spdlog/version.h>
#include <xxhash.h>

#include <algorithm>
#include <chrono>

#include "api/measure.h"
#include "intaglio/version.h"

namespace intaglio {
inline namespace v1 {

namespace {

std::vector<std::string> isa_names(IsaSet set) {
  std::vector<std::string> names;
#define INTAGLIO_ISA(token, what, implied) \
  if (contains(set, Isa::token)) names.emplace_back(#token);
#include "base/isa.inc"
#undef INTAGLIO_ISA
  return names;
}

void describe_machine(const cpu::Machine& machine, Diagnosis& out) {
  out.cpu = machine.model_name;
  out.vendor = machine.vendor;
  out.family = machine.family;
  out.model = machine.model;
  out.stepping = machine.stepping;
  out.hypervisor = machine.hypervisor;
  out.isa_detected = isa_names(machine.isa);
  out.amx_usable = machine.amx.usable;
  out.amx_reason = machine.amx.reason;
  out.l1d_bytes = machine.caches.l1d;
  out.l2_bytes = machine.caches.l2;
  out.l3_bytes = machine.caches.l3;
  out.cache_source = machine.caches.source;
  out.logical_cores = machine.logical_cores();
  out.physical_cores = machine.physical_cores;
  out.cgroup_cpus = machine.cpu_quota;
  out.cgroup_source = machine.cpu_quota_source;
  out.memory_bytes = machine.memory_bytes;
  out.memory_limit_bytes = machine.memory_limit;
  out.notes = machine.notes;
}

std::vector<DoctorLibrary> libraries() {
  return {
      {"intaglio", v1::version()},
      {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
      {"spdlog", fmt::format("{}.{}.{}", SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH)},
      {"hwloc", fmt::format("{}.{}.{}", hwloc_get_api_version() >> 16, hwloc_get_api_version() >> 8 & 0xff,
                            hwloc_get_api_version() & 0xff)},
      {"xxhash", fmt::format("{}.{}.{}", XXH_versionNumber() / 10000, XXH_versionNumber() / 100 % 100,
                             XXH_versionNumber() % 100)},
  };
}

}  // namespace

Diagnosis diagnose(bool measure) {
  Diagnosis out;
  const EnvOptions environment = internal::unwrap(read_environment());
  const cpu::Machine& machine = cpu::detect();
  describe_machine(machine, out);
  const IsaSet usable = cpu::usable_isa(machine, environment.max_isa);
  out.isa = isa_names(usable);
  const threads::ThreadCount count = threads::threads_for(machine, environment, std::nullopt);
  out.intra_op = count.count;
  out.threads_reason = count.reason;
  out.backend = internal::unwrap(threads::shared_pool(threads::PoolOptions{.threads = count.count}))->description();
  for (const auto& variable : environment_report())
    out.variables.push_back({variable.name, variable.value, variable.meaning, variable.set});
  out.libraries = libraries();
  if (measure) {
    out.measured = internal::as_measurements(
        internal::measure_rates(usable, machine.caches.l1d, machine.caches.l2, machine.caches.l3));
  }
  return out;
}

std::string version() {
  return INTAGLIO_VERSION;
}

std::optional<std::string> suggest(const std::string& text, const std::vector<std::string>& candidates) {
  return did_you_mean(text, candidates);
}

}  // namespace v1
}  // namespace intaglio
