// Family "copy": transpose, expand, slice, concat and pad: every one is a few strided copies from operands to the
// output.
//   constants: none       params: slice: starts of all axes, then ends; pad: before of all axes; others: none
//   inputs: x (concat: the parts)      output: any dtype, the same as the inputs
#pragma once

#include <cstdint>
#include <vector>

#include "ops/descriptor.h"

namespace intaglio::ops {

enum class CopyKind : std::uint8_t { transpose, expand, slice, concat, pad };
inline constexpr int kCopyKinds = 5;

class CopyDescriptor final : public Descriptor {
 public:
  CopyKind kind = CopyKind::transpose;
  std::vector<std::int64_t> perm;   // transpose: output axis i is input axis perm[i]
  std::vector<std::int64_t> axes;   // slice: the sliced axes, in the order of starts and ends
  std::vector<std::int64_t> steps;  // slice: per sliced axis, not 0
  std::int64_t axis = 0;            // concat
  double value = 0;                 // pad: converted to the dtype

  std::string_view family() const override { return "copy"; }
  void fields(FieldVisitor& visitor) override;
  Status validate() const override;
  std::unique_ptr<Descriptor> clone() const override { return std::make_unique<CopyDescriptor>(*this); }
};

}  // namespace intaglio::ops
