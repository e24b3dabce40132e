// Counts what this program allocates, in all threads and libraries: every call of malloc and its kin (and so of new),
// and every mapping that is asked for by mmap.
#pragma once

#include <cstdint>

namespace intaglio::bench {

// Calls since the program began.
std::uint64_t allocations();

// Whether malloc, new and mmap are really seen: a count of zero means nothing otherwise.
bool allocations_are_seen();

}  // namespace intaglio::bench
