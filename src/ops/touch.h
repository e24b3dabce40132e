// Which bytes of its operands each thread touches: told by a binding, so that an executor need not stop all threads
// between two steps that divide a value alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "threads/partition.h"

namespace intaglio::ops {

// A division of an operand's bytes among the threads of a region. Thread i has the units of work that
// threads::partition(units, grain, i, count) gives it; `group` units make an item, and the thread touches the items
// that its units are part of. Item j is bytes [offset + j * item_bytes, offset + (j + 1) * item_bytes) of every row of
// `pitch` bytes, or of the operand if pitch is 0. What lies beyond the row's end does not exist.
struct Division {
  std::int64_t units = 0;
  std::int64_t grain = 1;
  std::int64_t group = 1;
  std::size_t item_bytes = 0;
  std::size_t pitch = 0;
  std::size_t offset = 0;
  friend bool operator==(const Division&, const Division&) = default;
};

struct ByteRange {
  std::size_t begin = 0, end = 0;  // half-open
  bool empty() const { return begin >= end; }
};

// What thread `index` of `count` touches of each row of `row_bytes` bytes (Division::pitch, or the whole operand).
inline ByteRange touched(const Division& division, std::size_t row_bytes, int index, int count) {
  const threads::Span units = threads::partition(division.units, division.grain, index, count);
  if (units.size() == 0) return {};
  const auto first = static_cast<std::size_t>(units.begin / division.group);
  const auto last = static_cast<std::size_t>((units.end - 1) / division.group + 1);
  const auto at = [&](std::size_t item) {
    std::size_t byte = 0;
    const bool beyond = __builtin_mul_overflow(item, division.item_bytes, &byte) ||
                        __builtin_add_overflow(byte, division.offset, &byte);
    return beyond || byte > row_bytes ? row_bytes : byte;
  };
  return {at(first), at(last)};
}

// One operand in one phase. An operand may have several: q, k and v in one.
struct Touch {
  enum class Of : std::uint8_t { input, output, shared_scratch };
  Of of = Of::input;
  int index = 0;  // of the input or output
  int phase = 0;
  bool writes = false;               // it may be read as well; else it is only read
  std::optional<Division> division;  // nullopt: any thread may touch any byte
};

inline Touch reads(int input, int phase, std::optional<Division> division = std::nullopt) {
  return {Touch::Of::input, input, phase, false, division};
}
inline Touch writes(int output, int phase, std::optional<Division> division) {
  return {Touch::Of::output, output, phase, true, division};
}

}  // namespace intaglio::ops
