#include "threads/count.h"

#include <gtest/gtest.h>

namespace intaglio::threads {
namespace {

cpu::Machine machine(int logical, int physical, std::optional<double> quota = {}) {
  cpu::Machine m;
  for (int i = 0; i < logical; ++i) m.allowed_cpus.push_back(i);
  m.physical_cores = physical;
  m.cpu_quota = quota;
  m.cpu_quota_source = "/cg/cpu.max";
  return m;
}

int count(const cpu::Machine& m, std::optional<int> env = {}, std::optional<int> requested = {}) {
  EnvOptions options;
  options.threads = env;
  const ThreadCount result = threads_for(m, options, requested);
  EXPECT_FALSE(result.reason.empty());
  return result.count;
}

TEST(ThreadCount, DefaultsToPhysicalCores) {
  EXPECT_EQ(count(machine(8, 4)), 4);
  EXPECT_EQ(count(machine(1, 1)), 1);
}

TEST(ThreadCount, TheRequestWinsOverTheEnvironment) {
  EXPECT_EQ(count(machine(8, 4), 3), 3);
  EXPECT_EQ(count(machine(8, 4), 3, 2), 2);
  EXPECT_EQ(count(machine(8, 4), {}, 8), 8);
}

TEST(ThreadCount, IsCutToTheAffinityMask) {
  EXPECT_EQ(count(machine(2, 2), {}, 16), 2);
  EXPECT_EQ(count(machine(2, 2), {}, 0), 1);
  EXPECT_EQ(count(machine(2, 2), {}, -5), 1);
}

TEST(ThreadCount, IsCutToWholeCpusOfTheQuota) {
  EXPECT_EQ(count(machine(8, 8, 2.5)), 2);
  EXPECT_EQ(count(machine(8, 8, 0.5)), 1);
  EXPECT_EQ(count(machine(8, 8, 2.0), {}, 2), 2);
  EXPECT_EQ(count(machine(8, 8, 16.0)), 8);
}

TEST(ThreadCount, ReasonsSayWhat) {
  EnvOptions env;
  env.threads = 6;
  EXPECT_EQ(
      threads_for(machine(4, 4, 2.5), env, {}).reason,
      "6 requested by INTAGLIO_THREADS, cut to the 4 CPUs of the affinity mask, cut to 2 by the quota of 2.50 CPUs "
      "in /cg/cpu.max");
  EXPECT_EQ(threads_for(machine(4, 2), {}, {}).reason, "2 physical cores");
}

}  // namespace
}  // namespace intaglio::threads
