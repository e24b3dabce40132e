// VEX and EVEX instructions taken apart, as far as the emulated ones need it: opcode maps 0F38, 5 and 6, no immediates.
// Intel SDM, volume 2, chapter 2.
#pragma once

#include <cstdint>

namespace intaglio::emulation {

enum class Prefix : std::uint8_t { none, x66, f3, f2 };  // the order of the field pp

// base + index * scale + disp; an EVEX displacement of one byte counts in units that the instruction defines.
struct MemoryOperand {
  static constexpr int kNone = -1, kRip = 16;
  int base = kNone;   // a register number 0..15, kRip (of the next instruction) or kNone
  int index = kNone;  // a register number 0..15 or kNone
  int scale = 1;
  std::int64_t disp = 0;
  bool disp_in_units = false;
  bool has_sib = false;
};

struct Instruction {
  bool evex = false;
  int map = 0;  // 2: 0F38, 5, 6
  Prefix prefix = Prefix::none;
  bool w = false;
  int length_code = 0;  // VEX.L, EVEX.L'L: 0, 1, 2 for 128, 256, 512 bits; the rounding mode where `b` with registers
  std::uint8_t opcode = 0;
  int reg = 0, vvvv = 0;  // register numbers; vvvv counts from 0 when the field is unused (all ones)
  bool is_memory = false;
  int rm = 0;  // a register number, when not is_memory
  MemoryOperand memory;
  bool b = false, zeroing = false;  // EVEX.b: broadcast, or rounding; EVEX.z
  int mask = 0;                     // EVEX.aaa: k0 means no masking
  int size = 0;                     // bytes of the whole instruction
};

// Decodes the instruction at `code`, reading no byte beyond it. False for what this file does not cover.
bool decode(const std::uint8_t* code, Instruction& out);

}  // namespace intaglio::emulation
