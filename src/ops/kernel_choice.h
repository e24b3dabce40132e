// Choosing a kernel row: a pure function of the table and of the ISA set. Rows of a table stand lowest level first.
#pragma once

#include <cstddef>

#include "base/isa.h"

namespace intaglio::ops {

// The last row that the ISA set can run and that `fits`; nullptr if there is none.
template <class Row, class Fits>
const Row* best_row(const Row* rows, std::size_t count, IsaSet isa, Fits&& fits) {
  const Row* best = nullptr;
  for (std::size_t i = 0; i < count; ++i) {
    const auto level = parse_isa(rows[i].isa);
    if (level && contains(isa, *level) && fits(rows[i])) best = &rows[i];
  }
  return best;
}

}  // namespace intaglio::ops
