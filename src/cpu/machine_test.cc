#include "cpu/machine.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <sstream>
#include <thread>

#include "cpu/system_text.h"

namespace intaglio::cpu {
namespace {

TEST(Machine, IsDetectedOnceByAnyThread) {
  std::vector<const Machine*> seen(4);
  std::vector<std::thread> threads;
  for (auto& place : seen) threads.emplace_back([&place] { place = &detect(); });
  for (auto& thread : threads) thread.join();
  for (const Machine* machine : seen) EXPECT_EQ(machine, &detect());
}

TEST(Machine, IsPlausible) {
  const Machine& machine = detect();
  EXPECT_TRUE(contains(machine.isa, Isa::scalar));
  EXPECT_FALSE(machine.vendor.empty());
  EXPECT_GE(machine.physical_cores, 1);
  EXPECT_LE(machine.physical_cores, machine.logical_cores());
  EXPECT_GE(machine.caches.l1d, 8u << 10);
  EXPECT_GE(machine.caches.l2, machine.caches.l1d);
  EXPECT_EQ(machine.caches.line % 32, 0u);
  EXPECT_GT(machine.memory_bytes, 64u << 20);
  EXPECT_FALSE(machine.amx.reason.empty());
  EXPECT_EQ(machine.amx.usable, contains(machine.isa, Isa::amx));
  EXPECT_NE(summary(machine).find(machine.model_name), std::string::npos);
}

TEST(Machine, AffinityAgreesWithTheSystem) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) GTEST_SKIP() << "more CPUs than cpu_set_t holds";
  EXPECT_EQ(detect().logical_cores(), CPU_COUNT(&set));
}

// The kernel's own list of features is an independent reading of CPUID.
TEST(Machine, AgreesWithProcCpuinfo) {
  const auto text = read_text("/proc/cpuinfo");
  const std::size_t at = text ? text->find("\nflags") : std::string::npos;
  if (at == std::string::npos) GTEST_SKIP() << "/proc/cpuinfo lists no flags";
  const std::string line = text->substr(at + 1, text->find('\n', at + 1) - at - 1) + " ";
  const auto has = [&](std::initializer_list<const char*> flags) {
    for (const char* flag : flags) {
      if (line.find(std::string(" ") + flag + " ") == std::string::npos) return false;
    }
    return true;
  };
  const IsaSet isa = detect().isa;
  const bool avx2 = has({"avx2", "fma", "f16c", "bmi1", "bmi2"});
  const bool avx512 = avx2 && has({"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512cd"});
  EXPECT_EQ(contains(isa, Isa::sse42), has({"sse4_2", "popcnt", "cx16"}));
  EXPECT_EQ(contains(isa, Isa::avx2), avx2);
  EXPECT_EQ(contains(isa, Isa::avx_vnni), avx2 && has({"avx_vnni"}));
  EXPECT_EQ(contains(isa, Isa::avx512), avx512);
  EXPECT_EQ(contains(isa, Isa::avx512_vnni), avx512 && has({"avx512_vnni", "avx512vbmi"}));
  EXPECT_EQ(contains(isa, Isa::avx512_bf16), avx512 && has({"avx512_bf16"}));
  EXPECT_EQ(contains(isa, Isa::avx512_fp16), avx512 && has({"avx512_fp16"}));
}

TEST(Machine, ACapOnlyRemoves) {
  Machine machine;
  machine.isa = IsaSet{closure_of(Isa::avx512_vnni).bits | isa_bit(Isa::avx512_bf16)};
  EXPECT_EQ(usable_isa(machine, std::nullopt).bits, machine.isa.bits);
  EXPECT_EQ(to_string(usable_isa(machine, Isa::scalar)), "scalar");
  EXPECT_EQ(to_string(usable_isa(machine, Isa::avx2)), "scalar sse42 avx2");
  EXPECT_EQ(to_string(usable_isa(machine, Isa::avx512)), "scalar sse42 avx2 avx512");
  EXPECT_EQ(to_string(usable_isa(machine, Isa::avx_vnni)), "scalar sse42 avx2");
  EXPECT_EQ(to_string(usable_isa(machine, Isa::amx)), "scalar sse42 avx2 avx512 avx512_vnni");
}

}  // namespace
}  // namespace intaglio::cpu
