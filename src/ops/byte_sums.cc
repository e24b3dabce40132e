#include "ops/byte_sums.h"

#include <cstring>

namespace intaglio::ops {
namespace {

// Sum of `count` bytes after an xor with `mask` (0x80 in each byte turns s8 into u8, 128 higher), eight at a time.
std::uint32_t sum_bytes(const std::uint8_t* from, std::size_t count, std::uint64_t mask) {
  constexpr std::uint64_t kLow = 0x00FF00FF00FF00FFull;
  std::uint64_t total = 0;
  while (count >= 8) {
    std::uint64_t lanes = 0;  // four of 16 bits; 128 rounds of two bytes stay below 2^16
    for (int round = 0; round < 128 && count >= 8; ++round, from += 8, count -= 8) {
      std::uint64_t eight;
      std::memcpy(&eight, from, 8);
      eight ^= mask;
      lanes += (eight & kLow) + ((eight >> 8) & kLow);
    }
    total += (lanes & 0xFFFF) + (lanes >> 16 & 0xFFFF) + (lanes >> 32 & 0xFFFF) + (lanes >> 48);
  }
  for (; count != 0; --count) total += *from++ ^ (mask & 0xFF);
  return static_cast<std::uint32_t>(total);
}

}  // namespace

std::uint32_t sum_of_bytes(const void* row, std::size_t count, bool is_signed) noexcept {
  const auto* bytes = static_cast<const std::uint8_t*>(row);
  if (!is_signed) return sum_bytes(bytes, count, 0);
  return sum_bytes(bytes, count, 0x8080808080808080ull) - 128u * static_cast<std::uint32_t>(count);
}

}  // namespace intaglio::ops
