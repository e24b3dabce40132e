// Family "gather": ONNX Gather, GatherElements and GatherND.
//   constants: none (a table stays an operand: mapped, never packed)      params: none
//   inputs: data (any dtype), indices (i64 or i32)      output: dtype of data
// Negative indices wrap once. An index out of range reports RunStatus::index_out_of_range and yields zeros there.
#pragma once

#include <cstdint>

#include "ops/descriptor.h"

namespace intaglio::ops {

enum class GatherKind : std::uint8_t { gather, elements, nd };
inline constexpr int kGatherKinds = 3;

class GatherDescriptor final : public Descriptor {
 public:
  GatherKind kind = GatherKind::gather;
  std::int64_t axis = 0;        // gather, elements
  std::int64_t batch_dims = 0;  // nd

  std::string_view family() const override { return "gather"; }
  void fields(FieldVisitor& visitor) override;
  Status validate() const override;
  std::unique_ptr<Descriptor> clone() const override { return std::make_unique<GatherDescriptor>(*this); }
};

}  // namespace intaglio::ops
