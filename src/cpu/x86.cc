#include "cpu/x86.h"

#include <cerrno>
#include <cstring>
#include <system_error>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace intaglio::cpu {

namespace {

bool bit(std::uint32_t word, int index) {
  return ((word >> index) & 1u) != 0;
}

// XCR0: which register states the operating system saves.
constexpr std::uint64_t kAvxState = 0x6;      // SSE, AVX
constexpr std::uint64_t kAvx512State = 0xe6;  // and opmask, upper halves, ZMM16-31
constexpr std::uint64_t kAmxState = 0x60000;  // tile configuration, tile data

struct Features {
  bool sse42 = false, avx2 = false, avx_vnni = false, avx512 = false, vnni = false, bf16 = false, fp16 = false;
  bool amx = false;
};

Features read_features(const Cpuid& cpuid, std::uint32_t highest) {
  Features has;
  const CpuidRegisters one = cpuid(1, 0);
  // x86-64-v2: SSE3, SSSE3, CX16, SSE4.1, SSE4.2, POPCNT.
  has.sse42 = bit(one.ecx, 0) && bit(one.ecx, 9) && bit(one.ecx, 13) && bit(one.ecx, 19) && bit(one.ecx, 20) &&
              bit(one.ecx, 23);
  if (highest < 7) return has;
  const CpuidRegisters seven = cpuid(7, 0);
  const CpuidRegisters seven1 = seven.eax >= 1 ? cpuid(7, 1) : CpuidRegisters{};
  // AVX, FMA, F16C; BMI1, AVX2, BMI2.
  has.avx2 = bit(one.ecx, 28) && bit(one.ecx, 12) && bit(one.ecx, 29) && bit(seven.ebx, 3) && bit(seven.ebx, 5) &&
             bit(seven.ebx, 8);
  has.avx_vnni = bit(seven1.eax, 4);
  // F, DQ, CD, BW, VL.
  has.avx512 =
      bit(seven.ebx, 16) && bit(seven.ebx, 17) && bit(seven.ebx, 28) && bit(seven.ebx, 30) && bit(seven.ebx, 31);
  has.vnni = bit(seven.ecx, 11) && bit(seven.ecx, 1);  // VNNI, VBMI
  has.bf16 = bit(seven1.eax, 5);
  has.fp16 = bit(seven.edx, 23);
  // Tile, int8, bf16; the kernels for AMX are compiled with AVX512-BF16 too.
  has.amx = bit(seven.edx, 24) && bit(seven.edx, 25) && bit(seven.edx, 22) && has.bf16;
  return has;
}

std::string text_of(std::initializer_list<std::uint32_t> words) {
  std::string text;
  for (const std::uint32_t word : words) {
    char bytes[4];
    std::memcpy(bytes, &word, sizeof bytes);
    text.append(bytes, sizeof bytes);
  }
  text.resize(std::strlen(text.c_str()));
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::string brand_string(const Cpuid& cpuid) {
  if (cpuid(0x80000000u, 0).eax < 0x80000004u) return {};
  const CpuidRegisters a = cpuid(0x80000002u, 0), b = cpuid(0x80000003u, 0), c = cpuid(0x80000004u, 0);
  return text_of({a.eax, a.ebx, a.ecx, a.edx, b.eax, b.ebx, b.ecx, b.edx, c.eax, c.ebx, c.ecx, c.edx});
}

}  // namespace

X86 describe_x86(const Cpuid& cpuid, const std::function<std::uint64_t()>& read_xcr0) {
  X86 cpu;
  const CpuidRegisters zero = cpuid(0, 0);
  if (zero.eax == 0) return cpu;
  cpu.vendor = text_of({zero.ebx, zero.edx, zero.ecx});
  cpu.model_name = brand_string(cpuid);
  const CpuidRegisters one = cpuid(1, 0);
  const int base_family = static_cast<int>((one.eax >> 8) & 15), base_model = static_cast<int>((one.eax >> 4) & 15);
  cpu.stepping = static_cast<int>(one.eax & 15);
  cpu.family = base_family == 15 ? base_family + static_cast<int>((one.eax >> 20) & 255) : base_family;
  const bool extended = base_family == 15 || base_family == 6;
  cpu.model = base_model + (extended ? static_cast<int>((one.eax >> 16) & 15) << 4 : 0);
  cpu.hypervisor = bit(one.ecx, 31);

  const Features has = read_features(cpuid, zero.eax);
  const std::uint64_t xcr0 = bit(one.ecx, 27) ? read_xcr0() : 0;
  const bool avx_state = (xcr0 & kAvxState) == kAvxState, avx512_state = (xcr0 & kAvx512State) == kAvx512State;
  cpu.amx_in_cpu = has.amx;
  cpu.amx_state_enabled = (xcr0 & kAmxState) == kAmxState;
  const struct {
    Isa isa;
    bool present;
  } levels[] = {{Isa::sse42, has.sse42},
                {Isa::avx2, has.avx2 && avx_state},
                {Isa::avx_vnni, has.avx_vnni && avx_state},
                {Isa::avx512, has.avx512 && avx512_state},
                {Isa::avx512_vnni, has.vnni && avx512_state},
                {Isa::avx512_bf16, has.bf16 && avx512_state},
                {Isa::avx512_fp16, has.fp16 && avx512_state},
                {Isa::amx, has.amx && avx512_state && cpu.amx_state_enabled}};
  // In the order of isa.inc, where what is implied comes first.
  for (const auto& level : levels) {
    const IsaSet with{cpu.isa.bits | isa_bit(level.isa)};
    if (level.present && contains(with, closure_of(level.isa))) cpu.isa = with;
  }
  return cpu;
}

std::optional<Caches> caches_from_cpuid(const Cpuid& cpuid) {
  const CpuidRegisters zero = cpuid(0, 0);
  if (zero.eax < 1) return std::nullopt;
  const bool amd = cpuid(0x80000000u, 0).eax >= 0x8000001du && bit(cpuid(0x80000001u, 0).ecx, 22);
  if (!amd && zero.eax < 4) return std::nullopt;
  Caches caches;
  bool found = false;
  for (std::uint32_t i = 0; i < 16; ++i) {
    const CpuidRegisters r = cpuid(amd ? 0x8000001du : 4u, i);
    const std::uint32_t type = r.eax & 31, level = (r.eax >> 5) & 7;
    if (type == 0) break;
    if (type == 2) continue;  // instructions
    const std::size_t line = (r.ebx & 0xfff) + 1, partitions = ((r.ebx >> 12) & 0x3ff) + 1, ways = (r.ebx >> 22) + 1;
    const std::size_t size = line * partitions * ways * (static_cast<std::size_t>(r.ecx) + 1);
    const int sharers = static_cast<int>((r.eax >> 14) & 0xfff) + 1;
    if (level == 1) {
      caches.l1d = size;
      caches.line = line;
      found = true;
    } else if (level == 2) {
      caches.l2 = size;
      caches.l2_sharers = sharers;
    } else if (level == 3) {
      caches.l3 = size;
      caches.l3_sharers = sharers;
    }
  }
  if (!found) return std::nullopt;
  caches.source = "cpuid";
  return caches;
}

#if defined(__x86_64__)

CpuidRegisters this_cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  if (__get_cpuid_max(leaf & 0x80000000u, nullptr) < leaf) return {};
  CpuidRegisters r;
  __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
  return r;
}

std::uint64_t this_xcr0() {
  std::uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

Amx request_amx(const X86& description) {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  if (!description.amx_in_cpu) return {false, "the CPU has no AMX"};
  if (!description.amx_state_enabled) return {false, "the operating system does not keep the AMX state"};
  if (!contains(description.isa, Isa::amx)) return {false, "the CPU lacks AVX-512 features that AMX kernels need"};
  if (syscall(SYS_arch_prctl, kRequestPermission, kTileData) != 0) {
    return {false, "the kernel refused the permission for AMX tiles: " + std::generic_category().message(errno)};
  }
  return {true, "the kernel granted the permission for AMX tiles"};
}

#else

CpuidRegisters this_cpuid(std::uint32_t, std::uint32_t) {
  return {};
}
std::uint64_t this_xcr0() {
  return 0;
}
Amx request_amx(const X86&) {
  return {false, "the CPU is not of the x86-64 architecture"};
}

#endif

}  // namespace intaglio::cpu
