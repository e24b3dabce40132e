// 16-bit floats in plain integer code, rounding as base/half.h documents (which kernels may not include).
#pragma once

#include "base/pod.h"

namespace intaglio::kernels::math {
namespace {

template <class To, class From>
inline To same_bits(From x) {
  static_assert(sizeof(To) == sizeof(From));
  To y;
  __builtin_memcpy(&y, &x, sizeof(To));
  return y;
}

inline float widened(BFloat16 x) {
  return same_bits<float>(static_cast<std::uint32_t>(x.bits) << 16);
}

inline float widened(Float16 x) {
  const std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000u) << 16;
  const std::uint32_t exponent = (x.bits >> 10) & 0x1fu;
  const std::uint32_t fraction = x.bits & 0x3ffu;
  if (exponent == 31) return same_bits<float>(sign | 0x7f800000u | (fraction << 13) | (fraction != 0 ? 0x400000u : 0u));
  if (exponent != 0) return same_bits<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  return same_bits<float>(sign | same_bits<std::uint32_t>(static_cast<float>(fraction) * 0x1p-24f));
}

inline BFloat16 narrowed_bf16(float x) {
  const auto bits = same_bits<std::uint32_t>(x);
  if (x != x) return BFloat16{static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  return BFloat16{static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

// From double, so that f64 is rounded once. Adding 2^k of the right k makes the FPU round at the last kept bit.
inline Float16 narrowed_f16(double x) {
  const auto bits = same_bits<std::uint64_t>(x);
  const auto sign = static_cast<std::uint16_t>((bits >> 48) & 0x8000u);
  if (x != x) return Float16{static_cast<std::uint16_t>(sign | 0x7e00u)};
  const double magnitude = same_bits<double>(bits & 0x7fffffffffffffffull);
  std::uint32_t kept = 0x7c00u;
  if (magnitude < 0x1p-14) {  // denormal: multiples of 2^-24
    kept = static_cast<std::uint32_t>((magnitude + 0x1p28) * 0x1p24 - 0x1p52);
  } else if (magnitude < 65520.0) {
    const auto all = same_bits<std::uint64_t>(magnitude);
    const std::uint64_t rounded = all + 0x1ffffffffffull + ((all >> 42) & 1u);
    kept = static_cast<std::uint32_t>((rounded >> 42) - (1008ull << 10));
  }
  return Float16{static_cast<std::uint16_t>(sign | kept)};
}

}  // namespace
}  // namespace intaglio::kernels::math
