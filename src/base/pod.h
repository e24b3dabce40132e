// Plain structs and enums shared by every room, the kernels included. No functions live here, so that a file
// compiled for a newer ISA can include it without emitting code that older machines might link.
#pragma once

#include <cstddef>
#include <cstdint>

namespace intaglio {

// Element types of tensors. The order is part of the plan file format: append only.
enum class DType : std::uint8_t { f32, f64, f16, bf16, i8, u8, i16, u16, i32, u32, i64, u64, boolean };

// Storage formats; arithmetic happens in f32 (see base/half.h for the conversions).
struct Float16 {
  std::uint16_t bits;
};
struct BFloat16 {
  std::uint16_t bits;
};

// A set of ISA levels (base/isa.inc); bit i is level i.
struct IsaSet {
  std::uint32_t bits;
};

}  // namespace intaglio
