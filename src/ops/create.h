// Family "create": tensors made of attributes and symbolic dims alone.
//   constants: none      inputs: none      one output
//   iota: params = start, step; output 1-D i64, i32 or f32      full: params none; any dtype
//   dims: params = the values; output i64 of that many elements
#pragma once

#include <cstdint>

#include "ops/descriptor.h"

namespace intaglio::ops {

enum class CreateKind : std::uint8_t { iota, full, dims };
inline constexpr int kCreateKinds = 3;

class CreateDescriptor final : public Descriptor {
 public:
  CreateKind kind = CreateKind::full;
  double value = 0;  // full: converted to the dtype

  std::string_view family() const override { return "create"; }
  void fields(FieldVisitor& visitor) override;
  Status validate() const override { return {}; }
  std::unique_ptr<Descriptor> clone() const override { return std::make_unique<CreateDescriptor>(*this); }
};

}  // namespace intaglio::ops
