#include "ops/fill.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "base/half.h"

namespace intaglio::ops {

namespace {

template <class T>
std::uint64_t bits_of(T value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

template <class T>
std::uint64_t saturated(double value) {
  if (std::isnan(value)) return 0;
  constexpr double kLow = static_cast<double>(std::numeric_limits<T>::min());
  constexpr double kHigh = static_cast<double>(std::numeric_limits<T>::max());
  if (value <= kLow) return bits_of(std::numeric_limits<T>::min());
  if (value >= kHigh) return bits_of(std::numeric_limits<T>::max());
  return bits_of(static_cast<T>(value));
}

}  // namespace

std::uint64_t element_bits(double value, DType dtype) {
  switch (dtype) {
    case DType::f32:
      return bits_of(static_cast<float>(value));
    case DType::f64:
      return bits_of(value);
    case DType::f16:
      return bits_of(to_float16(value));
    case DType::bf16:
      return bits_of(to_bfloat16(static_cast<float>(value)));
    case DType::i8:
      return saturated<std::int8_t>(value);
    case DType::u8:
      return saturated<std::uint8_t>(value);
    case DType::i16:
      return saturated<std::int16_t>(value);
    case DType::u16:
      return saturated<std::uint16_t>(value);
    case DType::i32:
      return saturated<std::int32_t>(value);
    case DType::u32:
      return saturated<std::uint32_t>(value);
    case DType::i64:
      return saturated<std::int64_t>(value);
    case DType::u64:
      return saturated<std::uint64_t>(value);
    case DType::boolean:
      return value != 0 ? 1 : 0;
  }
  return 0;
}

}  // namespace intaglio::ops
