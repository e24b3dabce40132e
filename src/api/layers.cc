#include "api/layers.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>

namespace intaglio::internal {

namespace {

// A path in parts, each with the separator before it, so that prefixes join again: "/encoder", "/layer", ".0".
using Parts = std::vector<std::string>;

bool is_separator(char c) {
  return c == '/' || c == '.';
}

Parts split(const std::string& path) {
  Parts parts;
  for (const char c : path) {
    if (parts.empty() || is_separator(c)) parts.emplace_back();
    parts.back() += c;
  }
  std::erase_if(parts, [](const std::string& part) { return part.size() == 1 && is_separator(part[0]); });
  return parts;
}

std::string join(const Parts& parts, std::size_t count) {
  std::string path;
  for (std::size_t i = 0; i < std::min(count, parts.size()); ++i) path += parts[i];
  return !path.empty() && is_separator(path[0]) ? path.substr(1) : path;
}

Parts path_of(const NamedStep& step) {
  if (const std::size_t space = step.source.find(' '); space != std::string::npos)
    return split(step.source.substr(space + 1));
  Parts parts = split(step.node.substr(0, step.node.find(';')));
  if (!parts.empty()) parts.pop_back();
  return parts;
}

// Where the digits at the end of a part begin; its size if there are none.
std::size_t number_at(const std::string& part) {
  const std::size_t last = part.find_last_not_of("0123456789");
  return last == std::string::npos ? 0 : last + 1;
}

std::string stem_of(const Parts& parts, std::size_t i) {
  return join(parts, i) + '\n' + parts[i].substr(0, number_at(parts[i]));
}

std::vector<std::string> by_path(const std::vector<Parts>& paths) {
  std::map<std::string, std::set<std::string>> numbers;
  for (const Parts& parts : paths) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (number_at(parts[i]) < parts[i].size()) numbers[stem_of(parts, i)].insert(parts[i]);
    }
  }
  std::vector<std::size_t> lengths(paths.size(), 0);
  std::size_t common = 1;
  for (std::size_t step = 0; step < paths.size(); ++step) {
    const Parts& parts = paths[step];
    for (std::size_t i = 0; i < parts.size() && lengths[step] == 0; ++i) {
      if (number_at(parts[i]) == parts[i].size() || numbers[stem_of(parts, i)].size() < 2) continue;
      lengths[step] = i + 1;
      common = std::max(common, i);
    }
  }
  std::vector<std::string> out;
  for (std::size_t step = 0; step < paths.size(); ++step)
    out.push_back(join(paths[step], lengths[step] != 0 ? lengths[step] : common));
  return out;
}

// The longest stretch of steps each of which equals the one `period` further on; begin and length.
struct Stretch {
  std::size_t begin = 0, length = 0;
};
Stretch longest(std::span<const NamedStep> steps, std::size_t period) {
  Stretch best, now;
  for (std::size_t i = 0; i + period < steps.size(); ++i) {
    if (steps[i].signature != steps[i + period].signature) {
      now = {i + 1, 0};
    } else if (++now.length > best.length) {
      best = now;
    }
  }
  return best;
}

constexpr std::size_t kLongestBlock = 200;  // steps; keeps the search short for huge graphs

std::vector<std::string> by_repetition(std::span<const NamedStep> steps) {
  std::vector<std::string> out(steps.size());
  Stretch best;
  std::size_t best_period = 0, covered = 0;
  for (std::size_t period = 2; period <= std::min(steps.size() / 2, kLongestBlock); ++period) {
    const Stretch found = longest(steps, period);
    // A short period that covers as much wins: the blocks are then the smallest that repeat.
    if (found.length < period || found.length + period <= covered + covered / 10) continue;
    best = found;
    best_period = period;
    covered = found.length + period;
  }
  if (best_period == 0) return out;
  const std::size_t blocks = (best.length + best_period) / best_period;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (i < best.begin) {
      out[i] = "before";
    } else {
      const std::size_t block = (i - best.begin) / best_period;
      out[i] = block < blocks ? "block " + std::to_string(block + 1) : "after";
    }
  }
  return out;
}

}  // namespace

std::vector<std::string> layers_of(std::span<const NamedStep> steps) {
  std::vector<Parts> paths;
  for (const NamedStep& step : steps) paths.push_back(path_of(step));
  const auto with_path = std::ranges::count_if(paths, [](const Parts& parts) { return !parts.empty(); });
  return 2 * with_path >= std::ssize(paths) ? by_path(paths) : by_repetition(steps);
}

}  // namespace intaglio::internal
