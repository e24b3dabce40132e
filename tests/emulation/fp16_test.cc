// AVX512-FP16 against the definition of halves and exact sums in quadruple precision.
#include <gtest/gtest.h>
#include <immintrin.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "tests/emulation/vector_test_util.h"

#define FP16 [[gnu::target("avx512fp16,avx512vl,avx512bw,avx512dq,f16c")]]

namespace intaglio::emulation {
namespace {

// The value of a half by definition; NaN for its NaNs.
double value_of(std::uint16_t half) {
  const int exponent = half >> 10 & 31, mantissa = half & 1023;
  const double sign = (half & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * INFINITY;
  return sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25));
}

// The half nearest to an exact value, ties to even: by search among the ordered magnitudes, where infinity stands for
// 2^16, the value that would follow the largest half.
std::uint16_t nearest_half(__float128 exact) {
  const bool negative = exact < 0;
  const __float128 magnitude = negative ? -exact : exact;
  int low = 0, high = 0x7C00;
  const auto value = [](int h) { return h == 0x7C00 ? 65536.0 : value_of(static_cast<std::uint16_t>(h)); };
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (magnitude < value(middle) ? high : low) = middle;
  }
  const __float128 below = magnitude - value(low), above = value(high) - magnitude;
  const int chosen = below < above || (below == above && low % 2 == 0) ? low : high;
  return static_cast<std::uint16_t>(chosen | (negative ? 0x8000 : 0));
}

FP16 void widen_sixteen(const std::uint16_t* from, float* to) {
  _mm512_storeu_ps(to,
                   _mm512_cvtxph_ps(_mm256_castsi256_ph(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))));
}

TEST_F(EmulatedFp16, WidensEveryHalf) {
  for (int start = 0; start < 65536; start += 16) {
    std::uint16_t from[16];
    float got[16];
    for (int i = 0; i < 16; ++i) from[i] = static_cast<std::uint16_t>(start + i);
    widen_sixteen(from, got);
    for (int i = 0; i < 16; ++i) {
      const double expected = value_of(from[i]);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(got[i])) << from[i];
      } else {
        ASSERT_EQ(got[i], expected) << from[i];
        ASSERT_EQ(std::signbit(got[i]), std::signbit(expected));
      }
    }
  }
}

std::uint16_t static_half = 0x3C01;

FP16 void check_widening_forms_of_the_operand() {
  std::uint16_t from[64];
  for (int i = 0; i < 64; ++i) from[i] = static_cast<std::uint16_t>(0x3C00 + 37 * i);
  float got[16];
  const auto expect = [&](int first, int step, int lanes, float rest) {
    for (int i = 0; i < 16; ++i) {
      const double expected = i < lanes ? value_of(from[first + step * i]) : rest;
      EXPECT_EQ(got[i], expected) << i;
    }
  };
  asm volatile("vcvtph2psx 64(%1), %%zmm17\n\tvmovups %%zmm17, %0" : "=m"(got) : "r"(from), "m"(from) : "xmm17");
  expect(32, 1, 16, 0);
  asm volatile("vcvtph2psx 6(%1)%{1to16%}, %%zmm31\n\tvmovups %%zmm31, %0"
               : "=m"(got)
               : "r"(from), "m"(from)
               : "xmm31");
  expect(3, 0, 16, 0);
  asm volatile("vcvtph2psx 16(%1), %%ymm3\n\tvmovups %%zmm3, %0" : "=m"(got) : "r"(from), "m"(from) : "xmm3");
  expect(8, 1, 8, 0);
  asm volatile("vcvtph2psx 8(%1), %%xmm4\n\tvmovups %%zmm4, %0" : "=m"(got) : "r"(from), "m"(from) : "xmm4");
  expect(4, 1, 4, 0);
  asm volatile("vcvtph2psx %1%{1to16%}, %%zmm9\n\tvmovups %%zmm9, %0" : "=m"(got) : "m"(static_half) : "xmm9");
  for (const float value : got) EXPECT_EQ(value, value_of(static_half));
}
TEST_F(EmulatedFp16, WideningFormsOfTheOperand) {
  check_widening_forms_of_the_operand();
}

