// What CPUID says. Compiled for x86-64-v2 and safe on older machines: XGETBV runs only where CPUID allows it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/isa.h"
#include "cpu/machine.h"

namespace intaglio::cpu {

struct CpuidRegisters {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// CPUID as a function, so that another machine can be described in a test.
using Cpuid = std::function<CpuidRegisters(std::uint32_t leaf, std::uint32_t subleaf)>;

// The CPU's identity and abilities before the operating system's permission for AMX.
struct X86 {
  IsaSet isa{isa_bit(Isa::scalar)};  // with amx if the CPU has it and the OS keeps its state
  bool amx_in_cpu = false;           // tile, int8 and bf16
  bool amx_state_enabled = false;    // XCR0 has the tile state
  bool hypervisor = false;
  std::string vendor, model_name;
  int family = 0, model = 0, stepping = 0;
};

// The levels of base/isa.inc that CPUID and XCR0 allow. xcr0 is 0 if OSXSAVE is not set. Every level comes with all
// that it implies, or not at all.
X86 describe_x86(const Cpuid& cpuid, const std::function<std::uint64_t()>& read_xcr0);

// Caches from CPUID leaf 4 (Intel) or 0x8000001D (AMD); nullopt if neither knows.
std::optional<Caches> caches_from_cpuid(const Cpuid& cpuid);

// This machine's instructions. Empty registers where the leaf does not exist or the architecture is another.
CpuidRegisters this_cpuid(std::uint32_t leaf, std::uint32_t subleaf);
std::uint64_t this_xcr0();

// Asks Linux for the permission to use AMX tiles, for the whole process. `description` is describe_x86's.
Amx request_amx(const X86& description);

}  // namespace intaglio::cpu
