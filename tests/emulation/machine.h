// What runs an ISA level's instructions on this machine: the CPU, the emulator of this folder, or nothing. An
// independent look at the CPU for tests and benchmarks (the product detects in src/cpu/). Header only, so that a
// program that does not link the emulator can ask as well; for it the answer is native or none.
#pragma once

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace intaglio::emulation {

enum class Runs { none, native, emulated };

inline std::string_view to_string(Runs runs) {
  return runs == Runs::native ? "native" : runs == Runs::emulated ? "emulated" : "none";
}

// The stage `./dev emulate` runs test programs on qemu's model of an older CPU and says so by TESTS_UNDER_QEMU=1. There
// an instruction that the CPU lacks must end the program, so install() does nothing; tests take a sample, for qemu is
// slow, and guard pages may be read (gemm_test_util.h says why).
inline bool under_qemu() {
  const char* value = std::getenv("TESTS_UNDER_QEMU");
  return value != nullptr && std::string_view(value) == "1";
}

namespace detail {

inline std::atomic<bool> installed{false};  // set by install()

struct Leaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

inline Leaf cpuid(unsigned leaf, unsigned subleaf) {
  Leaf r;
  if (__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) return {};
  return r;
}

constexpr bool bit(unsigned word, unsigned at) {
  return (word >> at & 1u) != 0;
}

// Which register states the operating system keeps (XCR0); 0 without XSAVE.
inline std::uint64_t kept_states() {
  if (!bit(cpuid(1, 0).ecx, 27)) return 0;
  std::uint32_t low = 0, high = 0;
  asm("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

// The kernel grants the 8 KiB of tile state on request only, once for the process.
inline bool request_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

inline bool cpu_has(std::string_view isa) {
  const Leaf one = cpuid(1, 0), seven = cpuid(7, 0);
  const Leaf seven_one = seven.eax >= 1 ? cpuid(7, 1) : Leaf{};
  const std::uint64_t states = kept_states();
  const auto kept = [states](std::uint64_t mask) { return (states & mask) == mask; };
  // FMA, F16C; BMI1, AVX2, BMI2; the state of XMM and YMM.
  const bool avx2 =
      bit(one.ecx, 12) && bit(one.ecx, 29) && bit(seven.ebx, 3) && bit(seven.ebx, 5) && bit(seven.ebx, 8) && kept(0x6);
  // F, DQ, CD, BW, VL; the states of the mask registers and of ZMM.
  const bool avx512 = avx2 && bit(seven.ebx, 16) && bit(seven.ebx, 17) && bit(seven.ebx, 28) && bit(seven.ebx, 30) &&
                      bit(seven.ebx, 31) && kept(0xE6);
  const bool vnni = avx512 && bit(seven.ecx, 11) && bit(seven.ecx, 1);  // VNNI, VBMI
  const bool bf16 = avx512 && bit(seven_one.eax, 5);
  if (isa == "scalar") return true;
  if (isa == "sse42") return bit(one.ecx, 20) && bit(one.ecx, 23);  // SSE4.2, POPCNT
  if (isa == "avx2") return avx2;
  if (isa == "avx_vnni") return avx2 && bit(seven_one.eax, 4);
  if (isa == "avx512") return avx512;
  if (isa == "avx512_vnni") return vnni;
  if (isa == "avx512_bf16") return bf16;
  if (isa == "avx512_fp16") return avx512 && bit(seven.edx, 23);
  // Tiles, int8, bf16; the kernels for AMX are compiled with AVX512-VNNI and AVX512-BF16 too.
  if (isa != "amx") return false;
  return vnni && bf16 && bit(seven.edx, 22) && bit(seven.edx, 24) && bit(seven.edx, 25) && kept(0x60000) &&
         request_tiles();
}

}  // namespace detail

// What install() can stand in for on this CPU: the level's own instructions are emulated, those of the levels it
// builds on must be there. False where the CPU has the level.
inline bool emulates(std::string_view isa) {
  if (detail::cpu_has(isa)) return false;
  if (isa == "avx_vnni") return detail::cpu_has("avx2");
  if (isa == "avx512_fp16") return detail::cpu_has("avx512");
  return isa == "amx" && detail::cpu_has("avx512_vnni") && detail::cpu_has("avx512_bf16");
}

// What would run the kernels of a level now. `isa` is a token of src/base/isa.inc; `none` for others.
inline Runs runs(std::string_view isa) {
  if (detail::cpu_has(isa)) return Runs::native;
  return detail::installed.load() && emulates(isa) ? Runs::emulated : Runs::none;
}

}  // namespace intaglio::emulation
