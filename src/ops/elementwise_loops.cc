#include "ops/elementwise_loops.h"

#include <fmt/format.h>

namespace intaglio::ops {
namespace {

// Strides of an operand along the dims of `out`. Of an empty result nothing is read, and the other dims may be so large
// that their product overflows: its strides mean nothing.
Result<std::vector<std::int64_t>> strides_along(std::span<const std::int64_t> out, const Shape& shape,
                                                std::size_t index, bool empty) {
  if (shape.size() > out.size()) {
    return fail(ErrorCode::usage, fmt::format("operand {} has shape {}, which does not broadcast to {}", index,
                                              to_string(shape), to_string(out)));
  }
  std::vector<std::int64_t> strides(out.size(), 0);
  std::int64_t step = 1;
  const std::size_t shift = out.size() - shape.size();
  for (std::size_t d = shape.size(); d-- > 0;) {
    if (shape[d] != 1 && shape[d] != out[d + shift]) {
      return fail(ErrorCode::usage, fmt::format("operand {} has shape {}, which does not broadcast to {}", index,
                                                to_string(shape), to_string(out)));
    }
    strides[d + shift] = shape[d] == 1 ? 0 : step;
    if (!empty) step *= shape[d];
  }
  return strides;
}

}  // namespace

Result<BroadcastLoops> broadcast_loops(std::span<const std::int64_t> out, std::span<const Shape> operands) {
  BroadcastLoops loops;
  INTAGLIO_TRY(loops.total, element_count(out));
  std::vector<std::vector<std::int64_t>> all;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    INTAGLIO_CHECK(element_count(operands[i]));
    INTAGLIO_TRY(auto strides, strides_along(out, operands[i], i, loops.total == 0));
    all.push_back(std::move(strides));
  }
  loops.strides.resize(operands.size());
  if (loops.total == 0) {
    loops.dims = {0};
    for (auto& strides : loops.strides) strides = {0};
    return loops;
  }
  for (std::size_t d = 0; d < out.size(); ++d) {
    if (out[d] == 1) continue;
    bool merges = !loops.dims.empty();
    for (std::size_t i = 0; i < operands.size() && merges; ++i) merges = loops.strides[i].back() == all[i][d] * out[d];
    if (merges) {
      loops.dims.back() *= out[d];
    } else {
      loops.dims.push_back(out[d]);
    }
    for (std::size_t i = 0; i < operands.size(); ++i) {
      if (merges)
        loops.strides[i].back() = all[i][d];
      else
        loops.strides[i].push_back(all[i][d]);
    }
  }
  if (loops.dims.empty()) {
    loops.dims.push_back(1);
    for (auto& strides : loops.strides) strides.push_back(0);
  }
  return loops;
}

}  // namespace intaglio::ops
