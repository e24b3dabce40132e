// What the machine is, as a value. Everything that depends on the machine takes a Machine or an IsaSet as an argument,
// so that a test can ask what another machine would get. Choosing kernels is not done here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/isa.h"

namespace intaglio::cpu {

// Data caches as one allowed core sees them. Sizes in bytes, of one instance; 0 where a level is absent (l3).
struct Caches {
  std::size_t l1d = 32 << 10;
  std::size_t l2 = 512 << 10;
  std::size_t l3 = 0;
  std::size_t line = 64;
  int l2_sharers = 1;  // logical CPUs that share one instance, in the whole machine
  int l3_sharers = 1;
  std::string source = "default";  // "sysfs", "cpuid" or "default"
};

struct Amx {
  bool usable = false;  // the CPU has it, the OS keeps its state and this process has the permission
  std::string reason;   // why, in one sentence, for `doctor`
};

struct Machine {
  IsaSet isa{isa_bit(Isa::scalar)};  // what this process may execute, AMX included only with the permission
  std::string vendor;                // "GenuineIntel", "AuthenticAMD"
  std::string model_name;            // the brand string of the CPU
  int family = 0, model = 0, stepping = 0;
  Caches caches;
  std::vector<int> allowed_cpus;    // logical CPUs in the affinity mask of the process when it was looked at, sorted
  int physical_cores = 1;           // distinct cores among them
  std::optional<double> cpu_quota;  // CPUs that the cgroup allows (1.5 = one and a half), nullopt: no limit
  std::string cpu_quota_source;     // the file that said so
  std::uint64_t memory_bytes = 0;   // physical memory; 0: unknown
  std::optional<std::uint64_t> memory_limit;  // of the cgroup, bytes
  bool hypervisor = false;
  Amx amx;
  std::vector<std::string> notes;  // what could not be found out and what was assumed instead

  int logical_cores() const { return allowed_cpus.empty() ? 1 : static_cast<int>(allowed_cpus.size()); }
};

// This machine: looked at once per process (the AMX permission is requested then), later calls return the same value.
// Thread-safe. Never fails: what is unknown gets a default and a note.
const Machine& detect();

// What may be used: the machine's set, cut down to closure_of(cap) if there is a cap (INTAGLIO_MAX_ISA). A cap only
// removes: capping at avx_vnni on a machine without it leaves what avx_vnni implies and the machine has.
IsaSet usable_isa(const Machine& machine, std::optional<Isa> cap);

// One line for reports: "AMD EPYC, 2 cores, 32 KiB L1d, 1 MiB L2, 32 MiB L3, scalar sse42 avx2".
std::string summary(const Machine& machine);

}  // namespace intaglio::cpu
