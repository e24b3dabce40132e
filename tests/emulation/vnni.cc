// AVX-VNNI: VPDPBUSD, VPDPBUSDS, VPDPWSSD, VPDPWSSDS in their VEX form, on 4 or 8 sums of 32 bits.
#include <cstring>
#include <limits>

#include "tests/emulation/families.h"
#include "tests/emulation/memory.h"

namespace intaglio::emulation {
namespace {

template <class A, class B>
std::int64_t dot(const std::uint8_t* a, const std::uint8_t* b) {
  constexpr int kCount = 4 / sizeof(A);
  A left[kCount];
  B right[kCount];
  std::memcpy(left, a, 4);
  std::memcpy(right, b, 4);
  std::int64_t sum = 0;
  for (int i = 0; i < kCount; ++i) sum += std::int64_t{left[i]} * right[i];
  return sum;
}

std::uint32_t accumulate(std::uint32_t to, std::int64_t products, bool saturate) {
  if (!saturate) return to + static_cast<std::uint32_t>(products);
  constexpr std::int64_t kLow = std::numeric_limits<std::int32_t>::min(),
                         kHigh = std::numeric_limits<std::int32_t>::max();
  std::int64_t sum = static_cast<std::int32_t>(to) + products;
  sum = sum < kLow ? kLow : sum > kHigh ? kHigh : sum;
  return static_cast<std::uint32_t>(sum);
}

}  // namespace

bool execute_vnni(const Instruction& x, Frame& frame) {
  if (x.evex || x.map != 2 || x.w || x.prefix != Prefix::x66 || x.opcode < 0x50 || x.opcode > 0x53) return false;
  if (!frame.has_vectors()) return false;
  const bool words = x.opcode >= 0x52, saturate = (x.opcode & 1) != 0;
  const int bytes = x.length_code == 0 ? 16 : 32;
  Vector b{};
  if (x.is_memory) {
    load(frame.address(x, 1), b.data(), static_cast<std::size_t>(bytes));
  } else {
    b = frame.vector(x.rm);
  }
  const Vector a = frame.vector(x.vvvv), old = frame.vector(x.reg);
  Vector result{};  // what is beyond the operand's width becomes zero
  for (int i = 0; i < bytes; i += 4) {
    std::uint32_t sum = 0;
    std::memcpy(&sum, &old[i], 4);
    const std::int64_t products =
        words ? dot<std::int16_t, std::int16_t>(&a[i], &b[i]) : dot<std::uint8_t, std::int8_t>(&a[i], &b[i]);
    sum = accumulate(sum, products, saturate);
    std::memcpy(&result[i], &sum, 4);
  }
  frame.set_vector(x.reg, result);
  return true;
}

}  // namespace intaglio::emulation