// A mask keeps or zeroes the other lanes, and keeps the instruction from touching their memory.
FP16 void check_masks_merge_and_zero() {
  std::mt19937 random(5);
  for (int i = 0; i < 200; ++i) {
    const auto mask = static_cast<__mmask16>(random());
    std::uint16_t from[16];
    for (std::uint16_t& half : from) half = static_cast<std::uint16_t>(random() % 0x7C00);
    const __m512 old = _mm512_set1_ps(-7);
    const __m256h halves = _mm256_castsi256_ph(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    float merged[16], zeroed[16];
    _mm512_storeu_ps(merged, _mm512_mask_cvtxph_ps(old, mask, halves));
    _mm512_storeu_ps(zeroed, _mm512_maskz_cvtxph_ps(mask, halves));
    for (int lane = 0; lane < 16; ++lane) {
      const bool active = (mask >> lane & 1) != 0;
      ASSERT_EQ(merged[lane], active ? value_of(from[lane]) : -7);
      ASSERT_EQ(zeroed[lane], active ? value_of(from[lane]) : 0);
    }
  }
  float none[16];
  asm volatile("kxorw %%k1, %%k1, %%k1\n\tvcvtph2psx (%1), %%zmm2%{%%k1%}%{z%}\n\tvmovups %%zmm2, %0"
               : "=m"(none)
               : "r"(8l)
               : "xmm2", "k1");
  for (const float value : none) EXPECT_EQ(value, 0);
}
TEST_F(EmulatedFp16, MasksMergeAndZero) {
  check_masks_merge_and_zero();
}

FP16 void check_narrows_to_the_nearest() {
  std::mt19937 random(6);
  for (int i = 0; i < 2000; ++i) {
    float from[16];
    for (float& value : from) {  // from below the smallest half to above the largest, many ties
      const double half = value_of(static_cast<std::uint16_t>(random() % 0x7C00));
      const double next = half + std::ldexp(half, -11 - static_cast<int>(random() % 3));
      value = static_cast<float>(random() % 2 == 0 ? half : random() % 2 == 0 ? next : std::ldexp(next, -12));
      if (random() % 2 == 0) value = -value;
    }
    std::uint16_t got[16];
    const __m256h halves = _mm512_cvtxps_ph(_mm512_loadu_ps(from));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(got), _mm256_castph_si256(halves));
    for (int lane = 0; lane < 16; ++lane) {
      const auto zero = static_cast<std::uint16_t>(std::signbit(from[lane]) ? 0x8000 : 0);
      ASSERT_EQ(got[lane], nearest_half(from[lane]) | zero) << from[lane];
    }
  }
}
TEST_F(EmulatedFp16, NarrowsToTheNearest) {
  check_narrows_to_the_nearest();
}

FP16 int first(__m256h halves) {
  return _mm256_extract_epi16(_mm256_castph_si256(halves), 0) & 0xFFFF;
}

FP16 void check_narrowing_rounds_as_told() {
  const __m512 above = _mm512_set1_ps(1.0001f), below = _mm512_set1_ps(-1.0001f);
  EXPECT_EQ(first(_mm512_cvtx_roundps_ph(above, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)), 0x3C01);
  EXPECT_EQ(first(_mm512_cvtx_roundps_ph(above, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)), 0x3C00);
  EXPECT_EQ(first(_mm512_cvtx_roundps_ph(below, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)), 0xBC01);
  EXPECT_EQ(first(_mm512_cvtx_roundps_ph(below, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)), 0xBC00);
}
TEST_F(EmulatedFp16, NarrowingRoundsAsTold) {
  check_narrowing_rounds_as_told();
}

FP16 void check_arithmetic_is_rounded_once() {
  std::mt19937 random(7);
  const auto pick = [&]() -> std::uint16_t {
    const auto half = static_cast<std::uint16_t>(random());
    return (half & 0x7C00) == 0x7C00 ? static_cast<std::uint16_t>(half & 0x83FF) : half;  // no infinities and NaNs
  };
  for (int i = 0; i < 1000; ++i) {
    std::uint16_t a[32], b[32], c[32], got[5][32];
    for (int lane = 0; lane < 32; ++lane) a[lane] = pick(), b[lane] = pick(), c[lane] = pick();
    const __m512h x = _mm512_loadu_ph(a), y = _mm512_loadu_ph(b), z = _mm512_loadu_ph(c);
    _mm512_storeu_ph(got[0], _mm512_add_ph(x, y));
    _mm512_storeu_ph(got[1], _mm512_mul_ph(x, y));
    _mm512_storeu_ph(got[2], _mm512_fmadd_ph(x, y, z));
    _mm512_storeu_ph(got[3], _mm512_fnmsub_ph(x, y, z));
    _mm512_storeu_ph(got[4], _mm512_max_ph(x, y));
    for (int lane = 0; lane < 32; ++lane) {
      const __float128 p = value_of(a[lane]), q = value_of(b[lane]), r = value_of(c[lane]);
      const __float128 exact[5] = {p + q, p * q, p * q + r, -(p * q) - r, p > q ? p : q};
      for (int op = 0; op < 5; ++op) {
        if (nearest_half(exact[op]) << 1 == 0 && static_cast<std::uint16_t>(got[op][lane] << 1) == 0)
          continue;  // zeros
        ASSERT_EQ(got[op][lane], nearest_half(exact[op])) << op << ": " << a[lane] << " " << b[lane] << " " << c[lane];
      }
    }
  }
}
TEST_F(EmulatedFp16, ArithmeticIsRoundedOnce) {
  check_arithmetic_is_rounded_once();
}

