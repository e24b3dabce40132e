#include "base/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

namespace intaglio {
namespace {

// The value of an f16 by the definition of the format.
double f16_by_definition(std::uint16_t bits) {
  const int sign = (bits >> 15) != 0 ? -1 : 1;
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent == 31) return fraction != 0 ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

TEST(Half, EveryFloat16HasItsValueAndReturns) {
  for (std::uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const Float16 h{static_cast<std::uint16_t>(bits)};
    const double expected = f16_by_definition(h.bits);
    const float f = to_float(h);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(f));
      EXPECT_EQ(to_float16(f).bits, h.bits | 0x200u);  // the same NaN, quiet
      continue;
    }
    ASSERT_EQ(static_cast<double>(f), expected) << bits;
    ASSERT_EQ(std::signbit(f), std::signbit(expected)) << bits;
    ASSERT_EQ(to_float16(f).bits, h.bits) << bits;
    ASSERT_EQ(to_float16(expected).bits, h.bits) << bits;
  }
}

// Between neighbours a < b: below the middle a, above it b, at it the even one.
TEST(Half, Float16RoundsToNearestEven) {
  for (std::uint16_t bits = 0; bits < 0x7c00; ++bits) {
    const double a = f16_by_definition(bits);
    // After the largest finite number the format would continue with 65536: that stands for infinity.
    const double b = bits == 0x7bff ? 65536.0 : f16_by_definition(static_cast<std::uint16_t>(bits + 1));
    const double middle = (a + b) / 2;  // exact in double
    const std::uint16_t up = static_cast<std::uint16_t>(bits + 1), even = (bits & 1) != 0 ? up : bits;
    ASSERT_EQ(to_float16(middle).bits, even) << bits;
    ASSERT_EQ(to_float16(std::nextafter(middle, 0.0)).bits, bits) << bits;
    ASSERT_EQ(to_float16(std::nextafter(middle, 1e9)).bits, up) << bits;
    ASSERT_EQ(to_float16(-middle).bits, even | 0x8000u) << bits;
    ASSERT_EQ(to_float16(static_cast<float>(middle)).bits, even) << bits;
    ASSERT_EQ(to_float16(std::nextafter(static_cast<float>(middle), 0.0f)).bits, bits) << bits;
  }
}

TEST(Half, Float16Extremes) {
  EXPECT_EQ(to_float16(1e30f).bits, 0x7c00);
  EXPECT_EQ(to_float16(-std::numeric_limits<double>::infinity()).bits, 0xfc00);
  EXPECT_EQ(to_float16(std::numeric_limits<double>::max()).bits, 0x7c00);
  EXPECT_EQ(to_float16(1e-300).bits, 0);
  EXPECT_EQ(to_float16(-1e-300).bits, 0x8000);
  EXPECT_EQ(to_float16(std::numeric_limits<double>::denorm_min()).bits, 0);
}

TEST(Half, DoubleIsRoundedOnce) {
  // Through f32 this would round to the middle of two f16 first and then to the even one below.
  const double x = 1.0 + std::ldexp(1.0, -11) + std::ldexp(1.0, -40);
  EXPECT_EQ(to_float16(x).bits, 0x3c01);
  EXPECT_EQ(to_float16(static_cast<float>(x)).bits, 0x3c00);
}

TEST(Half, BFloat16RoundsToNearestEven) {
  std::mt19937 random(7);
  for (int i = 0; i < 200000; ++i) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    const BFloat16 y = to_bfloat16(x);
    if (std::isnan(x)) {
      EXPECT_TRUE(std::isnan(to_float(y)));
      continue;
    }
    // The two candidates are the truncated value and the next one away from zero.
    const auto down = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16);
    const auto up = static_cast<std::uint16_t>(down + 1);
    const auto wide = [](std::uint16_t bits) {  // infinity stands for 2^128, the next value of the format
      return (bits & 0x7fff) == 0x7f80 ? ((bits >> 15) != 0 ? -0x1p128 : 0x1p128)
                                       : static_cast<double>(to_float(BFloat16{bits}));
    };
    if (std::isinf(x)) {
      EXPECT_EQ(y.bits, down);
      continue;
    }
    const double below = std::fabs(x - wide(down)), above = std::fabs(wide(up) - x);
    const std::uint16_t expected = below < above ? down : (above < below ? up : ((down & 1) != 0 ? up : down));
    ASSERT_EQ(y.bits, expected) << x;
  }
}

TEST(Half, SmallestNaNStaysNaN) {
  const float nan = std::bit_cast<float>(0x7f800001u);
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(nan))));
  EXPECT_TRUE(std::isnan(to_float(to_float16(nan))));
}

}  // namespace
}  // namespace intaglio
