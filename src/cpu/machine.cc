#include "cpu/machine.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <set>
#include <thread>
#include <utility>

#include "cpu/system_text.h"
#include "cpu/x86.h"

namespace intaglio::cpu {

namespace {

// The affinity mask may be larger than cpu_set_t; the call fails with EINVAL until the buffer is large enough.
std::vector<int> read_affinity() {
  for (int capacity = 1024; capacity <= 65536; capacity *= 2) {
    cpu_set_t* const set = CPU_ALLOC(static_cast<std::size_t>(capacity));
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(capacity));
    std::vector<int> cpus;
    if (sched_getaffinity(0, bytes, set) == 0) {
      for (int cpu = 0; cpu < capacity; ++cpu) {
        if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bytes, set)) cpus.push_back(cpu);
      }
    }
    CPU_FREE(set);
    if (!cpus.empty()) return cpus;
  }
  return {};
}

int count_physical_cores(const std::vector<int>& cpus, const ReadText& read, std::vector<std::string>& notes) {
  std::set<std::pair<std::int64_t, std::int64_t>> cores;
  for (const int cpu : cpus) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu{}/topology/", cpu);
    const auto package = read(folder + "physical_package_id"), core = read(folder + "core_id");
    const auto package_id = package ? parse_number(*package) : std::nullopt;
    const auto core_id = core ? parse_number(*core) : std::nullopt;
    if (!package_id || !core_id) {
      notes.push_back("the topology of the CPUs is unknown: every logical CPU is taken for a core");
      return static_cast<int>(cpus.size());
    }
    cores.emplace(*package_id, *core_id);
  }
  return std::max(1, static_cast<int>(cores.size()));
}

std::optional<Caches> caches_from_sysfs(int cpu, const ReadText& read) {
  Caches caches;
  bool l1 = false, l2 = false;
  for (int index = 0; index < 16; ++index) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu{}/cache/index{}/", cpu, index);
    const auto level_text = read(folder + "level"), type = read(folder + "type"), size_text = read(folder + "size");
    if (!level_text || !type || !size_text) break;
    if (type->starts_with("Instruction")) continue;
    const auto level = parse_number(*level_text);
    const auto size = parse_size(*size_text);
    if (!level || !size || *size == 0) continue;
    const auto shared = read(folder + "shared_cpu_list");
    const auto sharers_list = shared ? parse_cpu_list(*shared) : std::nullopt;
    const int sharers = sharers_list && !sharers_list->empty() ? static_cast<int>(sharers_list->size()) : 1;
    if (*level == 1) {
      caches.l1d = *size;
      l1 = true;
      const auto line = read(folder + "coherency_line_size");
      const auto bytes = line ? parse_number(*line) : std::nullopt;
      if (bytes && *bytes > 0) caches.line = static_cast<std::size_t>(*bytes);
    } else if (*level == 2) {
      caches.l2 = *size;
      caches.l2_sharers = sharers;
      l2 = true;
    } else if (*level == 3) {
      caches.l3 = *size;
      caches.l3_sharers = sharers;
    }
  }
  if (!l1 || !l2) return std::nullopt;
  caches.source = "sysfs";
  return caches;
}

Machine look() {
  Machine machine;
  const X86 x86 = describe_x86(this_cpuid, this_xcr0);
  machine.vendor = x86.vendor;
  machine.model_name = x86.model_name.empty() ? std::string("unknown CPU") : x86.model_name;
  machine.family = x86.family;
  machine.model = x86.model;
  machine.stepping = x86.stepping;
  machine.hypervisor = x86.hypervisor;
  machine.amx = request_amx(x86);
  machine.isa = x86.isa;
  if (!machine.amx.usable) machine.isa.bits &= ~isa_bit(Isa::amx);

  machine.allowed_cpus = read_affinity();
  if (machine.allowed_cpus.empty()) {
    machine.notes.push_back("the affinity mask cannot be read: all CPUs that the C++ library reports are assumed");
    const int count = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    for (int cpu = 0; cpu < count; ++cpu) machine.allowed_cpus.push_back(cpu);
  }
  machine.physical_cores = count_physical_cores(machine.allowed_cpus, read_text, machine.notes);

  if (auto caches = caches_from_sysfs(machine.allowed_cpus.front(), read_text)) {
    machine.caches = std::move(*caches);
  } else if (auto from_cpuid = caches_from_cpuid(this_cpuid)) {
    machine.caches = std::move(*from_cpuid);
  } else {
    machine.notes.push_back("the cache sizes are unknown: 32 KiB of L1d, 512 KiB of L2 and no L3 are assumed");
  }

  if (auto quota = find_cpu_quota(read_text)) {
    machine.cpu_quota = quota->cpus;
    machine.cpu_quota_source = std::move(quota->source);
  }
  machine.memory_limit = find_memory_limit(read_text);
  const auto meminfo = read_text("/proc/meminfo");
  if (const auto total = meminfo ? parse_meminfo(*meminfo, "MemTotal") : std::nullopt) {
    machine.memory_bytes = *total;
  } else {
    machine.notes.push_back("the size of the memory is unknown");
  }
  return machine;
}

std::string bytes_text(std::size_t bytes) {
  if (bytes != 0 && bytes % (1 << 20) == 0) return fmt::format("{} MiB", bytes >> 20);
  return fmt::format("{} KiB", bytes >> 10);
}

}  // namespace

const Machine& detect() {
  // Never destroyed: threads may still ask while the process ends.
  static const Machine* const machine = new Machine(look());
  return *machine;
}

IsaSet usable_isa(const Machine& machine, std::optional<Isa> cap) {
  return cap ? intersect(machine.isa, closure_of(*cap)) : machine.isa;
}

std::string summary(const Machine& machine) {
  std::string text =
      fmt::format("{}, {} core{}", machine.model_name, machine.physical_cores, machine.physical_cores == 1 ? "" : "s");
  if (machine.logical_cores() != machine.physical_cores) text += fmt::format(" ({} threads)", machine.logical_cores());
  if (machine.cpu_quota) text += fmt::format(", quota of {:.2f} CPUs", *machine.cpu_quota);
  text += fmt::format(", {} L1d, {} L2", bytes_text(machine.caches.l1d), bytes_text(machine.caches.l2));
  if (machine.caches.l3 != 0) text += fmt::format(", {} L3", bytes_text(machine.caches.l3));
  return text + ", " + to_string(machine.isa);
}

}  // namespace intaglio::cpu
