// Decoder and addresses against the assembler: tables of instructions over all registers and kinds of displacement.
#include "tests/emulation/decode.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "tests/emulation/frame.h"

// Every table is walked by a loop nest of the same order. Registers are numbered as the instruction set numbers them.
asm(R"(
.pushsection .rodata
emulation_tile_loads:
.irp base, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
.irp index, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
.irp scale, 1, 2, 4, 8
.irp disp, 0, 0x40, -0x80, 0x12345678, -0x12345678
tileloadd \disp(%\base,%\index,\scale), %tmm5
.endr
.endr
.endr
.endr
emulation_plain_loads:
.irp base, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
.irp disp, 0, 0x40, 0x12345678
ldtilecfg \disp(%\base)
tilestored %tmm7, \disp(%\base)
.ifnc \base, rsp
tileloadd \disp(,%\base,1), %tmm1
.endif
{vex} vpdpbusd \disp(%\base), %ymm9, %ymm14
vcvtph2psx \disp(%\base), %zmm30
vcvtph2psx \disp(%\base){1to16}, %zmm30{%k3}{z}
.endr
.endr
emulation_rip_loads:
{vex} vpdpwssd emulation_rip_loads(%rip), %xmm3, %xmm8
vcvtph2psx emulation_rip_loads(%rip), %zmm17
emulation_vex_registers:
.irp dest, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.irp left, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.irp right, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
{vex} vpdpbusd %ymm\right, %ymm\left, %ymm\dest
.endr
.endr
.endr
emulation_evex_registers:
.irp dest, 0, 7, 8, 15, 16, 23, 24, 31
.irp left, 0, 7, 8, 15, 16, 23, 24, 31
.irp right, 0, 7, 8, 15, 16, 23, 24, 31
.irp mask, 1, 2, 3, 4, 5, 6, 7
vaddph %zmm\right, %zmm\left, %zmm\dest{%k\mask}
.endr
.endr
.endr
.endr
emulation_tiles:
.irp dest, 0, 1, 2, 3, 4, 5, 6, 7
.irp left, 0, 1, 2, 3, 4, 5, 6, 7
.irp right, 0, 1, 2, 3, 4, 5, 6, 7
.ifne \dest-\left
.ifne \dest-\right
.ifne \left-\right
tdpbssd %tmm\right, %tmm\left, %tmm\dest
.endif
.endif
.endif
.endr
.endr
.endr
.popsection
)");
extern "C" [[gnu::visibility("hidden")]] const std::uint8_t emulation_tile_loads[], emulation_plain_loads[],
    emulation_rip_loads[], emulation_vex_registers[], emulation_evex_registers[], emulation_tiles[];

namespace intaglio::emulation {
namespace {

constexpr int kRsp = 4;

struct Registers {
  Registers() : frame(context) {
    for (int i = 0; i < 16; ++i) frame.set_gpr(i, value(i));
  }
  static std::uint64_t value(int number) {
    return 0x1000'0000'0000u + 0x0101'0101'0101u * static_cast<unsigned>(number);
  }

