// The prepared op of the linear family, and the names of its blobs. Internal to linear*.
#pragma once

#include <memory>
#include <vector>

#include "ops/linear.h"
#include "ops/linear_loops.h"

namespace intaglio::ops {

// Blobs, in this order: the packed weight (layout: name_of(layout_of(d))), then those that the descriptor needs.
inline constexpr const char* kBlobColumnSum = "linear_column_sum_i32";      // [N], integer weights
inline constexpr const char* kBlobColumnZero = "linear_column_zero_i32";    // [N], if any packed zero point is not 0
inline constexpr const char* kBlobWeightScale = "linear_weight_scale_f32";  // [N]
inline constexpr const char* kBlobBias = "linear_bias_f32";                 // [N]

inline kernels::gemm::Types types_of(const LinearDescriptor& d) {
  return d.input == DType::f32 ? kernels::gemm::Types::f32 : kernels::gemm::Types::u8s8i32;
}
inline kernels::gemm::Layout layout_of(const LinearDescriptor& d) {
  return d.input == DType::f32 ? kernels::gemm::Layout::panels16_f32 : kernels::gemm::Layout::panels16x4_s8;
}
// Error (usage): the packed weight would exceed the address space.
Result<std::size_t> packed_weight_bytes(const LinearDescriptor& d);

// Errors (file): blobs that are missing, of another layout or size; no kernel for this machine.
Result<std::unique_ptr<PreparedOp>> prepare_linear(const LinearDescriptor& descriptor, std::vector<Blob> blobs,
                                                   const Target& target);

}  // namespace intaglio::ops
