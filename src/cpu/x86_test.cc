#include "cpu/x86.h"

#include <gtest/gtest.h>

#include <map>

namespace intaglio::cpu {
namespace {

// The bits that matter here, under the names of the manuals; independent of the masks in x86.cc.
constexpr std::uint32_t one_bit(int i) {
  return 1u << i;
}
constexpr std::uint32_t kV2 = one_bit(0) | one_bit(9) | one_bit(13) | one_bit(19) | one_bit(20) | one_bit(23);
constexpr std::uint32_t kOsxsave = one_bit(27);
constexpr std::uint32_t kAvxFmaF16c = one_bit(28) | one_bit(12) | one_bit(29);
constexpr std::uint32_t kAvx2Bmi = one_bit(3) | one_bit(5) | one_bit(8);
constexpr std::uint32_t kSkylakeX = one_bit(16) | one_bit(17) | one_bit(28) | one_bit(30) | one_bit(31);
constexpr std::uint32_t kVnniVbmi = one_bit(11) | one_bit(1);
constexpr std::uint32_t kAmxAll = one_bit(22) | one_bit(24) | one_bit(25);
constexpr std::uint32_t kFp16 = one_bit(23);
constexpr std::uint32_t kAvxVnni = one_bit(4), kBf16 = one_bit(5);

struct FakeCpu {
  std::uint32_t highest = 7;
  std::uint32_t ecx1 = kV2 | kOsxsave | kAvxFmaF16c, ebx7 = kAvx2Bmi, ecx7 = 0, edx7 = 0, eax71 = 0;
  std::uint64_t xcr0 = 0x7;

