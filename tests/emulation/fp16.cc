// AVX512-FP16, packed and scalar, with masks, broadcast and embedded rounding: VCVTPH2PSX, VCVTPS2PHX, VCVTSH2SS,
// VCVTSS2SH, V{ADD,SUB,MUL,DIV,MIN,MAX,SQRT}{PH,SH}, VF[N]M{ADD,SUB}{132,213,231}{PH,SH}; VMOVW, VMOVSH.
// Half-precision denormals count whatever MXCSR says. Which of several NaNs goes on is not followed to the letter.
#include <immintrin.h>

#include <bit>
#include <cstring>

#include "tests/emulation/families.h"
#include "tests/emulation/memory.h"

namespace intaglio::emulation {
namespace {

constexpr std::uint32_t kFlags = 0x3F, kMaskedNearest = 0x1F80, kInexact = 0x20, kTowardsZero = 0x6000;
constexpr std::uint32_t kRoundingField = 0x6000, kDenormalsAreZeros = 0x40;
constexpr int kRoundingShift = 13;

// Shape of one operation: `lanes` results; a scalar one has a single lane, the rest of its 128 bits is the first
// source's (vvvv).
struct Shape {
  bool scalar = false;
  int lanes = 0;
  std::uint32_t rounding = 0;  // MXCSR's rounding field in effect
  std::uint64_t active = 0;    // lanes under the write mask
};

bool shape_of(const Instruction& x, const Frame& frame, int element_bytes, bool scalar, Shape& shape) {
  const bool rounds = x.b && !x.is_memory;  // then the length field is the rounding mode and the length is 512 bits
  if (!rounds && !scalar && x.length_code > 2) return false;
  if (scalar && x.b && x.is_memory) return false;
  shape.scalar = scalar;
  shape.lanes = scalar ? 1 : (rounds ? 64 : 16 << x.length_code) / element_bytes;
  shape.rounding =
      rounds ? static_cast<std::uint32_t>(x.length_code) << kRoundingShift : frame.mxcsr() & kRoundingField;
  shape.active = ~std::uint64_t{0} >> (64 - shape.lanes);
  if (x.mask != 0) shape.active &= frame.mask(x.mask);
  return true;
}

// The operand of ModRM.rm. Memory of lanes that the mask leaves out is not touched.
Vector source(const Instruction& x, const Frame& frame, const Shape& shape, int bytes) {
  if (!x.is_memory) return frame.vector(x.rm);
  Vector value{};
  const std::uint64_t at = frame.address(x, x.b ? bytes : bytes * shape.lanes);
  for (int i = 0; i < shape.lanes; ++i) {
    if ((shape.active >> i & 1) == 0) continue;
    load(at + static_cast<std::uint64_t>(x.b ? 0 : i * bytes), &value[i * bytes], static_cast<std::size_t>(bytes));
  }
  return value;
}

// Writes the active lanes; the others are zeroed or kept, all beyond the operation's width becomes zero.
void write(const Instruction& x, Frame& frame, const Shape& shape, int bytes, const Vector& result) {
  const Vector old = frame.vector(x.reg);
  const Vector zeros{};
  Vector value{};
  if (shape.scalar) std::memcpy(value.data(), frame.vector(x.vvvv).data(), 16);
  for (int i = 0; i < shape.lanes; ++i) {
    const bool active = (shape.active >> i & 1) != 0;
    const Vector& from = active ? result : x.zeroing ? zeros : old;
    std::memcpy(&value[i * bytes], &from[i * bytes], static_cast<std::size_t>(bytes));
  }
  frame.set_vector(x.reg, value);
}

std::uint16_t half_at(const Vector& v, int lane) {
  std::uint16_t bits;
  std::memcpy(&bits, &v[2 * lane], sizeof(bits));
  return bits;
}

// No analysis across these calls: it could move arithmetic to before MXCSR is set, or after it is read.
[[gnu::target("f16c"), gnu::noipa]] float widen(std::uint16_t half) {
  return _cvtsh_ss(half);
}
[[gnu::target("f16c"), gnu::noipa]] std::uint16_t narrow(float value) {
  return _cvtss_sh(value, _MM_FROUND_CUR_DIRECTION);
}

bool widen_all(const Instruction& x, Frame& frame, bool scalar) {
  Shape shape;
  if ((!scalar && x.vvvv != 0) || !shape_of(x, frame, 4, scalar, shape)) return false;
  const Vector from = source(x, frame, shape, 2);
  Vector result{};
  _mm_setcsr(kMaskedNearest);
  for (int i = 0; i < shape.lanes; ++i) {
    if ((shape.active >> i & 1) == 0) continue;
    const float value = widen(half_at(from, i));
    std::memcpy(&result[4 * i], &value, 4);
  }
  frame.raise_float_flags(_mm_getcsr() & kFlags);
  write(x, frame, shape, 4, result);
  return true;
}

bool narrow_all(const Instruction& x, Frame& frame, bool scalar) {
  Shape shape;
  if ((!scalar && x.vvvv != 0) || !shape_of(x, frame, 4, scalar, shape)) return false;
  const Vector from = source(x, frame, shape, 4);
  Vector result{};
  _mm_setcsr(kMaskedNearest | shape.rounding | (frame.mxcsr() & kDenormalsAreZeros));
  for (int i = 0; i < shape.lanes; ++i) {
    if ((shape.active >> i & 1) == 0) continue;
    float value;
    std::memcpy(&value, &from[4 * i], 4);
    const std::uint16_t half = narrow(value);
    std::memcpy(&result[2 * i], &half, 2);
  }
  frame.raise_float_flags(_mm_getcsr() & kFlags);
  write(x, frame, shape, 2, result);
  return true;
}

// One operation of IEEE halves: computed in float, whose 24 bits are two more than twice the 11 of a half, so that
// rounding once more, to the half, gives what rounding once would.
std::uint16_t arithmetic(std::uint8_t opcode, std::uint16_t a_bits, std::uint16_t b_bits) {
  const float a = widen(a_bits), b = widen(b_bits);
  switch (opcode) {
    case 0x51:
      return narrow(_mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(b))));
    case 0x58:
      return narrow(a + b);
    case 0x59:
      return narrow(a * b);
    case 0x5C:
      return narrow(a - b);
    case 0x5D:
      return a < b ? a_bits : b_bits;
    case 0x5E:
      return narrow(a / b);
    default:  // 5F
      return a > b ? a_bits : b_bits;
  }
}