// Sums that lie so near a tie, or so near a half, that what decides is far below the bits of a float or a double.
FP16 void check_fused_sums_are_not_rounded_twice() {
  const auto lane = [](const __m512h& halves) {
    std::uint16_t bits;
    std::memcpy(&bits, &halves, 2);
    return bits;
  };
  const std::uint16_t smallest = 0x0001, negative = 0x8001;  // 2^-24
  const __m512h a = _mm512_set1_ph(683), b = _mm512_set1_ph(3);
  const __m512h up = _mm512_castsi512_ph(_mm512_set1_epi16(static_cast<short>(smallest)));
  const __m512h down = _mm512_castsi512_ph(_mm512_set1_epi16(static_cast<short>(negative)));
  // 2049 is the tie of 2048 and 2050.
  EXPECT_EQ(lane(_mm512_fmadd_ph(a, b, up)), nearest_half(2050));
  EXPECT_EQ(lane(_mm512_fmadd_ph(a, b, down)), nearest_half(2048));
  EXPECT_EQ(lane(_mm512_fmadd_ph(a, b, _mm512_setzero_ph())), nearest_half(2048));
  // 2^15 + 2^-48 and 2^15 - 2^-48.
  const __m512h large = _mm512_set1_ph(32768);
  constexpr int kUp = _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC, kDown = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
  EXPECT_EQ(lane(_mm512_fmadd_round_ph(up, up, large, kUp)), 0x7801);
  EXPECT_EQ(lane(_mm512_fmadd_round_ph(up, up, large, kDown)), 0x7800);
  EXPECT_EQ(lane(_mm512_fmadd_round_ph(up, down, large, kUp)), 0x7800);
  EXPECT_EQ(lane(_mm512_fmadd_round_ph(up, down, large, kDown)), 0x77FF);
}
TEST_F(EmulatedFp16, FusedSumsAreNotRoundedTwice) {
  check_fused_sums_are_not_rounded_twice();
}

FP16 double first(__m512h halves) {
  return value_of(static_cast<std::uint16_t>(_mm512_cvtsi512_si32(_mm512_castph_si512(halves))));
}

// The three orders of an FMA's operands: which one the compiler takes is its choice, here all are written out.
FP16 void check_orders_of_fused_operands() {
  const __m512h three = _mm512_set1_ph(3), five = _mm512_set1_ph(5), seven = _mm512_set1_ph(7);
  __m512h d = three;
  asm volatile("vfmadd132ph %2, %1, %0" : "+v"(d) : "v"(five), "v"(seven));
  EXPECT_EQ(first(d), 3 * 7 + 5);
  d = three;
  asm volatile("vfmadd213ph %2, %1, %0" : "+v"(d) : "v"(five), "v"(seven));
  EXPECT_EQ(first(d), 3 * 5 + 7);
  d = three;
  asm volatile("vfmsub231ph %2, %1, %0" : "+v"(d) : "v"(five), "v"(seven));
  EXPECT_EQ(first(d), 5 * 7 - 3);
  d = three;
  asm volatile("vfnmadd231ph %2, %1, %0" : "+v"(d) : "v"(five), "v"(seven));
  EXPECT_EQ(first(d), 3 - 5 * 7);
}
TEST_F(EmulatedFp16, OrdersOfFusedOperands) {
  check_orders_of_fused_operands();
}

// What the compiler makes of scalar halves: VMOVSH, VCVTSH2SS, VADDSH, VFMADD…SH, VCVTSS2SH and their like.
FP16 [[gnu::noinline]] float scalar_steps(const std::uint16_t* a, const std::uint16_t* b, std::uint16_t* out) {
  _Float16 x, y;
  std::memcpy(&x, a, 2);
  std::memcpy(&y, b, 2);
  const _Float16 results[5] = {x + y, x * y, x - y, x / y, static_cast<_Float16>(static_cast<float>(x) * 0.3f)};
  std::memcpy(out, results, sizeof(results));
  return static_cast<float>(y);
}

