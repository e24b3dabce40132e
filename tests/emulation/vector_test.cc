// AVX-VNNI against plain loops, and the registers that an instruction must leave alone.
#include <gtest/gtest.h>
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "tests/emulation/emulator.h"
#include "tests/emulation/vector_test_util.h"

#define VNNI [[gnu::target("avxvnni,avx2")]]

namespace intaglio::emulation {
namespace {

class EmulatedVnni : public testing::Test {
 protected:
  void SetUp() override {
    if (runs("avx_vnni") == Runs::none) GTEST_SKIP() << "this machine has no avx_vnni and no avx2 to emulate it on";
  }
};

template <class T>
std::int64_t element(const Block& block, int at) {
  T value;
  std::memcpy(&value, block.bytes + at * static_cast<int>(sizeof(T)), sizeof(T));
  return value;
}

// The sums of all four instructions, in 64 bits before the last step.
Block expected_dot(const Block& sums, const Block& a, const Block& b, bool words, bool saturate) {
  Block out = sums;
  for (int i = 0; i < 8; ++i) {
    std::int64_t sum = element<std::int32_t>(sums, i);
    for (int j = 0; j < (words ? 2 : 4); ++j) {
      sum += words ? element<std::int16_t>(a, 2 * i + j) * element<std::int16_t>(b, 2 * i + j)
                   : element<std::uint8_t>(a, 4 * i + j) * element<std::int8_t>(b, 4 * i + j);
    }
    if (saturate) sum = std::min<std::int64_t>(std::max<std::int64_t>(sum, INT32_MIN), INT32_MAX);
    const auto bits = static_cast<std::uint32_t>(sum);
    std::memcpy(out.bytes + 4 * i, &bits, 4);
  }
  return out;
}

VNNI __m256i dot(int which, __m256i sums, __m256i a, __m256i b) {
  switch (which) {
    case 0:
      return _mm256_dpbusd_avx_epi32(sums, a, b);
    case 1:
      return _mm256_dpbusds_avx_epi32(sums, a, b);
    case 2:
      return _mm256_dpwssd_avx_epi32(sums, a, b);
    default:
      return _mm256_dpwssds_avx_epi32(sums, a, b);
  }
}

VNNI void check_dots(unsigned seed) {
  std::mt19937 random(seed);
  for (int i = 0; i < 300; ++i) {
    Block sums = random_block(random);
    const Block a = random_block(random), b = random_block(random);
    if (i % 3 == 0) std::memset(sums.bytes, i % 2 == 0 ? 0x7F : 0x80, 64);
    const int which = i % 4;
    const Block expected = expected_dot(sums, a, b, which >= 2, which % 2 == 1);
    Block got;
    const auto at = [](const Block& block) { return reinterpret_cast<const __m256i*>(block.bytes); };
    const __m256i result = dot(which, _mm256_load_si256(at(sums)), _mm256_load_si256(at(a)), _mm256_load_si256(at(b)));
    _mm256_store_si256(reinterpret_cast<__m256i*>(got.bytes), result);
    ASSERT_EQ(std::memcmp(got.bytes, expected.bytes, 32), 0) << which;
  }
}

TEST_F(EmulatedVnni, DotProducts) {
  const std::uint64_t before = executed();
  check_dots(1);
  if (runs("avx_vnni") == Runs::emulated) {
    EXPECT_GE(executed() - before, 300u);
  }
}

TEST_F(EmulatedVnni, OnSeveralThreads) {
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) threads.emplace_back(check_dots, t);
  for (std::thread& thread : threads) thread.join();
}

Block static_operand;  // reached relative to the instruction

TEST_F(EmulatedVnni, MemoryOperandsAndHighRegisters) {
  std::mt19937 random(2);
  const Block sums = random_block(random), a = random_block(random), b = random_block(random);
  static_operand = b;
  const Block expected = expected_dot(sums, a, b, false, false);
  Block got;
  asm volatile(
      "vmovdqa %1, %%ymm12\n\tvmovdqa %2, %%ymm9\n\t%{vex%} vpdpbusd %3, %%ymm9, %%ymm12\n\tvmovdqa %%ymm12, %0"
      : "=m"(got)
      : "m"(sums), "m"(a), "m"(static_operand)
      : "xmm12", "xmm9");
  EXPECT_EQ(std::memcmp(got.bytes, expected.bytes, 32), 0);
  asm volatile(
      "mov %3, %%r13\n\tmov %4, %%r9\n\tvmovdqa %1, %%ymm0\n\tvmovdqa %2, %%ymm15\n\t"
      "%{vex%} vpdpbusd 16(%%r13,%%r9,4), %%ymm15, %%ymm0\n\tvmovdqa %%ymm0, %0"
      : "=m"(got)
      : "m"(sums), "m"(a), "r"(b.bytes + 48), "r"(-16l), "m"(b)
      : "xmm0", "xmm15", "r13", "r9");
  EXPECT_EQ(std::memcmp(got.bytes, expected.bytes, 32), 0);
  // 128 bits: the upper half of the register becomes zero.
  asm volatile("vmovdqa %1, %%ymm3\n\tvmovdqa %2, %%ymm4\n\t%{vex%} vpdpbusd %3, %%xmm4, %%xmm3\n\tvmovdqa %%ymm3, %0"
               : "=m"(got)
               : "m"(sums), "m"(a), "m"(b)
               : "xmm3", "xmm4");
  EXPECT_EQ(std::memcmp(got.bytes, expected.bytes, 16), 0);
  const std::uint8_t zeros[16] = {};
  EXPECT_EQ(std::memcmp(got.bytes + 16, zeros, 16), 0);
}

// Fills all 32 vector registers, runs one instruction that writes register 5, and compares all of them.
[[gnu::target("avx512f")]] void check_registers(bool widening, std::mt19937& random) {
  Block before[32], after[32];
  for (Block& block : before) block = random_block(random);
// Formatting these does not come to an end.
// clang-format off
#define EACH_REGISTER(X)                                                                                            \
  X(0)                                                                                                              \
  X(1)                                                                                                              \
  X(2)                                                                                                              \
  X(3)                                                                                                              \
  X(4)                                                                                                              \
  X(5)                                                                                                              \
  X(6)                                                                                                              \
  X(7)                                                                                                              \
  X(8)                                                                                                              \
  X(9)                                                                                                              \
  X(10)                                                                                                             \
  X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) \
      X(30) X(31)
#define LOAD(n)  "vmovdqa64 64*" #n "(%0), %%zmm" #n "\n\t"
#define STORE(n) "vmovdqa64 %%zmm" #n ", 64*" #n "(%1)\n\t"
#define REGISTERS                                                                                                      \
  "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
      "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24",      \
      "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31"
  // clang-format on
  if (widening) {
    asm volatile(EACH_REGISTER(LOAD) "vcvtph2psx %%ymm30, %%zmm5\n\t" EACH_REGISTER(STORE)::"r"(before), "r"(after)
                 : REGISTERS);
  } else {
    asm volatile(EACH_REGISTER(LOAD) "%{vex%} vpdpbusd %%ymm14, %%ymm7, %%ymm5\n\t" EACH_REGISTER(STORE)::"r"(before),
                 "r"(after)
                 : REGISTERS);
  }
#undef EACH_REGISTER
#undef LOAD
#undef STORE
#undef REGISTERS
  Block expected{};
  if (!widening) {
    const Block sums = expected_dot(before[5], before[7], before[14], false, false);
    std::memcpy(expected.bytes, sums.bytes, 32);
  }
  for (int i = 0; i < 32; ++i) {
    if (i == 5 && widening) continue;  // judged by the tests of values
    EXPECT_EQ(std::memcmp(after[i].bytes, i == 5 ? expected.bytes : before[i].bytes, 64), 0) << "register " << i;
  }
}

TEST_F(EmulatedVnni, OtherRegistersStay) {
  if (runs("avx512") == Runs::none) GTEST_SKIP() << "the registers are compared by AVX-512 instructions";
  std::mt19937 random(3);
  check_registers(false, random);
}

TEST_F(EmulatedFp16, OtherRegistersStay) {
  std::mt19937 random(4);
  check_registers(true, random);
}

}  // namespace
}  // namespace intaglio::emulation
