// Sums of rows of 8-bit integers, which zero points of the other operand need. Internal to ops.
#pragma once

#include <cstddef>
#include <cstdint>

namespace intaglio::ops {

// Of `count` values, i8 if is_signed, else u8; modulo 2^32.
std::uint32_t sum_of_bytes(const void* row, std::size_t count, bool is_signed) noexcept;

}  // namespace intaglio::ops
