// Strided copies: the loops under the family "copy".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/shape.h"

namespace intaglio::ops {

// output[dst_offset + sum i*dst_stride] = input[src_offset + sum i*src_stride] for every index of dims. Strides and
// offsets in elements; source strides may be 0 (repeat) or negative (reversed slices). Collapsed: no dim of 1, no two
// dims that could be one. rank 0 copies one element.
struct StridedCopy {
  int source = 0;  // index of the operand; -1: fill with the fill element
  int rank = 0;
  std::array<std::int64_t, kMaxRank> dims{};
  std::array<std::int64_t, kMaxRank> src_stride{};
  std::array<std::int64_t, kMaxRank> dst_stride{};
  std::int64_t src_offset = 0;
  std::int64_t dst_offset = 0;

  std::int64_t rows() const;  // product of all dims but the last
  // What is split between threads: rows, or the elements of the one row there is. `grain` of them make a share
  // worthwhile.
  struct Work {
    std::int64_t items = 0;
    std::int64_t grain = 1;
    bool elements = false;
  };
  Work work(std::size_t element) const;
};

// Removes dims of 1 and merges neighbours that are contiguous in both.
void collapse(StridedCopy& copy);

// Copies the items [begin, end) of work(). element is the size in bytes: 1, 2, 4 or 8. `fill` points to one element
// (source -1).
void run_strided(const StridedCopy& copy, std::size_t element, const void* input, void* output, const void* fill,
                 std::int64_t begin, std::int64_t end) noexcept;

}  // namespace intaglio::ops
