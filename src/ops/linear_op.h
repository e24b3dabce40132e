// The prepared op of the linear family, what its weights are packed as, and the names of its blobs. Internal to
// linear*.
#pragma once

#include <memory>
#include <vector>

#include "kernels/gemm/layout.h"
#include "kernels/gemm/table.h"
#include "ops/linear.h"

namespace intaglio::ops {

// Blobs, in this order: the packed weight (layout: name_of(layout_of(d))), then those that the descriptor needs.
inline constexpr const char* kBlobColumnSum = "linear_column_sum_i32";      // [N], integer products
inline constexpr const char* kBlobColumnZero = "linear_column_zero_i32";    // [N], if any packed zero point is not 0
inline constexpr const char* kBlobWeightScale = "linear_weight_scale_f32";  // [N]
inline constexpr const char* kBlobGroupScale = "linear_group_scale_f32";    // GroupTable, instead of the above
inline constexpr const char* kBlobGroupZero = "linear_group_zero_f32";      // GroupTable, if weight_zero
inline constexpr const char* kBlobBias = "linear_bias_f32";                 // [N]

// How the weights lie in memory: a function of the descriptor alone, so that a plan runs on any machine.
inline kernels::gemm::Layout layout_of(const LinearDescriptor& d) {
  using kernels::gemm::Layout;
  if (d.weight_bits == 4) return Layout::panels16x8_u4;
  switch (d.weight) {
    case DType::bf16:
      return Layout::panels16x2_bf16;
    case DType::f16:
      return Layout::panels16_f16;
    case DType::f32:
      return Layout::panels16_f32;
    default:
      return Layout::panels16x4_s8;
  }
}
// What is multiplied on a machine: its own 16-bit instructions where it has them, else the operands widened to f32.
kernels::gemm::Types types_of(const LinearDescriptor& d, IsaSet isa);
// k per scale: the descriptor's group, or all of K.
inline std::size_t group_of(const LinearDescriptor& d) {
  const std::size_t group = static_cast<std::size_t>(d.group != 0 ? d.group : d.k);
  return kernels::gemm::round_up(group == 0 ? 1 : group, 32);
}
// Error (usage): the packed weight would exceed the address space.
Result<std::size_t> packed_weight_bytes(const LinearDescriptor& d);

// Errors: see Candidate::pack.
Result<std::vector<Blob>> pack_linear(const LinearDescriptor& descriptor, std::span<const Constant> constants);
// Errors (file): blobs that are missing, of another layout or size; no kernel for this machine.
Result<std::unique_ptr<PreparedOp>> prepare_linear(const LinearDescriptor& descriptor, std::vector<Blob> blobs,
                                                   const Target& target);

}  // namespace intaglio::ops
