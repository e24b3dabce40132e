// The reference row: every function on every arithmetic type, as plainly as possible. Also what runs where no ISA row
// serves. Loops are written so that the compiler can vectorise the simple ones.
#include "kernels/elementwise/scalar_math.h"
#include "kernels/elementwise/table.h"

namespace intaglio::kernels::elementwise {
namespace {

template <class R, class T, class Fn>
void map1(const Args& g, Fn fn) {
  const auto* x = static_cast<const T*>(g.source[0]);
  auto* y = static_cast<R*>(g.out);
  if (g.uniform[0]) {
    const R value = fn(*x);
    for (std::size_t i = 0; i < g.count; ++i) y[i] = value;
  } else {
    for (std::size_t i = 0; i < g.count; ++i) y[i] = fn(x[i]);
  }
}

template <class R, class T, class Fn>
void map2(const Args& g, Fn fn) {
  const auto* a = static_cast<const T*>(g.source[0]);
  const auto* b = static_cast<const T*>(g.source[1]);
  auto* y = static_cast<R*>(g.out);
  if (g.uniform[0]) {
    const T all = *a;
    for (std::size_t i = 0; i < g.count; ++i) y[i] = fn(all, b[g.uniform[1] ? 0 : i]);
  } else if (g.uniform[1]) {
    const T all = *b;
    for (std::size_t i = 0; i < g.count; ++i) y[i] = fn(a[i], all);
  } else {
    for (std::size_t i = 0; i < g.count; ++i) y[i] = fn(a[i], b[i]);
  }
}

template <class T>
void where(const Args& g) {
  const auto* condition = static_cast<const std::uint8_t*>(g.source[0]);
  const auto* a = static_cast<const T*>(g.source[1]);
  const auto* b = static_cast<const T*>(g.source[2]);
  auto* y = static_cast<T*>(g.out);
  const std::size_t step_c = g.uniform[0] ? 0 : 1, step_a = g.uniform[1] ? 0 : 1, step_b = g.uniform[2] ? 0 : 1;
  for (std::size_t i = 0; i < g.count; ++i) y[i] = condition[i * step_c] != 0 ? a[i * step_a] : b[i * step_b];
}
void where_of_any_type(const Args& g) {
  switch (g.type) {
    case DType::f64:
    case DType::i64:
    case DType::u64:
      return where<std::uint64_t>(g);
    case DType::f32:
    case DType::i32:
    case DType::u32:
      return where<std::uint32_t>(g);
    case DType::f16:
    case DType::bf16:
    case DType::i16:
    case DType::u16:
      return where<std::uint16_t>(g);
    case DType::i8:
    case DType::u8:
    case DType::boolean:
      return where<std::uint8_t>(g);
  }
}

template <class T>
void compare(const Args& g) {
#define CASE(op) \
  case Op::op:   \
    return map2<std::uint8_t, T>(g, [](T a, T b) { return static_cast<std::uint8_t>(test<Op::op>(a, b)); });
  switch (g.op) { CASE(eq) CASE(ne) CASE(lt) CASE(le) CASE(gt) CASE(ge) default : return; }
#undef CASE
}

// x ^ b of floats for the exponents that models use; each within 1 ulp (b = 1, 2, -1 exactly rounded).
template <class T>
bool simple_power(const Args& g) {
  if (!g.uniform[1]) return false;
  const T b = *static_cast<const T*>(g.source[1]);
  if (b == T{2}) return map1<T, T>(g, [](T x) { return x * x; }), true;
  if (b == T{3}) return map1<T, T>(g, [](T x) { return x * x * x; }), true;
  if (b == T{1}) return map1<T, T>(g, [](T x) { return x; }), true;
  if (b == T{-1}) return map1<T, T>(g, [](T x) { return T{1} / x; }), true;
  return false;
}

template <class T>
void apply_floating(const Args& g) {
  const double alpha = g.alpha, beta = g.beta;
#define CASE(op) \
  case Op::op:   \
    return map1<T, T>(g, [=](T x) { return floating<Op::op>(x, alpha, beta); });
#define TEST(op) \
  case Op::op:   \
    return map1<std::uint8_t, T>(g, [](T x) { return static_cast<std::uint8_t>(test<Op::op>(x, x)); });
  switch (g.op) {
    // clang-format off: entries of a table
    CASE(exp) CASE(log) CASE(sqrt) CASE(rsqrt) CASE(reciprocal) CASE(erf) CASE(tanh) CASE(sin) CASE(cos) CASE(floor)
    CASE(ceil) CASE(round) CASE(sigmoid) CASE(gelu) CASE(gelu_tanh) CASE(silu) CASE(hard_swish) CASE(hard_sigmoid)
    TEST(isnan) TEST(isinf)
        // clang-format on
        default : return;
  }
#undef CASE
#undef TEST
}

template <class T>
void apply_bits(const Args& g) {
#define CASE(op) \
  case Op::op:   \
    return map2<T, T>(g, [](T a, T b) { return whole<Op::op>(a, b); });
  switch (g.op) { CASE(logical_and) CASE(logical_or) CASE(logical_xor) default : return; }
#undef CASE
}

template <class T>
void apply_number(const Args& g) {
  const double alpha = g.alpha, beta = g.beta;
  if constexpr (std::is_floating_point_v<T>) {
    if (g.op == Op::pow && simple_power<T>(g)) return;
  }
#define UNARY(op) \
  case Op::op:    \
    return map1<T, T>(g, [=](T x) { return number<Op::op>(x, alpha, beta); });
#define BINARY(op) \
  case Op::op:     \
    return map2<T, T>(g, [](T a, T b) { return binary<Op::op>(a, b); });
  switch (g.op) {
    // clang-format off: entries of a table
    UNARY(neg) UNARY(abs) UNARY(sign) UNARY(relu) UNARY(clamp)
    BINARY(add) BINARY(sub) BINARY(mul) BINARY(div) BINARY(pow) BINARY(mod) BINARY(fmod) BINARY(minimum) BINARY(maximum)
      // clang-format on
      case Op::eq:
  case Op::ne:
  case Op::lt:
  case Op::le:
  case Op::gt:
  case Op::ge:
    return compare<T>(g);
    default : break;
  }
#undef UNARY
#undef BINARY
  if constexpr (std::is_floating_point_v<T>)
    apply_floating<T>(g);
  else
    apply_bits<T>(g);
}

// bool: bytes taken as 0 or 1, whatever non-zero value they hold.
void apply_boolean(const Args& g) {
#define CASE(op, expression)                                                        \
  case Op::op:                                                                      \
    return map2<std::uint8_t, std::uint8_t>(g, [](std::uint8_t x, std::uint8_t y) { \
      const bool a = x != 0, b = y != 0;                                            \
      return static_cast<std::uint8_t>(expression);                                 \
    });
  switch (g.op) {
    // clang-format off: entries of a table
    CASE(eq, a == b) CASE(ne, a != b) CASE(lt, !a && b) CASE(le, !a || b) CASE(gt, a && !b) CASE(ge, a || !b)
    CASE(logical_and, a && b) CASE(logical_or, a || b) CASE(logical_xor, a != b)
      // clang-format on
      case Op::logical_not:
    return map1<std::uint8_t, std::uint8_t>(g, [](std::uint8_t x) { return static_cast<std::uint8_t>(x == 0); });
    default : return;
  }
#undef CASE
}

}  // namespace

void apply_any_1x1_1x1_scalar(const Args& args) {
  if (args.op == Op::where) return where_of_any_type(args);
  switch (args.type) {
    case DType::f32:
      return apply_number<float>(args);
    case DType::f64:
      return apply_number<double>(args);
    case DType::i8:
      return apply_number<std::int8_t>(args);
    case DType::u8:
      return apply_number<std::uint8_t>(args);
    case DType::i16:
      return apply_number<std::int16_t>(args);
    case DType::u16:
      return apply_number<std::uint16_t>(args);
    case DType::i32:
      return apply_number<std::int32_t>(args);
    case DType::u32:
      return apply_number<std::uint32_t>(args);
    case DType::i64:
      return apply_number<std::int64_t>(args);
    case DType::u64:
      return apply_number<std::uint64_t>(args);
    case DType::boolean:
      return apply_boolean(args);
    case DType::f16:
    case DType::bf16:
      return;  // converted by the caller
  }
}

}  // namespace intaglio::kernels::elementwise
