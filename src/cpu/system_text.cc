#include "cpu/system_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>

namespace intaglio::cpu {

namespace {

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// mountinfo writes a space in a path as \040.
std::string unescape(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto octal = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

bool has_word(std::string_view comma_separated, std::string_view word) {
  const auto words = split(comma_separated, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

struct Mount {
  std::string root, point;
};

// A mount of type "cgroup2" or, for v1, of type "cgroup" whose super options name the controller.
std::optional<Mount> find_mount(std::string_view mountinfo, bool v2, std::string_view controller) {
  for (const std::string_view line : split(mountinfo, '\n')) {
    // id parent major:minor root point options [tags ...] - type source super-options
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const auto before = split(line.substr(0, dash), ' '), after = split(line.substr(dash + 3), ' ');
    if (before.size() < 5 || after.size() < 3) continue;
    const bool matches = v2 ? after[0] == "cgroup2" : after[0] == "cgroup" && has_word(after[2], controller);
    if (matches) return Mount{unescape(before[3]), unescape(before[4])};
  }
  return std::nullopt;
}

// The path after hierarchy:controllers: in /proc/self/cgroup.
std::optional<std::string> find_path(std::string_view proc_cgroup, bool v2, std::string_view controller) {
  for (const std::string_view line : split(proc_cgroup, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const bool matches = v2 ? line.substr(0, first) == "0" && controllers.empty() : has_word(controllers, controller);
    if (matches) return std::string(line.substr(second + 1));
  }
  return std::nullopt;
}

// The folder of the cgroup under the mount: the mount shows the subtree at its root. Where the path lies outside of
// that subtree (a container that sees the host's path), the mount point itself is the process's cgroup.
std::string folder_of(const Mount& mount, const std::string& path) {
  if (path.find("..") != std::string::npos) return mount.point;
  std::string_view rest = path;
  if (mount.root != "/") {
    const bool inside =
        rest.starts_with(mount.root) && (rest.size() == mount.root.size() || rest[mount.root.size()] == '/');
    if (!inside) return mount.point;
    rest.remove_prefix(mount.root.size());
  }
  return rest.empty() || rest == "/" ? mount.point : mount.point + std::string(rest);
}

// Calls visit for the folder and each one above it down to the mount.
void walk_up(const CgroupFolder& cgroup, const std::function<void(const std::string&)>& visit) {
  std::string folder = cgroup.folder;
  while (true) {
    visit(folder);
    const std::size_t slash = folder.rfind('/');
    if (folder.size() <= cgroup.mount.size() || slash == std::string::npos) return;
    folder.resize(slash);
  }
}

std::optional<CgroupFolder> own_cgroup(const ReadText& read, std::string_view controller) {
  const auto cgroup = read("/proc/self/cgroup"), mountinfo = read("/proc/self/mountinfo");
  if (!cgroup || !mountinfo) return std::nullopt;
  return find_cgroup(*cgroup, *mountinfo, controller);
}

}  // namespace

std::optional<std::int64_t> parse_number(std::string_view text) {
  text = trim(text);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::vector<int>> parse_cpu_list(std::string_view text) {
  constexpr std::int64_t kHighest = 65535;
  std::vector<int> cpus;
  text = trim(text);
  if (text.empty()) return cpus;
  for (const std::string_view part : split(text, ',')) {
    const std::size_t dash = part.find('-');
    const auto first = parse_number(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_number(part.substr(dash + 1));
    if (!first || !last || *first < 0 || *last < *first || *last > kHighest) return std::nullopt;
    for (std::int64_t cpu = *first; cpu <= *last; ++cpu) cpus.push_back(static_cast<int>(cpu));
    if (cpus.size() > 4 * kHighest) return std::nullopt;
  }
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  text = trim(text);
  if (text.empty()) return std::nullopt;
  int shift = 0;
  if (text.back() == 'K') shift = 10;
  if (text.back() == 'M') shift = 20;
  if (text.back() == 'G') shift = 30;
  if (shift != 0) text.remove_suffix(1);
  const auto value = parse_number(text);
  if (!value || *value < 0 || *value > (INT64_MAX >> shift)) return std::nullopt;
  return static_cast<std::uint64_t>(*value) << shift;
}

std::optional<std::uint64_t> parse_meminfo(std::string_view text, std::string_view key) {
  for (const std::string_view line : split(text, '\n')) {
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ':') continue;
    std::string_view value = trim(line.substr(key.size() + 1));
    if (!value.ends_with(" kB")) return std::nullopt;
    value.remove_suffix(3);
    const auto number = parse_number(value);
    if (!number || *number < 0 || *number > INT64_MAX / 1024) return std::nullopt;
    return static_cast<std::uint64_t>(*number) * 1024;
  }
  return std::nullopt;
}

std::optional<double> parse_cfs_quota(std::string_view quota, std::string_view period) {
  const auto q = parse_number(quota), p = parse_number(period);
  if (!q || !p || *q <= 0 || *p <= 0) return std::nullopt;
  return static_cast<double>(*q) / static_cast<double>(*p);
}

std::optional<double> parse_cpu_max(std::string_view text) {
  text = trim(text);
  const std::size_t space = text.find(' ');
  // Without a period the kernel's default of 100 ms holds.
  return parse_cfs_quota(text.substr(0, space), space == std::string_view::npos ? "100000" : text.substr(space + 1));
}

std::optional<CgroupFolder> find_cgroup(std::string_view proc_cgroup, std::string_view mountinfo,
                                        std::string_view controller) {
  for (const bool v2 : {false, true}) {
    const auto path = find_path(proc_cgroup, v2, controller);
    const auto mount = find_mount(mountinfo, v2, controller);
    if (path && mount) return CgroupFolder{v2, mount->point, folder_of(*mount, *path)};
  }
  return std::nullopt;
}

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::stringstream text;
  text << in.rdbuf();
  return in.bad() ? std::nullopt : std::optional(text.str());
}

std::optional<CpuQuota> find_cpu_quota(const ReadText& read) {
  const auto cgroup = own_cgroup(read, "cpu");
  if (!cgroup) return std::nullopt;
  std::optional<CpuQuota> tightest;
  walk_up(*cgroup, [&](const std::string& folder) {
    std::optional<double> quota;
    const std::string file = folder + (cgroup->v2 ? "/cpu.max" : "/cpu.cfs_quota_us");
    const auto text = read(file);
    if (text && cgroup->v2) quota = parse_cpu_max(*text);
    if (text && !cgroup->v2) {
      if (const auto period = read(folder + "/cpu.cfs_period_us")) quota = parse_cfs_quota(*text, *period);
    }
    if (quota && (!tightest || *quota < tightest->cpus)) tightest = CpuQuota{*quota, file};
  });
  return tightest;
}

std::optional<std::uint64_t> find_memory_limit(const ReadText& read) {
  // v1 writes "no limit" as a number near 2^63.
  constexpr std::int64_t kNoLimit = std::int64_t{1} << 60;
  const auto cgroup = own_cgroup(read, "memory");
  if (!cgroup) return std::nullopt;
  std::optional<std::uint64_t> tightest;
  walk_up(*cgroup, [&](const std::string& folder) {
    const auto text = read(folder + (cgroup->v2 ? "/memory.max" : "/memory.limit_in_bytes"));
    const auto limit = text ? parse_number(*text) : std::nullopt;  // "max" is no number
    if (!limit || *limit <= 0 || *limit >= kNoLimit) return;
    const auto bytes = static_cast<std::uint64_t>(*limit);
    if (!tightest || bytes < *tightest) tightest = bytes;
  });
  return tightest;
}

}  // namespace intaglio::cpu