  ucontext_t context = {};
  Frame frame;
};

// Decodes the instruction at `code` and moves on to the next.
Instruction next(const std::uint8_t*& code) {
  Instruction x;
  EXPECT_TRUE(decode(code, x));
  code += x.size;
  return x;
}

TEST(EmulatedDecode, SibMemory) {
  const Registers r;
  const std::uint8_t* code = emulation_tile_loads;
  for (int base = 0; base < 16; ++base) {
    for (int index = 0; index < 16; ++index) {
      if (index == kRsp) continue;
      for (const int scale : {1, 2, 4, 8}) {
        for (const std::int64_t disp : {0l, 0x40l, -0x80l, 0x12345678l, -0x12345678l}) {
          const Instruction x = next(code);
          ASSERT_TRUE(x.is_memory && x.memory.has_sib && x.opcode == 0x4B && x.prefix == Prefix::f2 && x.reg == 5);
          const std::uint64_t start = Registers::value(base) + static_cast<std::uint64_t>(disp);
          ASSERT_EQ(r.frame.base_address(x, 1), start) << base << " " << index << " " << scale << " " << disp;
          ASSERT_EQ(r.frame.address(x, 1), start + Registers::value(index) * static_cast<unsigned>(scale));
        }
      }
    }
  }
  EXPECT_EQ(code, emulation_plain_loads);
}

TEST(EmulatedDecode, MemoryWithoutIndexOrBase) {
  const Registers r;
  const std::uint8_t* code = emulation_plain_loads;
  for (int base = 0; base < 16; ++base) {
    for (const std::uint64_t disp : {0u, 0x40u, 0x12345678u}) {
      const std::uint64_t at = Registers::value(base) + disp;
      Instruction x = next(code);
      ASSERT_EQ(r.frame.address(x, 1), at);
      ASSERT_EQ(x.opcode, 0x49);
      x = next(code);
      ASSERT_EQ(r.frame.address(x, 1), at);
      ASSERT_TRUE(x.opcode == 0x4B && x.prefix == Prefix::f3 && x.reg == 7);
      if (base != kRsp) {  // which cannot be an index
        x = next(code);
        ASSERT_EQ(r.frame.address(x, 1), at);
        ASSERT_EQ(r.frame.base_address(x, 1), disp);
      }
      x = next(code);
      ASSERT_EQ(r.frame.address(x, 1), at);
      ASSERT_TRUE(!x.evex && x.opcode == 0x50 && x.length_code == 1 && x.vvvv == 9 && x.reg == 14);
      x = next(code);
      ASSERT_EQ(r.frame.address(x, 32), at);
      ASSERT_TRUE(x.evex && x.map == 6 && x.opcode == 0x13 && x.reg == 30 && !x.b && x.mask == 0 && x.length_code == 2);
      x = next(code);
      ASSERT_EQ(r.frame.address(x, 2), at);
      ASSERT_TRUE(x.b && x.mask == 3 && x.zeroing && x.reg == 30);
    }
  }
  EXPECT_EQ(code, emulation_rip_loads);
}

TEST(EmulatedDecode, MemoryRelativeToTheInstruction) {
  Registers r;
  const std::uint8_t* code = emulation_rip_loads;
  for (int i = 0; i < 2; ++i) {
    r.frame.set_rip(reinterpret_cast<std::uint64_t>(code));
    const Instruction x = next(code);
    EXPECT_EQ(r.frame.address(x, 32), reinterpret_cast<std::uint64_t>(emulation_rip_loads));
    EXPECT_EQ(x.reg, i == 0 ? 8 : 17);
  }
  EXPECT_EQ(code, emulation_vex_registers);
}

TEST(EmulatedDecode, VexRegisters) {
  const std::uint8_t* code = emulation_vex_registers;
  for (int i = 0; i < 16 * 16 * 16; ++i) {
    const Instruction x = next(code);
    ASSERT_FALSE(x.is_memory || x.evex);
    ASSERT_EQ((x.reg * 16 + x.vvvv) * 16 + x.rm, i);
  }
  EXPECT_EQ(code, emulation_evex_registers);
}

TEST(EmulatedDecode, EvexRegistersAndMasks) {
  constexpr std::array kNumbers = {0, 7, 8, 15, 16, 23, 24, 31};
  const std::uint8_t* code = emulation_evex_registers;
  for (const int dest : kNumbers) {
    for (const int left : kNumbers) {
      for (const int right : kNumbers) {
        for (int mask = 1; mask < 8; ++mask) {
          const Instruction x = next(code);
          ASSERT_TRUE(x.evex && !x.is_memory && x.map == 5 && x.opcode == 0x58 && !x.zeroing);
          ASSERT_EQ((std::array{x.reg, x.vvvv, x.rm, x.mask}), (std::array{dest, left, right, mask}));
        }
      }
    }
  }
  EXPECT_EQ(code, emulation_tiles);
}

TEST(EmulatedDecode, Tiles) {
  const std::uint8_t* code = emulation_tiles;
  for (int dest = 0; dest < 8; ++dest) {
    for (int left = 0; left < 8; ++left) {
      for (int right = 0; right < 8; ++right) {
        if (dest == left || dest == right || left == right) continue;
        const Instruction x = next(code);
        ASSERT_EQ((std::array{x.reg, x.rm, x.vvvv}), (std::array{dest, left, right}));
      }
    }
  }
}

TEST(EmulatedDecode, RefusesWhatIsNotItsOwn) {
  Instruction x;
  const std::uint8_t undefined[] = {0x0F, 0x0B};                 // ud2
  const std::uint8_t two_byte_vex[] = {0xC5, 0xF4, 0x58, 0xC2};  // vaddps %ymm2, %ymm1, %ymm0
  EXPECT_FALSE(decode(undefined, x));
  EXPECT_FALSE(decode(two_byte_vex, x));
}

}  // namespace
}  // namespace intaglio::emulation