// a * b + c, rounded once. The product of two halves is exact in double, the sum may not be: then it is truncated and
// its last bit set ("round to odd"), which keeps every later, coarser rounding right; likewise on the way to float.
std::uint16_t fused(float a, float b, float c, std::uint32_t rounding) {
  volatile double x = a, y = b, z = c;
  _mm_setcsr(kMaskedNearest | rounding);
  volatile double sum = x * y + z;
  if ((_mm_getcsr() & kInexact) != 0) {
    _mm_setcsr(kMaskedNearest | kTowardsZero);
    sum = x * y + z;
    sum = std::bit_cast<double>(std::bit_cast<std::uint64_t>(static_cast<double>(sum)) | 1);
  }
  _mm_setcsr(kMaskedNearest | kTowardsZero);
  volatile float single = static_cast<float>(sum);
  if ((_mm_getcsr() & kInexact) != 0) {
    single = std::bit_cast<float>(std::bit_cast<std::uint32_t>(static_cast<float>(single)) | 1);
  }
  _mm_setcsr(kMaskedNearest | rounding);
  return narrow(single);
}

bool arithmetic_all(const Instruction& x, Frame& frame, bool scalar) {
  Shape shape;
  if ((x.opcode == 0x51 && !scalar && x.vvvv != 0) || !shape_of(x, frame, 2, scalar, shape)) return false;
  const Vector a = frame.vector(x.vvvv), b = source(x, frame, shape, 2);
  Vector result{};
  _mm_setcsr(kMaskedNearest | shape.rounding);
  for (int i = 0; i < shape.lanes; ++i) {
    const std::uint16_t half = arithmetic(x.opcode, half_at(a, i), half_at(b, i));
    std::memcpy(&result[2 * i], &half, 2);
  }
  write(x, frame, shape, 2, result);
  return true;
}

