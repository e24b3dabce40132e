#include "base/huge_pages.h"

#include <sys/prctl.h>

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <fstream>

namespace intaglio {

std::optional<std::string> huge_pages_refused() {
  constexpr const char* kSetting = "/sys/kernel/mm/transparent_hugepage/enabled";
  std::ifstream file(kSetting);
  std::string modes;  // "always [madvise] never"
  if (!std::getline(file, modes)) return "this kernel has no transparent huge pages";
  if (modes.find("[never]") != std::string::npos) {
    return std::string("transparent huge pages are off (") + kSetting + " says never)";
  }
  if (prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) > 0) return "transparent huge pages are disabled for this process (prctl)";
  return std::nullopt;
}

std::size_t bytes_on_huge_pages(const void* data, std::size_t bytes) {
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  const std::uintptr_t end = begin + bytes;
  std::ifstream maps("/proc/self/smaps");
  std::size_t total = 0;
  std::size_t shared = 0;  // of the mapping at hand: bytes that are ours
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t from = 0;
    std::uintptr_t to = 0;
    std::size_t kilobytes = 0;
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2) {
      shared = std::max(from, begin) < std::min(to, end) ? std::min(to, end) - std::max(from, begin) : 0;
    } else if (shared != 0 && std::sscanf(line.c_str(), "AnonHugePages: %zu kB", &kilobytes) == 1) {
      total += std::min(kilobytes * 1024, shared);
    }
  }
  return total;
}

}  // namespace intaglio
