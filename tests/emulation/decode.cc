#include "tests/emulation/decode.h"

#include <cstring>

namespace intaglio::emulation {
namespace {

constexpr bool bit(unsigned value, unsigned at) {
  return (value >> at & 1u) != 0;
}

// The bits that extend the register fields of ModRM, SIB and vvvv, already the right way round.
struct Extension {
  int reg = 0, rm = 0, index = 0;
};

bool decode_vex(const std::uint8_t*& p, Instruction& out, Extension& ext) {
  const unsigned first = *p++, second = *p++;  // the two-byte form is of map 0F, which holds nothing emulated
  ext.reg = bit(first, 7) ? 0 : 8;
  ext.index = bit(first, 6) ? 0 : 8;
  ext.rm = bit(first, 5) ? 0 : 8;
  out.map = static_cast<int>(first & 31);
  out.w = bit(second, 7);
  out.vvvv = static_cast<int>(~second >> 3 & 15);
  out.length_code = bit(second, 2) ? 1 : 0;
  out.prefix = static_cast<Prefix>(second & 3);
  return out.map == 2;
}

bool decode_evex(const std::uint8_t*& p, Instruction& out, Extension& ext) {
  const unsigned p0 = *p++, p1 = *p++, p2 = *p++;
  out.evex = true;
  ext.reg = (bit(p0, 7) ? 0 : 8) + (bit(p0, 4) ? 0 : 16);
  ext.index = bit(p0, 6) ? 0 : 8;
  ext.rm = bit(p0, 5) ? 0 : 8;
  out.map = static_cast<int>(p0 & 7);
  out.w = bit(p1, 7);
  out.vvvv = static_cast<int>((~p1 >> 3 & 15) + (bit(p2, 3) ? 0 : 16));
  out.prefix = static_cast<Prefix>(p1 & 3);
  out.zeroing = bit(p2, 7);
  out.length_code = static_cast<int>(p2 >> 5 & 3);
  out.b = bit(p2, 4);
  out.mask = static_cast<int>(p2 & 7);
  return !bit(p0, 3) && bit(p1, 2) && (out.map == 2 || out.map == 5 || out.map == 6);
}

void decode_memory(const std::uint8_t*& p, unsigned modrm, const Extension& ext, Instruction& out) {
  MemoryOperand& m = out.memory;
  const unsigned mod = modrm >> 6;
  unsigned low = modrm & 7;
  bool wide_disp = mod == 2;
  if (low == 4) {
    const unsigned sib = *p++;
    m.has_sib = true;
    m.scale = 1 << (sib >> 6);
    const int index = static_cast<int>(sib >> 3 & 7) + ext.index;
    m.index = index == 4 ? MemoryOperand::kNone : index;
    low = sib & 7;
    m.base = static_cast<int>(low) + ext.rm;
    if (low == 5 && mod == 0) {
      m.base = MemoryOperand::kNone;
      wide_disp = true;
    }
  } else if (low == 5 && mod == 0) {
    m.base = MemoryOperand::kRip;
    wide_disp = true;
  } else {
    m.base = static_cast<int>(low) + ext.rm;
  }
  if (wide_disp) {
    std::int32_t disp = 0;
    std::memcpy(&disp, p, sizeof(disp));
    p += sizeof(disp);
    m.disp = disp;
  } else if (mod == 1) {
    m.disp = static_cast<std::int8_t>(*p++);
    m.disp_in_units = out.evex;
  }
}

}  // namespace

bool decode(const std::uint8_t* code, Instruction& out) {
  out = Instruction{};
  const std::uint8_t* p = code;
  Extension ext;
  const unsigned escape = *p++;
  if (escape == 0xC4) {
    if (!decode_vex(p, out, ext)) return false;
  } else if (escape == 0x62) {
    if (!decode_evex(p, out, ext)) return false;
  } else {
    return false;
  }
  out.opcode = *p++;
  const unsigned modrm = *p++;
  out.reg = static_cast<int>(modrm >> 3 & 7) + ext.reg;
  out.is_memory = modrm >> 6 != 3;
  if (out.is_memory) {
    decode_memory(p, modrm, ext, out);
  } else {
    out.rm = static_cast<int>(modrm & 7) + ext.rm + (out.evex ? ext.index * 2 : 0);
  }
  out.size = static_cast<int>(p - code);
  return true;
}

}  // namespace intaglio::emulation
