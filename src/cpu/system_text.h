// Readers of the text files of /proc and /sys: pure functions, tested on sample text. Anything odd is nullopt or empty.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace intaglio::cpu {

// "0-3,8" -> 0 1 2 3 8. Sorted, without duplicates; nullopt for other text or numbers over 65535.
std::optional<std::vector<int>> parse_cpu_list(std::string_view text);
// "32K", "1024K", "32M", "4096" -> bytes.
std::optional<std::uint64_t> parse_size(std::string_view text);
// A line of /proc/meminfo, "MemTotal:  24684096 kB" -> bytes.
std::optional<std::uint64_t> parse_meminfo(std::string_view text, std::string_view key);
std::optional<std::int64_t> parse_number(std::string_view text);

// cpu.max of cgroup v2: "150000 100000" -> 1.5, "max 100000" -> nullopt (no limit).
std::optional<double> parse_cpu_max(std::string_view text);
// cpu.cfs_quota_us and cpu.cfs_period_us of cgroup v1; a negative quota means no limit.
std::optional<double> parse_cfs_quota(std::string_view quota, std::string_view period);

// Where a controller of this process is seen: the folder of its cgroup and that of the mount, which bounds the walk up.
struct CgroupFolder {
  bool v2 = false;
  std::string mount;   // "/sys/fs/cgroup"
  std::string folder;  // "/sys/fs/cgroup/user.slice/x", at or below mount
};
// From /proc/self/cgroup and /proc/self/mountinfo. A v1 mount of the controller wins over the unified hierarchy, as in
// hybrid set-ups the controller is only there.
std::optional<CgroupFolder> find_cgroup(std::string_view proc_cgroup, std::string_view mountinfo,
                                        std::string_view controller);

// Reads a whole small file; nullopt if it cannot be read.
using ReadText = std::function<std::optional<std::string>(const std::string& path)>;
std::optional<std::string> read_text(const std::string& path);

struct CpuQuota {
  double cpus = 0;
  std::string source;
};
// The tightest quota between the process's cgroup and the mount.
std::optional<CpuQuota> find_cpu_quota(const ReadText& read);
std::optional<std::uint64_t> find_memory_limit(const ReadText& read);

}  // namespace intaglio::cpu
