// The reference conversions between all types. Integer to float rounds to nearest even; 16-bit floats as base/half.h.
#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/elementwise/table.h"
#include "kernels/math/scalar_half.h"

namespace intaglio::kernels::elementwise {
namespace {

template <class To, class From>
To saturated(From x) {  // truncates; NaN is 0
  if (x != x) return To{0};
  // Both bounds are powers of two (or 0): exact in every float type.
  const From above = std::ldexp(From{1}, std::numeric_limits<To>::digits);
  const From below = std::is_signed_v<To> ? -above : From{-1};
  if (x >= above) return std::numeric_limits<To>::max();
  if (std::is_signed_v<To> ? x < below : x <= below) return std::numeric_limits<To>::min();
  return static_cast<To>(x);
}

template <class To, class From>
To converted(From x) {
  if constexpr (std::is_same_v<From, Float16> || std::is_same_v<From, BFloat16>) {
    if constexpr (std::is_same_v<From, To>)
      return x;
    else
      return converted<To>(math::widened(x));
  } else if constexpr (std::is_same_v<To, Float16>) {
    return math::narrowed_f16(static_cast<double>(x));
  } else if constexpr (std::is_same_v<To, BFloat16>) {
    return math::narrowed_bf16(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != From{0};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    return saturated<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

template <class To, class From>
void run(const Args& g) {
  const auto* x = static_cast<const From*>(g.source[0]);
  auto* y = static_cast<To*>(g.out);
  if (g.uniform[0]) {
    const To value = converted<To>(*x);
    for (std::size_t i = 0; i < g.count; ++i) y[i] = value;
    return;
  }
  for (std::size_t i = 0; i < g.count; ++i) y[i] = converted<To>(x[i]);
}

// Any non-zero byte is true.
template <class To>
void from_truth(const Args& g) {
  const auto* x = static_cast<const std::uint8_t*>(g.source[0]);
  auto* y = static_cast<To*>(g.out);
  for (std::size_t i = 0; i < g.count; ++i)
    y[i] = converted<To>(static_cast<std::uint8_t>(x[g.uniform[0] ? 0 : i] != 0));
}

template <class To>
void to(const Args& g) {
  switch (g.type) {
    case DType::f32:
      return run<To, float>(g);
    case DType::f64:
      return run<To, double>(g);
    case DType::f16:
      return run<To, Float16>(g);
    case DType::bf16:
      return run<To, BFloat16>(g);
    case DType::i8:
      return run<To, std::int8_t>(g);
    case DType::u8:
      return run<To, std::uint8_t>(g);
    case DType::i16:
      return run<To, std::int16_t>(g);
    case DType::u16:
      return run<To, std::uint16_t>(g);
    case DType::i32:
      return run<To, std::int32_t>(g);
    case DType::u32:
      return run<To, std::uint32_t>(g);
    case DType::i64:
      return run<To, std::int64_t>(g);
    case DType::u64:
      return run<To, std::uint64_t>(g);
    case DType::boolean:
      return from_truth<To>(g);
  }
}

}  // namespace

void convert_any_1x1_1x1_scalar(const Args& args) {
  switch (args.to) {
    case DType::f32:
      return to<float>(args);
    case DType::f64:
      return to<double>(args);
    case DType::f16:
      return to<Float16>(args);
    case DType::bf16:
      return to<BFloat16>(args);
    case DType::i8:
      return to<std::int8_t>(args);
    case DType::u8:
      return to<std::uint8_t>(args);
    case DType::i16:
      return to<std::int16_t>(args);
    case DType::u16:
      return to<std::uint16_t>(args);
    case DType::i32:
      return to<std::int32_t>(args);
    case DType::u32:
      return to<std::uint32_t>(args);
    case DType::i64:
      return to<std::int64_t>(args);
    case DType::u64:
      return to<std::uint64_t>(args);
    case DType::boolean:
      return to<bool>(args);
  }
}

}  // namespace intaglio::kernels::elementwise
