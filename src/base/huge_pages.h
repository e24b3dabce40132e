// What became of the advice to use huge pages: transparent ones of 2 MiB, which the kernel grants or not.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace intaglio {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Why this process gets none, in one sentence; nullopt if it may get some.
std::optional<std::string> huge_pages_refused();

// How many of these bytes lie on huge pages now, by /proc/self/smaps; 0 where that cannot be read. The kernel tells
// per mapping and may have joined neighbours to one: then the result may count pages of a neighbour, never more than
// `bytes`.
std::size_t bytes_on_huge_pages(const void* data, std::size_t bytes);

}  // namespace intaglio