  X86 describe() const {
    return describe_x86(
        [this](std::uint32_t leaf, std::uint32_t subleaf) -> CpuidRegisters {
          if (leaf == 0) return {highest, 0x756e6547, 0x6c65746e, 0x49656e69};
          if (leaf > highest) return {};
          if (leaf == 1) return {0x000806f8, 0, ecx1, 0};
          if (leaf == 7 && subleaf == 0) return {1, ebx7, ecx7, edx7};
          if (leaf == 7 && subleaf == 1) return {eax71, 0, 0, 0};
          return {};
        },
        [this] {
          EXPECT_TRUE((ecx1 & kOsxsave) != 0) << "XGETBV would fault";
          return xcr0;
        });
  }
  std::string isa() const { return to_string(describe().isa); }
};

TEST(X86, Identity) {
  const X86 cpu = FakeCpu{}.describe();
  EXPECT_EQ(cpu.vendor, "GenuineIntel");
  EXPECT_EQ(cpu.family, 6);
  EXPECT_EQ(cpu.model, 0x8f);  // Sapphire Rapids
  EXPECT_EQ(cpu.stepping, 8);
}

TEST(X86, Levels) {
  EXPECT_EQ((FakeCpu{.ecx1 = 0}.isa()), "scalar");
  EXPECT_EQ((FakeCpu{.highest = 1}.isa()), "scalar sse42");
  EXPECT_EQ((FakeCpu{.ecx1 = kV2}.isa()), "scalar sse42");
  EXPECT_EQ(FakeCpu{}.isa(), "scalar sse42 avx2");
  EXPECT_EQ((FakeCpu{.eax71 = kAvxVnni}.isa()), "scalar sse42 avx2 avx_vnni");
  EXPECT_EQ((FakeCpu{.ebx7 = kAvx2Bmi | kSkylakeX, .xcr0 = 0xe7}.isa()), "scalar sse42 avx2 avx512");
  EXPECT_EQ((FakeCpu{.ebx7 = kAvx2Bmi | kSkylakeX, .ecx7 = kVnniVbmi, .eax71 = kBf16, .xcr0 = 0xe7}.isa()),
            "scalar sse42 avx2 avx512 avx512_vnni avx512_bf16");
  const FakeCpu sapphire{.ebx7 = kAvx2Bmi | kSkylakeX,
                         .ecx7 = kVnniVbmi,
                         .edx7 = kAmxAll | kFp16,
                         .eax71 = kBf16 | kAvxVnni,
                         .xcr0 = 0x600e7};
  EXPECT_EQ(sapphire.isa(), "scalar sse42 avx2 avx_vnni avx512 avx512_vnni avx512_bf16 avx512_fp16 amx");
}

TEST(X86, TheOperatingSystemMustSaveTheState) {
  FakeCpu cpu{.ebx7 = kAvx2Bmi | kSkylakeX, .ecx7 = kVnniVbmi, .edx7 = kAmxAll, .eax71 = kBf16, .xcr0 = 0xe7};
  EXPECT_FALSE(contains(cpu.describe().isa, Isa::amx));
  EXPECT_NE(request_amx(cpu.describe()).reason.find("operating system"), std::string::npos);
  cpu.xcr0 = 0x7;
  EXPECT_EQ(cpu.isa(), "scalar sse42 avx2");
  cpu.xcr0 = 0x3;
  EXPECT_EQ(cpu.isa(), "scalar sse42");
  cpu.xcr0 = 0x600e7;
  cpu.ecx1 &= ~kOsxsave;
  EXPECT_EQ(cpu.isa(), "scalar sse42");
}

TEST(X86, ALevelNeedsAllThatItImplies) {
  // VNNI and AMX without the AVX-512 base, and AVX-512 without FMA.
  EXPECT_EQ((FakeCpu{.ecx7 = kVnniVbmi, .edx7 = kAmxAll, .eax71 = kBf16, .xcr0 = 0x600e7}.isa()), "scalar sse42 avx2");
  EXPECT_EQ((FakeCpu{.ecx1 = kV2 | kOsxsave, .ebx7 = kAvx2Bmi | kSkylakeX, .eax71 = kAvxVnni, .xcr0 = 0xe7}.isa()),
            "scalar sse42");
  // One missing bit of a level is a missing level.
  for (const int i : {16, 17, 28, 30, 31}) {
    EXPECT_EQ((FakeCpu{.ebx7 = (kAvx2Bmi | kSkylakeX) & ~one_bit(i), .xcr0 = 0xe7}.isa()), "scalar sse42 avx2") << i;
  }
}

TEST(X86, EveryReportedSetIsClosed) {
  for (std::uint32_t seed = 0; seed < 5000; ++seed) {
    const auto noise = [state = seed * 2654435761u + 1]() mutable {
      state ^= state << 13, state ^= state >> 17, state ^= state << 5;
      return state;
    };
    auto next = noise;
    FakeCpu cpu{.ecx1 = (kV2 | kAvxFmaF16c | kOsxsave) & (next() | next()),
                .ebx7 = next() | next() | next(),
                .ecx7 = next() | next(),
                .edx7 = next() | next(),
                .eax71 = next() | next(),
                .xcr0 = 0x600e7};
    const IsaSet isa = cpu.describe().isa;
    for (int i = 0; i < 9; ++i) {
      if (contains(isa, static_cast<Isa>(i))) {
        EXPECT_TRUE(contains(isa, closure_of(static_cast<Isa>(i)))) << to_string(isa);
      }
    }
  }
}

TEST(X86, NoCpuidMeansScalar) {
  const X86 cpu = describe_x86([](auto, auto) { return CpuidRegisters{}; }, [] { return std::uint64_t{0}; });
  EXPECT_EQ(to_string(cpu.isa), "scalar");
  EXPECT_FALSE(caches_from_cpuid([](auto, auto) { return CpuidRegisters{}; }));
  EXPECT_NE(request_amx(cpu).reason.find("no AMX"), std::string::npos);
}

TEST(X86, CachesOfLeaf4) {
  // Ice Lake: 48 KiB 12-way L1d, 1.25 MiB 20-way L2, 54 MiB 12-way L3 shared by 64.
  const std::map<std::uint32_t, CpuidRegisters> leaf4{{0, {0x1c004121, 0x02c0003f, 63, 0}},
                                                      {1, {0x1c004122, 0x01c0003f, 63, 0}},
                                                      {2, {0x1c004143, 0x04c0003f, 1023, 0}},
                                                      {3, {0x1c0fc163, 0x02c0003f, 73727, 0}}};
  const auto caches = caches_from_cpuid([&](std::uint32_t leaf, std::uint32_t subleaf) -> CpuidRegisters {
    if (leaf == 0) return {27, 0, 0, 0};
    const auto found = leaf4.find(subleaf);
    return leaf == 4 && found != leaf4.end() ? found->second : CpuidRegisters{};
  });
  ASSERT_TRUE(caches);
  EXPECT_EQ(caches->l1d, 48u << 10);
  EXPECT_EQ(caches->l2, 1280u << 10);
  EXPECT_EQ(caches->l3, 54u << 20);
  EXPECT_EQ(caches->line, 64u);
  EXPECT_EQ(caches->l2_sharers, 2);
  EXPECT_EQ(caches->l3_sharers, 64);
}

}  // namespace
}  // namespace intaglio::cpu
