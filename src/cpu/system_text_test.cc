#include "cpu/system_text.h"

#include <gtest/gtest.h>

#include <map>

namespace intaglio::cpu {
namespace {

using Cpus = std::vector<int>;

TEST(SystemText, CpuLists) {
  EXPECT_EQ(parse_cpu_list("0-3,8\n"), (Cpus{0, 1, 2, 3, 8}));
  EXPECT_EQ(parse_cpu_list("7"), Cpus{7});
  EXPECT_EQ(parse_cpu_list("2,0-2"), (Cpus{0, 1, 2}));
  EXPECT_EQ(parse_cpu_list("\n"), Cpus{});
  for (const char* text : {"a", "1-", "-1", "3-1", "0-99999999", "1,,2", "1;2"})
    EXPECT_FALSE(parse_cpu_list(text)) << text;
}

TEST(SystemText, Sizes) {
  EXPECT_EQ(parse_size("32K\n"), 32768u);
  EXPECT_EQ(parse_size("2M"), 2u << 20);
  EXPECT_EQ(parse_size("4096"), 4096u);
  for (const char* text : {"", "K", "-1K", "32KB", "99999999999999999999", "9223372036854775807K"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(SystemText, Meminfo) {
  const char* text = "MemTotal:       24684096 kB\nMemFree:        15847516 kB\nHugePages_Total:       0\n";
  EXPECT_EQ(parse_meminfo(text, "MemTotal"), 24684096ull * 1024);
  EXPECT_EQ(parse_meminfo(text, "MemFree"), 15847516ull * 1024);
  EXPECT_FALSE(parse_meminfo(text, "Mem"));
  EXPECT_FALSE(parse_meminfo(text, "HugePages_Total"));
  EXPECT_FALSE(parse_meminfo("", "MemTotal"));
}

TEST(SystemText, Quotas) {
  EXPECT_EQ(parse_cpu_max("150000 100000\n"), 1.5);
  EXPECT_EQ(parse_cpu_max("50000"), 0.5);
  EXPECT_FALSE(parse_cpu_max("max 100000\n"));
  EXPECT_FALSE(parse_cpu_max(""));
  EXPECT_FALSE(parse_cpu_max("100000 0"));
  EXPECT_EQ(parse_cfs_quota("200000\n", "100000\n"), 2.0);
  EXPECT_FALSE(parse_cfs_quota("-1\n", "100000\n"));
}

constexpr const char* kV1Mounts =
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
constexpr const char* kV2Mounts = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

TEST(SystemText, FindsCgroups) {
  const auto v1 = find_cgroup("4:memory:/job\n2:cpu,cpuacct:/docker/abc\n0::/x\n", kV1Mounts, "cpu");
  ASSERT_TRUE(v1);
  EXPECT_FALSE(v1->v2);
  EXPECT_EQ(v1->mount, "/sys/fs/cgroup/cpu");
  EXPECT_EQ(v1->folder, "/sys/fs/cgroup/cpu/docker/abc");

  const auto v2 = find_cgroup("0::/user.slice/a.scope\n", kV2Mounts, "cpu");
  ASSERT_TRUE(v2);
  EXPECT_TRUE(v2->v2);
  EXPECT_EQ(v2->folder, "/sys/fs/cgroup/user.slice/a.scope");

  // A container: the mount shows only its own subtree.
  const auto inside =
      find_cgroup("0::/docker/abc/sub\n", "1 2 0:1 /docker/abc /sys/fs/cgroup ro - cgroup2 c rw\n", "cpu");
  ASSERT_TRUE(inside);
  EXPECT_EQ(inside->folder, "/sys/fs/cgroup/sub");
  const auto prefix =
      find_cgroup("0::/docker/abcdef\n", "1 2 0:1 /docker/abc /sys/fs/cgroup ro - cgroup2 c rw\n", "cpu");
  ASSERT_TRUE(prefix);
  EXPECT_EQ(prefix->folder, "/sys/fs/cgroup");
  EXPECT_EQ(find_cgroup("0::/../../x\n", kV2Mounts, "cpu")->folder, "/sys/fs/cgroup");
  EXPECT_EQ(find_cgroup("0::/\n", "1 2 0:1 / /a\\040b rw - cgroup2 c rw\n", "cpu")->folder, "/a b");

  EXPECT_FALSE(find_cgroup("", kV2Mounts, "cpu"));
  EXPECT_FALSE(find_cgroup("0::/\n", "", "cpu"));
  EXPECT_FALSE(find_cgroup("garbage\n:\n", "garbage - \n - - -\n", "cpu"));
}

ReadText fake(std::map<std::string, std::string> files) {
  return [files = std::move(files)](const std::string& path) -> std::optional<std::string> {
    const auto found = files.find(path);
    if (found == files.end()) return std::nullopt;
    return found->second;
  };
}

TEST(SystemText, TheTightestQuotaOnTheWayUpWins) {
  const auto quota = find_cpu_quota(fake({{"/proc/self/cgroup", "0::/a/b\n"},
                                          {"/proc/self/mountinfo", kV2Mounts},
                                          {"/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"},
                                          {"/sys/fs/cgroup/a/cpu.max", "250000 100000\n"},
                                          {"/sys/fs/cgroup/cpu.max", "400000 100000\n"}}));
  ASSERT_TRUE(quota);
  EXPECT_EQ(quota->cpus, 2.5);
  EXPECT_EQ(quota->source, "/sys/fs/cgroup/a/cpu.max");
}

TEST(SystemText, QuotaOfV1) {
  const auto quota = find_cpu_quota(fake({{"/proc/self/cgroup", "2:cpu,cpuacct:/a\n"},
                                          {"/proc/self/mountinfo", kV1Mounts},
                                          {"/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "150000\n"},
                                          {"/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n"},
                                          {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
                                          {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}}));
  ASSERT_TRUE(quota);
  EXPECT_EQ(quota->cpus, 1.5);
}

TEST(SystemText, NoQuotaNoLimit) {
  EXPECT_FALSE(find_cpu_quota(fake({})));
  EXPECT_FALSE(find_cpu_quota(fake({{"/proc/self/cgroup", "0::/\n"}, {"/proc/self/mountinfo", kV2Mounts}})));
  EXPECT_FALSE(find_memory_limit(fake({{"/proc/self/cgroup", "4:memory:/\n"},
                                       {"/proc/self/mountinfo", kV1Mounts},
                                       {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}})));
}

TEST(SystemText, MemoryLimit) {
  const auto limit = find_memory_limit(fake({{"/proc/self/cgroup", "0::/a\n"},
                                             {"/proc/self/mountinfo", kV2Mounts},
                                             {"/sys/fs/cgroup/a/memory.max", "1073741824\n"},
                                             {"/sys/fs/cgroup/memory.max", "max\n"}}));
  EXPECT_EQ(limit, 1u << 30);
}

}  // namespace
}  // namespace intaglio::cpu
