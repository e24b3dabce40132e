#include "base/half.h"

#include <bit>

namespace intaglio {

float to_float(BFloat16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}

float to_float(Float16 x) {
  const std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000u) << 16;
  const std::uint32_t exponent = (x.bits >> 10) & 0x1fu;
  std::uint32_t mantissa = x.bits & 0x3ffu;
  if (exponent == 31) {
    if (mantissa != 0) mantissa |= 0x200u;  // a signalling NaN becomes quiet, as the hardware conversion does
    return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  }
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;  // exact: at most 10 bits
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

Float16 to_float16(double x) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const auto sign = static_cast<std::uint16_t>((bits >> 48) & 0x8000u);
  const int exponent = static_cast<int>((bits >> 52) & 0x7ffu) - 1023;
  const std::uint64_t fraction = bits & 0xfffffffffffffull;
  const auto make = [sign](std::uint64_t magnitude) { return Float16{static_cast<std::uint16_t>(sign | magnitude)}; };
  if (exponent == 1024 && fraction != 0) return make(0x7e00u | (fraction >> 42));
  if (exponent >= 16) return make(0x7c00u);
  if (exponent < -25) return make(0);
  const std::uint64_t significand = fraction | (1ull << 52);
  const bool subnormal = exponent < -14;
  const int shift = subnormal ? 42 - 14 - exponent : 42;
  std::uint64_t kept = significand >> shift;
  const std::uint64_t rest = significand & ((1ull << shift) - 1);
  const std::uint64_t half = 1ull << (shift - 1);
  if (rest > half || (rest == half && (kept & 1) != 0)) ++kept;
  // The implicit bit of a normal number adds one to the exponent field; a carry out of the fraction does the same and
  // turns the largest finite number into infinity.
  return make(subnormal ? kept : kept + (static_cast<std::uint64_t>(exponent + 14) << 10));
}

Float16 to_float16(float x) {
  return to_float16(static_cast<double>(x));
}

BFloat16 to_bfloat16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return BFloat16{static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  const std::uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  return BFloat16{static_cast<std::uint16_t>(rounded >> 16)};
}

}  // namespace intaglio
