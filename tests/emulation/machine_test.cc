// What machine.h says of each level, held against the CPU: one instruction of the level runs where it says so and ends
// the program elsewhere. So neither the emulator nor qemu (./dev emulate) can stand in for a level unnoticed.
#include "tests/emulation/machine.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "tests/emulation/emulator.h"

namespace intaglio::emulation {
namespace {

struct Probe {
  const char* isa;
  void (*run)();
};

// Written in assembly, so that this file needs no flags of the level. Tiles are released, the others change register 0.
const Probe kProbes[] = {
    {"sse42",
     [] {
       asm volatile("pcmpgtq %%xmm0, %%xmm0" ::: "xmm0");
     }},
    {"avx2",
     [] {
       asm volatile("vpaddd %%ymm0, %%ymm0, %%ymm0" ::: "xmm0");
     }},
    {"avx2",
     [] {
       asm volatile("vfmadd213ps %%ymm0, %%ymm0, %%ymm0" ::: "xmm0");
     }},
    {"avx_vnni",
     [] {
       asm volatile("%{vex%} vpdpbusd %%ymm0, %%ymm0, %%ymm0" ::: "xmm0");
     }},
    {"avx512",
     [] {
       asm volatile("vpxord %%zmm0, %%zmm0, %%zmm0" ::: "xmm0");
     }},
    {"avx512",
     [] {
       asm volatile("vpaddb %%zmm0, %%zmm0, %%zmm0" ::: "xmm0");
     }},
    {"avx512_vnni",
     [] {
       asm volatile("vpdpbusd %%zmm0, %%zmm0, %%zmm0" ::: "xmm0");
     }},
    {"avx512_bf16",
     [] {
       asm volatile("vdpbf16ps %%zmm0, %%zmm0, %%zmm0" ::: "xmm0");
     }},
    {"avx512_fp16",
     [] {
       asm volatile("vaddph %%zmm0, %%zmm0, %%zmm0" ::: "xmm0");
     }},
    {"amx", [] { asm volatile("tilerelease"); }},
};

TEST(Machine, ALevelsInstructionsRunWhereItSaysSo) {
  for (const Probe& probe : kProbes) {
    SCOPED_TRACE(probe.isa);
    const std::uint64_t before = executed();
    if (under_qemu()) {
      ASSERT_NE(runs(probe.isa), Runs::emulated);
    }
    switch (runs(probe.isa)) {
      case Runs::native:
        probe.run();
        EXPECT_EQ(executed(), before);
        break;
      case Runs::emulated:
        probe.run();
        EXPECT_EQ(executed(), before + 1);
        break;
      case Runs::none:
        EXPECT_EXIT(
            {
              probe.run();
              _exit(0);
            },
            testing::KilledBySignal(SIGILL), "");
        break;
    }
  }
}

}  // namespace
}  // namespace intaglio::emulation
