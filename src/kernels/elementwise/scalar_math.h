// The formulas of opcodes.inc for one element of any arithmetic type: the definition the other rows are tested against.
// f32 transcendental functions are evaluated in double and rounded once.
#pragma once

#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/elementwise/elementwise.h"

namespace intaglio::kernels::elementwise {
namespace {

template <class T>
using Unsigned = std::make_unsigned_t<T>;

template <class T>
inline T sigmoid_of(T x) {
  if (x < 0) {
    const T e = std::exp(x);
    return e / (1 + e);
  }
  return 1 / (1 + std::exp(-x));
}

template <Op op, class T>
inline T floating(T x, double alpha, double beta) {
  using Wide = double;
  const auto w = static_cast<Wide>(x);
  if constexpr (op == Op::exp) return static_cast<T>(std::exp(w));
  if constexpr (op == Op::log) return static_cast<T>(std::log(w));
  if constexpr (op == Op::sqrt) return std::sqrt(x);
  if constexpr (op == Op::rsqrt) return T{1} / std::sqrt(x);
  if constexpr (op == Op::reciprocal) return T{1} / x;
  if constexpr (op == Op::erf) return static_cast<T>(std::erf(w));
  if constexpr (op == Op::tanh) return static_cast<T>(std::tanh(w));
  if constexpr (op == Op::sin) return static_cast<T>(std::sin(w));
  if constexpr (op == Op::cos) return static_cast<T>(std::cos(w));
  if constexpr (op == Op::floor) return std::floor(x);
  if constexpr (op == Op::ceil) return std::ceil(x);
  if constexpr (op == Op::round) return std::nearbyint(x);
  if constexpr (op == Op::sigmoid) return static_cast<T>(sigmoid_of(w));
  if constexpr (op == Op::gelu) return static_cast<T>(0.5 * w * (1.0 + std::erf(w * 0.70710678118654752440)));
  if constexpr (op == Op::gelu_tanh) {
    return static_cast<T>(w * sigmoid_of(1.5957691216057307118 * (w + 0.044715 * w * w * w)));
  }
  if constexpr (op == Op::silu) return static_cast<T>(w * sigmoid_of(w));
  const auto held = [](T y) { return y < 0 ? T{0} : y > 1 ? T{1} : y; };
  if constexpr (op == Op::hard_swish) return x * held(x / T{6} + T{0.5});
  if constexpr (op == Op::hard_sigmoid) {
    const T scaled = static_cast<T>(alpha) * x;
    return held(scaled + static_cast<T>(beta));
  }
  return x;
}

// A bound of clamp in the type: saturated, so that -inf and inf stand for "none".
template <class T>
inline T bound(double x) {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(x);
  } else {
    if (x != x) return T{0};
    if (x >= std::ldexp(1.0, std::numeric_limits<T>::digits)) return std::numeric_limits<T>::max();
    if (x <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
    return static_cast<T>(x);
  }
}

template <Op op, class T>
inline T number(T x, double alpha, double beta) {
  if constexpr (op == Op::neg) {
    if constexpr (std::is_floating_point_v<T>)
      return -x;
    else
      return static_cast<T>(Unsigned<T>{0} - static_cast<Unsigned<T>>(x));
  }
  if constexpr (op == Op::abs) {
    if constexpr (std::is_floating_point_v<T>)
      return std::fabs(x);
    else
      return x < T{0} ? static_cast<T>(Unsigned<T>{0} - static_cast<Unsigned<T>>(x)) : x;
  }
  if constexpr (op == Op::sign) return x > T{0} ? T{1} : x < T{0} ? static_cast<T>(-1) : x == x ? T{0} : x;
  if constexpr (op == Op::relu) return x < T{0} ? T{0} : x;
  if constexpr (op == Op::clamp) {
    const T low = bound<T>(alpha), high = bound<T>(beta);
    const T y = x < low ? low : x;
    return y > high ? high : y;
  }
  return x;
}

template <class T>
inline T whole_power(T base, T exponent) {
  using U = Unsigned<T>;
  if (exponent < T{0}) {
    if (base == T{1}) return T{1};
    if (base == static_cast<T>(-1)) return (exponent & 1) != 0 ? static_cast<T>(-1) : T{1};
    return T{0};
  }
  std::uint64_t result = 1, square = static_cast<U>(base);
  for (std::uint64_t e = static_cast<U>(exponent); e != 0; e >>= 1) {
    if ((e & 1) != 0) result *= square;
    square *= square;
  }
  return static_cast<T>(result);
}

template <Op op, class T>
inline T whole(T a, T b) {  // integers; wraps
  using U = Unsigned<T>;
  const auto x = static_cast<std::uint64_t>(a), y = static_cast<std::uint64_t>(b);
  if constexpr (op == Op::add) return static_cast<T>(static_cast<U>(x + y));
  if constexpr (op == Op::sub) return static_cast<T>(static_cast<U>(x - y));
  if constexpr (op == Op::mul) return static_cast<T>(static_cast<U>(x * y));
  if constexpr (op == Op::pow) return whole_power(a, b);
  if constexpr (op == Op::logical_and) return static_cast<T>(a & b);
  if constexpr (op == Op::logical_or) return static_cast<T>(a | b);
  if constexpr (op == Op::logical_xor) return static_cast<T>(a ^ b);
  if (b == T{0}) return T{0};
  if (std::is_signed_v<T> && b == static_cast<T>(-1)) {  // the quotient of the least value would overflow
    return op == Op::div ? static_cast<T>(U{0} - static_cast<U>(a)) : T{0};
  }
  if constexpr (op == Op::div) return static_cast<T>(a / b);
  const T rest = static_cast<T>(a % b);
  if constexpr (op == Op::mod) return rest != T{0} && (rest < T{0}) != (b < T{0}) ? static_cast<T>(rest + b) : rest;
  return rest;
}

template <Op op, class T>
inline T binary(T a, T b) {
  if constexpr (op == Op::minimum) return a < b || a != a ? a : b;
  if constexpr (op == Op::maximum) return a > b || a != a ? a : b;
  if constexpr (std::is_integral_v<T>) {
    return whole<op, T>(a, b);
  } else {
    if constexpr (op == Op::add) return a + b;
    if constexpr (op == Op::sub) return a - b;
    if constexpr (op == Op::mul) return a * b;
    if constexpr (op == Op::div) return a / b;
    if constexpr (op == Op::pow) return static_cast<T>(std::pow(static_cast<double>(a), static_cast<double>(b)));
    if constexpr (op == Op::fmod) return std::fmod(a, b);
    if constexpr (op == Op::mod) {
      const T rest = std::fmod(a, b);
      return rest != T{0} && (rest < T{0}) != (b < T{0}) ? rest + b : rest;
    }
    return a;
  }
}

template <Op op, class T>
inline bool test(T a, T b) {
  if constexpr (op == Op::eq) return a == b;
  if constexpr (op == Op::ne) return a != b;
  if constexpr (op == Op::lt) return a < b;
  if constexpr (op == Op::le) return a <= b;
  if constexpr (op == Op::gt) return a > b;
  if constexpr (op == Op::ge) return a >= b;
  if constexpr (op == Op::isnan) return a != a;
  if constexpr (op == Op::isinf)
    return a == std::numeric_limits<T>::infinity() || a == -std::numeric_limits<T>::infinity();
  if constexpr (op == Op::logical_not) return a == T{0};
  return false;
}

}  // namespace
}  // namespace intaglio::kernels::elementwise