bool fused_all(const Instruction& x, Frame& frame, bool scalar) {
  Shape shape;
  if (!shape_of(x, frame, 2, scalar, shape)) return false;
  const Vector one = frame.vector(x.reg), two = frame.vector(x.vvvv), three = source(x, frame, shape, 2);
  const int order = x.opcode >> 4;                  // 9, A, B: 132, 213, 231
  const bool negate_product = (x.opcode & 4) != 0;  // 8 FMADD, A FMSUB, C FNMADD, E FNMSUB
  const bool subtract = (x.opcode & 2) != 0;
  Vector result{};
  for (int i = 0; i < shape.lanes; ++i) {
    const float first = widen(half_at(one, i)), second = widen(half_at(two, i)), third = widen(half_at(three, i));
    const float a = order == 0xB ? second : first;
    const float b = order == 0xA ? second : third;
    const float c = order == 0x9 ? second : order == 0xA ? third : first;
    const std::uint16_t half = fused(negate_product ? -a : a, b, subtract ? -c : c, shape.rounding);
    std::memcpy(&result[2 * i], &half, 2);
  }
  write(x, frame, shape, 2, result);
  return true;
}

// VMOVW between an XMM register's lowest 16 bits and a general register or memory.
bool move_word(const Instruction& x, Frame& frame) {
  if (x.vvvv != 0 || x.mask != 0 || x.length_code != 0 || x.b) return false;
  if (x.opcode == 0x6E) {
    Vector value{};
    if (x.is_memory) {
      load(frame.address(x, 2), value.data(), 2);
    } else {
      const std::uint64_t word = frame.gpr(x.rm & 15);
      std::memcpy(value.data(), &word, 2);
    }
    frame.set_vector(x.reg, value);
    return true;
  }
  const std::uint16_t word = half_at(frame.vector(x.reg), 0);
  if (x.is_memory) {
    store(frame.address(x, 2), &word, 2);
  } else {
    frame.set_gpr(x.rm & 15, word);
  }
  return true;
}

// VMOVSH: one half from memory, or from a register into the rest of another; or to memory.
bool move_half(const Instruction& x, Frame& frame) {
  Shape shape;
  if (!shape_of(x, frame, 2, true, shape) || (x.is_memory && x.vvvv != 0)) return false;
  if (x.opcode == 0x10) {
    shape.scalar = !x.is_memory;  // what comes from memory leaves zeros beside it
    write(x, frame, shape, 2, source(x, frame, shape, 2));
    return true;
  }
  if (!x.is_memory) return false;  // the other encoding of the register form: no assembler chooses it
  if (shape.active != 0) store(frame.address(x, 2), frame.vector(x.reg).data(), 2);
  return true;
}

bool is_arithmetic(std::uint8_t opcode) {
  return opcode == 0x51 || opcode == 0x58 || opcode == 0x59 || (opcode >= 0x5C && opcode <= 0x5F);
}

// Map 6: the second halves of the rows 9, A and B; odd opcodes are scalar.
bool is_fused(std::uint8_t opcode) {
  return opcode >= 0x98 && opcode <= 0xBF && (opcode & 8) != 0;
}

}  // namespace

bool execute_fp16(const Instruction& x, Frame& frame) {
  if (!x.evex || x.map == 2 || !frame.has_vectors()) return false;
  if (x.map == 5 && x.prefix == Prefix::x66 && (x.opcode == 0x6E || x.opcode == 0x7E)) return move_word(x, frame);
  if (x.w) return false;
  if (x.map == 6) {
    if (x.opcode == 0x13 && (x.prefix == Prefix::x66 || x.prefix == Prefix::none)) {
      return widen_all(x, frame, x.prefix == Prefix::none);
    }
    return x.prefix == Prefix::x66 && is_fused(x.opcode) && fused_all(x, frame, (x.opcode & 1) != 0);
  }
  if (x.opcode == 0x1D && (x.prefix == Prefix::x66 || x.prefix == Prefix::none)) {
    return narrow_all(x, frame, x.prefix == Prefix::none);
  }
  if (x.prefix == Prefix::f3 && (x.opcode == 0x10 || x.opcode == 0x11)) return move_half(x, frame);
  const bool scalar = x.prefix == Prefix::f3;
  return (scalar || x.prefix == Prefix::none) && is_arithmetic(x.opcode) && arithmetic_all(x, frame, scalar);
}

}  // namespace intaglio::emulation