TEST_F(EmulatedFp16, ScalarHalves) {
  std::mt19937 random(8);
  const auto pick = [&] { return static_cast<std::uint16_t>((random() & 0x8000) | (0x0400 + random() % 0x7400)); };
  for (int i = 0; i < 1000; ++i) {
    const std::uint16_t a = pick(), b = pick();
    std::uint16_t got[5];
    ASSERT_EQ(scalar_steps(&a, &b, got), value_of(b));
    const __float128 p = value_of(a), q = value_of(b);
    // The quotient's error in quadruple precision cannot move it across a half's tie, which needs 12 bits.
    const __float128 exact[5] = {p + q, p * q, p - q, p / q, static_cast<float>(value_of(a)) * 0.3f};
    for (int op = 0; op < 5; ++op) {
      const auto zero = static_cast<std::uint16_t>(exact[op] == 0 ? got[op] & 0x8000 : 0);
      ASSERT_EQ(got[op], nearest_half(exact[op]) | zero) << op << ": " << a << " " << b;
    }
  }
}

// The rest of the 128 bits is the first source's, beyond it zero; a mask keeps or zeroes the one lane.
FP16 void check_scalars_keep_the_rest() {
  Block rest, old;
  for (int i = 0; i < 64; ++i) rest.bytes[i] = static_cast<std::uint8_t>(i + 1), old.bytes[i] = 0xCC;
  std::uint16_t got[32], from[32];
  std::memcpy(from, rest.bytes, 64);
  const std::uint16_t one = 0x3C00, two = 0x4000, three = 0x4200;
  from[0] = one;
  for (int step = 0; step < 4; ++step) {
    __m512i d = _mm512_loadu_si512(old.bytes);
    const __m512i s = _mm512_loadu_si512(from), t = _mm512_set1_epi16(static_cast<short>(two));
    switch (step) {
      case 0:
        asm volatile("vaddsh %x2, %x1, %x0" : "+v"(d) : "v"(s), "v"(t));
        break;
      case 1:
        asm volatile("vmovsh %x2, %x1, %x0" : "+v"(d) : "v"(s), "v"(t));
        break;
      case 2:
        asm volatile("kxorw %%k1, %%k1, %%k1\n\tvaddsh %x2, %x1, %x0%{%%k1%}" : "+v"(d) : "v"(s), "v"(t) : "k1");
        break;
      default:
        asm volatile("kxorw %%k1, %%k1, %%k1\n\tvaddsh %x2, %x1, %x0%{%%k1%}%{z%}" : "+v"(d) : "v"(s), "v"(t) : "k1");
        break;
    }
    _mm512_storeu_si512(got, d);
    EXPECT_EQ(got[0], (std::array<int, 4>{three, two, 0xCCCC, 0})[step]) << step;
    for (int i = 1; i < 32; ++i) EXPECT_EQ(got[i], i < 8 ? from[i] : 0) << step << " " << i;
  }
  __m512i d = _mm512_loadu_si512(old.bytes);
  asm volatile("vmovsh %1, %x0" : "+v"(d) : "m"(static_half));
  _mm512_storeu_si512(got, d);
  EXPECT_EQ(got[0], static_half);
  for (int i = 1; i < 32; ++i) EXPECT_EQ(got[i], 0);
  std::uint16_t stored = 0;
  asm volatile("vmovsh %x1, %0" : "=m"(stored) : "v"(d));
  EXPECT_EQ(stored, static_half);
}
TEST_F(EmulatedFp16, ScalarsKeepTheRest) {
  check_scalars_keep_the_rest();
}

FP16 void check_moves_words() {
  std::uint64_t out = ~std::uint64_t{0};
  std::uint16_t in_memory = 0;
  asm volatile("vmovw %k2, %%xmm18\n\tvmovw %%xmm18, %k0\n\tvmovw %%xmm18, %1"
               : "=r"(out), "=m"(in_memory)
               : "r"(0x12345678)
               : "xmm18");
  EXPECT_EQ(out, 0x5678u);
  EXPECT_EQ(in_memory, 0x5678);
}
TEST_F(EmulatedFp16, MovesWords) {
  check_moves_words();
}

}  // namespace
}  // namespace intaglio::emulation
