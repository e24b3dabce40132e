// The names in "a; b", which passes make of the nodes that they merge. Internal to api/.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace intaglio::internal {

inline std::vector<std::string_view> names_in(std::string_view node) {
  std::vector<std::string_view> names;
  for (std::size_t from = 0; from <= node.size();) {
    const std::size_t end = std::min(node.find("; ", from), node.size());
    names.push_back(node.substr(from, end - from));
    from = end + 2;
  }
  return names;
}

// Have two such lists a name in common? What has no name is nobody's.
inline bool shares_name(std::string_view a, std::string_view b) {
  const auto theirs = names_in(b);
  return std::ranges::any_of(names_in(a), [&](std::string_view name) {
    return !name.empty() && std::ranges::find(theirs, name) != theirs.end();
  });
}

}  // namespace intaglio::internal
