// Arena offsets as a pure function of lifetimes and sizes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace intaglio::plan {

// A buffer that must exist from step `first` (which writes it) to step `last` (which reads it last), both inclusive.
struct Lifetime {
  std::size_t bytes = 0;
  int first = 0;
  int last = 0;
};

inline constexpr std::size_t kUnlayable = SIZE_MAX;

struct ArenaLayout {
  std::vector<std::size_t> offsets;  // one per lifetime, multiples of 64
  std::size_t bytes = 0;             // the whole arena; kUnlayable if the sizes do not add up in 63 bits
  std::size_t peak_live = 0;         // the most bytes alive at one step: the lower bound for any layout
};

// Greedy by size: the largest buffer first, each at the lowest offset that overlaps no placed buffer alive at the same
// time. Deterministic: ties go by index. Sizes are rounded up to 64.
ArenaLayout lay_out(std::span<const Lifetime> lifetimes);

}  // namespace intaglio::plan
