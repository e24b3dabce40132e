// Conversions to and from f32 over a policy C of one ISA: V (kernels/math), and widen_n / narrow_n per narrow type,
// which touch the first n lanes only. Included by ISA files only.
#pragma once

#include "kernels/elementwise/elementwise.h"

namespace intaglio::kernels::elementwise {
namespace {

template <class C, class From>
void to_f32(const Args& g) {
  constexpr std::size_t kLanes = C::V::kLanes;
  const auto* x = static_cast<const From*>(g.source[0]);
  float* y = static_cast<float*>(g.out);
  std::size_t i = 0;
  if (g.uniform[0]) {
    const auto all = C::widen_n(x, 1);
    float one;
    C::V::store_n(&one, all, 1);
    for (; i < g.count; ++i) y[i] = one;
    return;
  }
  for (; i + kLanes <= g.count; i += kLanes) C::V::store(y + i, C::widen_n(x + i, kLanes));
  if (i < g.count) C::V::store_n(y + i, C::widen_n(x + i, g.count - i), g.count - i);
}

template <class C, class To>
void from_f32(const Args& g) {
  constexpr std::size_t kLanes = C::V::kLanes;
  const auto* x = static_cast<const float*>(g.source[0]);
  To* y = static_cast<To*>(g.out);
  std::size_t i = 0;
  if (g.uniform[0]) {
    To one;
    C::narrow_n(&one, C::V::load_n(x, 1), 1);
    for (; i < g.count; ++i) y[i] = one;
    return;
  }
  for (; i + kLanes <= g.count; i += kLanes) C::narrow_n(y + i, C::V::load(x + i), kLanes);
  if (i < g.count) C::narrow_n(y + i, C::V::load_n(x + i, g.count - i), g.count - i);
}

// f32 -> i32: truncates, saturates, NaN is 0.
template <class V>
typename V::I saturated_i32(typename V::F x) {
  using F = typename V::F;
  const F truncated = V::as_float(V::to_int(x));  // INT_MIN when out of range
  const F high = V::select(V::le(V::set1(2147483648.0f), x), V::as_float(V::set1i(0x7fffffff)), truncated);
  return V::as_int(V::select(V::unordered(x, x), V::set1(0.0f), high));
}

// bool is handled as bytes (a bool object must not be read when it is neither 0 nor 1).
struct Truth {
  std::uint8_t byte;
};

template <class C>
void convert(const Args& g) {
  if (g.to == DType::f32) {
    switch (g.type) {
      case DType::f16:
        return to_f32<C, Float16>(g);
      case DType::bf16:
        return to_f32<C, BFloat16>(g);
      case DType::i32:
        return to_f32<C, std::int32_t>(g);
      case DType::u8:
        return to_f32<C, std::uint8_t>(g);
      case DType::i8:
        return to_f32<C, std::int8_t>(g);
      case DType::boolean:
        return to_f32<C, Truth>(g);
      default:
        return;
    }
  }
  switch (g.to) {
    case DType::f16:
      return from_f32<C, Float16>(g);
    case DType::bf16:
      return from_f32<C, BFloat16>(g);
    case DType::i32:
      return from_f32<C, std::int32_t>(g);
    case DType::boolean:
      return from_f32<C, Truth>(g);
    default:
      return;
  }
}

}  // namespace
}  // namespace intaglio::kernels::elementwise
