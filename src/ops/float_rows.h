// Rows of any floating type as f32 and back, for ops whose kernels are f32 only. Internal to ops.
#pragma once

#include <cstddef>

#include "base/dtype.h"
#include "ops/elementwise_loops.h"
#include "ops/elementwise_op.h"

namespace intaglio::ops {

inline void convert_elements(const ElementwiseKernels& kernels, DType from, const void* x, DType to, void* y,
                             std::size_t count, bool uniform = false) noexcept {
  kernels::elementwise::Args args;
  args.op = ElementwiseOp::cast;
  args.type = from;
  args.to = to;
  args.source[0] = x;
  args.uniform[0] = uniform;
  args.out = y;
  args.count = count;
  convert_row(kernels, from, to).kernel(args);
}

// A broadcast operand (operand `index` of the loops, of type `from`) written out in full as type `to`.
inline void expand_elements(const ElementwiseKernels& kernels, const BroadcastLoops& loops, std::size_t index,
                            DType from, const void* x, DType to, void* y) noexcept {
  if (loops.total == 0) return;
  const auto inner = static_cast<std::size_t>(loops.inner());
  const auto& strides = loops.strides[index];
  for (std::int64_t row = 0; row < loops.total / loops.inner(); ++row) {
    std::int64_t at = 0, rest = row;
    for (std::size_t d = loops.dims.size() - 1; d-- > 0;) {
      at += rest % loops.dims[d] * strides[d];
      rest /= loops.dims[d];
    }
    convert_elements(kernels, from, static_cast<const std::byte*>(x) + static_cast<std::size_t>(at) * size_of(from), to,
                     static_cast<std::byte*>(y) + static_cast<std::size_t>(row) * inner * size_of(to), inner,
                     strides.back() == 0);
  }
}

}  // namespace intaglio::ops
