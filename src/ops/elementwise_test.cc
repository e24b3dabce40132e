// Elementwise programs against formulas in double and 64-bit integers, over types, broadcasting patterns and threads.
#include "ops/elementwise.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>

#include <fmt/format.h>

#include "base/half.h"
#include "ops/linear_test_util.h"

namespace intaglio::ops {
namespace {

using Op = ElementwiseOp;

constexpr DType kTypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i8,  DType::u8,     DType::i16,
                            DType::u16, DType::i32, DType::u32, DType::i64,  DType::u64, DType::boolean};

template <class Fn>
auto with_type(DType type, Fn fn) {
  switch (type) {
    case DType::f32:
      return fn(float{});
    case DType::f64:
      return fn(double{});
    case DType::f16:
      return fn(Float16{});
    case DType::bf16:
      return fn(BFloat16{});
    case DType::i8:
      return fn(std::int8_t{});
    case DType::u8:
      return fn(std::uint8_t{});
    case DType::i16:
      return fn(std::int16_t{});
    case DType::u16:
      return fn(std::uint16_t{});
    case DType::i32:
      return fn(std::int32_t{});
    case DType::u32:
      return fn(std::uint32_t{});
    case DType::i64:
      return fn(std::int64_t{});
    case DType::u64:
      return fn(std::uint64_t{});
    case DType::boolean:
      return fn(std::uint8_t{});
  }
  return fn(float{});
}
template <class T>
T narrow(double x) {
  if constexpr (std::is_same_v<T, Float16>)
    return to_float16(x);
  else if constexpr (std::is_same_v<T, BFloat16>)
    return to_bfloat16(static_cast<float>(x));
  else
    return static_cast<T>(x);
}
template <class T>
double widen(T x) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>)
    return to_float(x);
  else
    return static_cast<double>(x);
}

TestTensor tensor(DType type, const Shape& shape, const std::vector<double>& values) {
  TestTensor t{{type, shape}, std::vector<std::byte>(values.size() * size_of(type))};
  with_type(type, [&](auto zero) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto x = narrow<decltype(zero)>(values[i]);
      std::memcpy(t.bytes.data() + i * sizeof x, &x, sizeof x);
    }
  });
  return t;
}
std::vector<double> values_of(const TestTensor& t) {
  return with_type(t.type.dtype, [&](auto zero) {
    std::vector<double> out;
    for (const auto x : t.values<decltype(zero)>()) out.push_back(widen(x));
    return out;
  });
}

Result<TestTensor> run(const ElementwiseDescriptor& d, const Target& target, const std::vector<TestTensor>& inputs,
                       const Shape& shape) {
  const Candidate* candidate = find_candidate("intaglio.elementwise", own_candidates());
  INTAGLIO_TRY(const auto op, candidate->prepare(d, {}, target));
  TestTensor first;
  for (const int threads : {1, 2, 3, 7}) {
    INTAGLIO_TRY(auto result, run_op(*op, inputs, {{d.result_type(), shape}}, threads));
    if (threads == 1) first = result[0];
    EXPECT_EQ(result[0].bytes, first.bytes) << threads << " threads";
  }
  return first;
}

// The element of a broadcast operand that belongs to element `linear` of `out`.
std::size_t source_index(const Shape& out, const Shape& shape, std::size_t linear) {
  std::size_t at = 0, step = 1;
  for (std::size_t d = out.size(); d-- > 0;) {
    const auto i = linear % static_cast<std::size_t>(out[d]);
    linear /= static_cast<std::size_t>(out[d]);
    if (d + shape.size() < out.size()) continue;
    const auto dim = static_cast<std::size_t>(shape[d + shape.size() - out.size()]);
    at += dim == 1 ? 0 : i * step;
    step *= dim;
  }
  return at;
}

double floor_mod(double a, double b) {
  return a - std::floor(a / b) * b;
}

// Formulas of the op table on doubles; integers are tested with values whose results are exact in double.
double formula(Op op, bool integer, double a, double b, double c) {
  const auto hold = [](double x) { return std::min(std::max(x, 0.0), 1.0); };
  switch (op) {
    case Op::neg:
      return -a;
    case Op::abs:
      return std::fabs(a);
    case Op::sign:
      return a > 0 ? 1 : a < 0 ? -1 : 0;
    case Op::exp:
      return std::exp(a);
    case Op::log:
      return std::log(a);
    case Op::sqrt:
      return std::sqrt(a);
    case Op::rsqrt:
      return 1 / std::sqrt(a);
    case Op::reciprocal:
      return 1 / a;
    case Op::erf:
      return std::erf(a);
    case Op::tanh:
      return std::tanh(a);
    case Op::sin:
      return std::sin(a);
    case Op::cos:
      return std::cos(a);
    case Op::floor:
      return std::floor(a);
    case Op::ceil:
      return std::ceil(a);
    case Op::round:
      return std::nearbyint(a);
    case Op::sigmoid:
      return 1 / (1 + std::exp(-a));
    case Op::relu:
      return std::max(a, 0.0);
    case Op::gelu:
      return 0.5 * a * std::erfc(-a / std::sqrt(2.0));
    case Op::gelu_tanh:
      return 0.5 * a * (1 + std::tanh(std::sqrt(2 / M_PI) * (a + 0.044715 * a * a * a)));
    case Op::silu:
      return a / (1 + std::exp(-a));
    case Op::hard_swish:
      return a * hold(a / 6 + 0.5);
    case Op::hard_sigmoid:
      return hold(0.25 * a + 0.5);
    case Op::clamp:
      return std::min(std::max(a, 0.25), 0.5);
    case Op::logical_not:
      return a == 0;
    case Op::isnan:
    case Op::isinf:
      return 0;
    case Op::add:
      return a + b;
    case Op::sub:
      return a - b;
    case Op::mul:
      return a * b;
    case Op::div:
      return integer ? (b == 0 ? 0 : std::trunc(a / b)) : a / b;
    case Op::pow:
      return integer ? std::trunc(std::pow(a, b)) : std::pow(a, b);
    case Op::mod:
      return integer && b == 0 ? 0 : floor_mod(a, b);
    case Op::fmod:
      return integer && b == 0 ? 0 : std::fmod(a, b);
    case Op::minimum:
      return std::min(a, b);
    case Op::maximum:
      return std::max(a, b);
    case Op::eq:
      return a == b;
    case Op::ne:
      return a != b;
    case Op::lt:
      return a < b;
    case Op::le:
      return a <= b;
    case Op::gt:
      return a > b;
    case Op::ge:
      return a >= b;
    case Op::logical_and:
      return static_cast<double>(static_cast<std::int64_t>(a) & static_cast<std::int64_t>(b));
    case Op::logical_or:
      return static_cast<double>(static_cast<std::int64_t>(a) | static_cast<std::int64_t>(b));
    case Op::logical_xor:
      return static_cast<double>(static_cast<std::int64_t>(a) ^ static_cast<std::int64_t>(b));
    case Op::where:
      return a != 0 ? b : c;
    case Op::cast:
    case Op::constant:
      return a;
  }
  return 0;
}

double tolerance(DType type) {
  switch (type) {
    case DType::f64:
      return 1e-13;
    case DType::f32:
      return 1e-6;
    case DType::f16:
      return 0x1p-9;
    case DType::bf16:
      return 0x1p-6;
    default:
      return 0;
  }
}

// Values for which formulas are exact or well conditioned: positive for log and powers, small for integers.
std::vector<double> sources_for(Op op, DType type, std::size_t count, std::size_t operand, TestRandom& random) {
  std::vector<double> out;
  const bool powers = op == Op::pow;
  const bool is_signed = is_floating(type) || is_signed_integer(type);
  const bool positive =
      op == Op::log || op == Op::sqrt || op == Op::rsqrt || op == Op::reciprocal || powers || !is_signed;
  for (const float x : random.floats(count, positive ? 0.25f : -6.0f, powers && !is_floating(type) ? 2.9f : 6.0f)) {
    double v = std::round(x * 4) / 4;
    if (type == DType::boolean)
      v = x > 2 ? 1 : 0;
    else if (!is_floating(type))
      v = std::trunc(x);
    if (is_floating(type) && operand == 1 && v == 0) v = 0.5;  // divisors
    out.push_back(op == Op::sub && !is_signed && operand == 0 ? v + 8 : v);
  }
  return out;
}

// Ops that are not defined for a type are left out; the others are counted in `ran`.
void check_op(Op op, DType type, const std::vector<Shape>& shapes, const Shape& out, TestRandom& random,
              int* ran = nullptr) {
  std::vector<DType> types(shapes.size(), type);
  if (op == Op::where) types[0] = DType::boolean;
  ElementwiseDescriptor d = single_elementwise(op, types);
  d.program[0].alpha = 0.25;
  d.program[0].beta = 0.5;
  if (!d.validate()) return;
  if (ran != nullptr) ++*ran;
  std::vector<TestTensor> inputs;
  std::vector<std::vector<double>> values;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    inputs.push_back(tensor(types[i], shapes[i],
                            sources_for(op, types[i], static_cast<std::size_t>(*element_count(shapes[i])), i, random)));
    values.push_back(values_of(inputs.back()));
  }
  for (const Target& target : test_targets()) {
    const auto result = run(d, target, inputs, out);
    ASSERT_TRUE(result) << result.error().to_string();
    const std::vector<double> got = values_of(*result);
    for (std::size_t i = 0; i < got.size(); ++i) {
      const auto at = [&](std::size_t k) { return k < shapes.size() ? values[k][source_index(out, shapes[k], i)] : 0; };
      double expected = formula(op, is_integer(type), at(0), at(1), at(2));
      if (op == Op::clamp && !is_floating(type)) expected = std::min(std::max(at(0), 0.0), 0.0);
      if (op == Op::neg && is_unsigned_integer(type)) {
        expected = with_type(type, [&](auto zero) {
          if constexpr (std::is_unsigned_v<decltype(zero)>)
            return static_cast<double>(static_cast<decltype(zero)>(0ull - static_cast<unsigned long long>(at(0))));
          else
            return 0.0;
        });
      }
      ASSERT_NEAR(got[i], expected, tolerance(d.result_type()) * std::max(1.0, std::fabs(expected)))
          << name_of(op) << " of " << name_of(type) << ": " << at(0) << ", " << at(1) << ", " << at(2);
    }
  }
}

TEST(Elementwise, EveryOpOnEveryType) {
  TestRandom random(1);
  int ran = 0;
  for (int o = 0; o < static_cast<int>(Op::cast); ++o) {
    const auto op = static_cast<Op>(o);
    for (const DType type : kTypes) {
      const std::vector<Shape> same(static_cast<std::size_t>(source_count(op)), Shape{3, 45});
      check_op(op, type, same, {3, 45}, random, &ran);
    }
  }
  // 20 floating ops (4 types), 14 number ops (12), 3 bitwise (9), 1 of bool, 6 comparisons and where (13).
  EXPECT_EQ(ran, 20 * 4 + 14 * 12 + 3 * 9 + 1 + 7 * 13);
}

TEST(Elementwise, BroadcastingPatterns) {
  TestRandom random(2);
  struct Pattern {
    Shape a, b, out;
  };
  const Pattern patterns[] = {
      {{}, {}, {}},
      {{1}, {}, {1}},
      {{5}, {1}, {5}},
      {{2, 3, 4}, {4}, {2, 3, 4}},
      {{2, 3, 4}, {3, 1}, {2, 3, 4}},
      {{2, 1, 4}, {1, 3, 1}, {2, 3, 4}},
      {{7, 1}, {1, 9}, {7, 9}},
      {{2, 3, 300}, {300}, {2, 3, 300}},
      {{2, 3, 300}, {2, 1, 300}, {2, 3, 300}},
      {{2, 3, 300}, {2, 3, 1}, {2, 3, 300}},
      {{4, 1}, {4, 2500}, {4, 2500}},
      {{1, 1, 1}, {2, 2, 600}, {2, 2, 600}},
      {{3000}, {3000}, {3000}},
      {{2, 1, 3, 1, 5}, {1, 4, 1, 2, 1}, {2, 4, 3, 2, 5}},
      {{0}, {1}, {0}},
      {{1ll << 60, 1ll << 60, 0}, {0}, {1ll << 60, 1ll << 60, 0}},
      {{2, 0, 3}, {3}, {2, 0, 3}},
      {{2, 700, 3}, {700, 1}, {2, 700, 3}},
      {{500, 3}, {1, 3}, {500, 3}},
  };
  for (const Pattern& p : patterns) {
    for (const DType type : {DType::f32, DType::i64, DType::f16, DType::i8}) {
      check_op(Op::sub, type, {p.a, p.b}, p.out, random);
      check_op(Op::add, type, {p.b, p.a}, p.out, random);
      check_op(Op::lt, type, {p.a, p.b}, p.out, random);
      check_op(Op::where, type, {p.a, p.b, p.a}, p.out, random);
    }
  }
}

// e^x * b where a < b, else a constant, through one program; and the same in three runs.
TEST(Elementwise, ProgramsEqualTheirParts) {
  TestRandom random(3);
  for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::f64}) {
    ElementwiseDescriptor d;
    const auto a = d.add_operand(type), b = d.add_operand(type);
    const auto e = d.add_instruction({.op = Op::exp, .source = {a, -1, -1}});
    const auto product = d.add_instruction({.op = Op::mul, .source = {e, b, -1}});
    const auto less = d.add_instruction({.op = Op::lt, .source = {a, b, -1}});
    const auto constant = d.add_instruction({.op = Op::constant, .to = type, .alpha = 2.5});
    d.add_instruction({.op = Op::where, .source = {less, product, constant}});
    ASSERT_TRUE(d.validate());
    for (const auto& [sa, sb, out] : {std::tuple<Shape, Shape, Shape>{{2, 1500}, {1500}, {2, 1500}},
                                      {{40, 7}, {40, 1}, {40, 7}},
                                      {{1}, {1}, {1}}}) {
      const TestTensor ta =
          tensor(type, sa, sources_for(Op::add, type, static_cast<std::size_t>(*element_count(sa)), 0, random));
      const TestTensor tb =
          tensor(type, sb, sources_for(Op::add, type, static_cast<std::size_t>(*element_count(sb)), 0, random));
      for (const Target& target : test_targets()) {
        const DType one[] = {type}, two[] = {type, type};
        const auto whole = run(d, target, {ta, tb}, out);
        ASSERT_TRUE(whole) << whole.error().to_string();
        const auto exp = run(single_elementwise(Op::exp, one), target, {ta}, sa);
        const auto mul = run(single_elementwise(Op::mul, two), target, {*exp, tb}, out);
        const auto va = values_of(ta), vb = values_of(tb), vm = values_of(*mul), got = values_of(*whole);
        for (std::size_t i = 0; i < got.size(); ++i) {
          const bool chosen = va[source_index(out, sa, i)] < vb[source_index(out, sb, i)];
          ASSERT_EQ(got[i], chosen ? vm[i] : 2.5) << name_of(type) << " " << i;
        }
      }
    }
  }
}

// Long programs reuse tile buffers: x -> x + 1 -> ... with an early value used at the end.
TEST(Elementwise, BuffersAreReusedSafely) {
  ElementwiseDescriptor d;
  const auto x = d.add_operand(DType::f32);
  const auto one = d.add_instruction({.op = Op::constant, .to = DType::f32, .alpha = 1});
  const auto early = d.add_instruction({.op = Op::add, .source = {x, one, -1}});
  auto value = early;
  for (int i = 0; i < 60; ++i) {
    const auto twice = d.add_instruction({.op = Op::add, .source = {value, one, -1}});
    value = d.add_instruction({.op = Op::add, .source = {twice, value, -1}});
    value = d.add_instruction({.op = Op::sub, .source = {value, twice, -1}});
    value = d.add_instruction({.op = Op::add, .source = {value, one, -1}});
  }
  d.add_instruction({.op = Op::add, .source = {value, early, -1}});
  TestRandom random(4);
  std::vector<float> values = random.floats(2000, 0, 4);
  for (float& v : values) v = std::round(v);
  const auto y = run(d, test_targets().back(), {TestTensor::of({2000}, values)}, {2000});
  ASSERT_TRUE(y) << y.error().to_string();
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(y->values<float>()[i], 2 * (values[i] + 1) + 60);
}

TEST(Elementwise, CastsBetweenAllTypes) {
  const std::vector<double> values{0,     -0.0,         1,         -1,     2.5,          -2.5,         0.49,
                                   127.9, 128,          -128.9,    -129,   255,          256,          300,
                                   65504, 65535.5,      70000,     -70000, 2147483520.0, 2147483648.0, -2147483648.0,
                                   -3e9,  4294967295.0, 5e9,       9.3e18, -9.3e18,      2e19,         1e30,
                                   -1e30, INFINITY,     -INFINITY, NAN};
  for (const DType from : {DType::f32, DType::f64}) {
    const TestTensor x = tensor(from, {static_cast<std::int64_t>(values.size())}, values);
    const std::vector<double> exact = values_of(x);
    for (const DType to : kTypes) {
      ElementwiseDescriptor d = single_elementwise(Op::cast, std::span(&from, 1));
      d.program[0].to = to;
      for (const Target& target : test_targets()) {
        const auto y = run(d, target, {x}, x.type.shape);
        ASSERT_TRUE(y) << y.error().to_string();
        const std::vector<double> got = values_of(*y);
        for (std::size_t i = 0; i < values.size(); ++i) {
          const double v = exact[i];
          double expected = 0;
          if (to == DType::boolean)
            expected = v != 0;
          else if (is_floating(to))
            expected = values_of(tensor(to, {1}, {v}))[0];
          else if (!std::isnan(v)) {
            const int bits = static_cast<int>(size_of(to)) * 8;
            const double high = std::ldexp(1.0, is_signed_integer(to) ? bits - 1 : bits),
                         low = is_signed_integer(to) ? -high : 0;
            expected = std::trunc(v) >= high ? high : std::trunc(v) < low ? low : std::trunc(v);
            if (expected == high) expected = bits == 64 ? high : high - 1;  // the largest rounds to 2^64 as a double
          }
          if (std::isnan(expected))
            EXPECT_TRUE(std::isnan(got[i]));
          else
            EXPECT_EQ(got[i], expected) << name_of(from) << " " << v << " -> " << name_of(to);
        }
      }
    }
  }
  const std::vector<std::int64_t> whole{0, 1, -1, 200, -200, 40000, 1ll << 40, -(1ll << 40) - 7, INT64_MAX, INT64_MIN};
  for (const DType to : kTypes) {
    const DType from = DType::i64;
    ElementwiseDescriptor d = single_elementwise(Op::cast, std::span(&from, 1));
    d.program[0].to = to;
    const auto y = run(d, test_targets().back(), {TestTensor::of({10}, whole)}, {10});
    ASSERT_TRUE(y);
    const auto got = values_of(*y);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      double expected = static_cast<double>(whole[i]);
      if (to == DType::boolean)
        expected = whole[i] != 0;
      else if (is_floating(to))
        expected = values_of(tensor(to, {1}, {to == DType::f64 ? expected : static_cast<float>(whole[i])}))[0];
      else if (is_integer(to)) {  // wraps: the value modulo 2^bits
        const auto bits = static_cast<unsigned>(size_of(to)) * 8;
        const std::uint64_t low = bits == 64 ? static_cast<std::uint64_t>(whole[i])
                                             : static_cast<std::uint64_t>(whole[i]) & ((1ull << bits) - 1);
        const bool negative = is_signed_integer(to) && (low >> (bits - 1)) != 0;
        expected =
            negative ? -static_cast<double>((bits == 64 ? ~low + 1 : (1ull << bits) - low)) : static_cast<double>(low);
      }
      EXPECT_EQ(got[i], expected) << whole[i] << " -> " << name_of(to);
    }
  }
}

TEST(Elementwise, NanInfinityAndIntegerEdges) {
  const float nan = std::nanf(""), inf = INFINITY;
  const DType two[] = {DType::f32, DType::f32};
  for (const Target& target : test_targets()) {
    const auto pair = [&](Op op, float a, float b) {
      return run(single_elementwise(op, two), target,
                 {TestTensor::of<float>({1}, {a}), TestTensor::of<float>({1}, {b})}, {1})
          ->values<float>()[0];
    };
    for (const Op op : {Op::minimum, Op::maximum}) {
      EXPECT_TRUE(std::isnan(pair(op, nan, 1)));
      EXPECT_TRUE(std::isnan(pair(op, 1, nan)));
      EXPECT_TRUE(std::isnan(pair(op, nan, -inf)));
    }
    EXPECT_EQ(pair(Op::pow, 3, 2), 9);
    EXPECT_EQ(pair(Op::pow, -2, 3), -8);
    EXPECT_EQ(pair(Op::pow, 4, -1), 0.25f);
    EXPECT_EQ(pair(Op::pow, 4, 0.5f), 2);
    EXPECT_TRUE(std::isnan(pair(Op::pow, -4, 0.5f)));
    EXPECT_EQ(pair(Op::mod, -7, 3), 2);
    EXPECT_EQ(pair(Op::fmod, -7, 3), -1);
    for (const Op op : {Op::relu, Op::clamp, Op::sign, Op::neg, Op::abs, Op::floor, Op::exp}) {
      ElementwiseDescriptor d = single_elementwise(op, std::span(two, 1));
      d.program[0].alpha = -1;
      d.program[0].beta = 1;
      EXPECT_TRUE(std::isnan(run(d, target, {TestTensor::of<float>({1}, {nan})}, {1})->values<float>()[0]))
          << name_of(op);
    }
    const DType one[] = {DType::f32};
    const auto isinf =
        run(single_elementwise(Op::isinf, one), target, {TestTensor::of<float>({4}, {inf, -inf, nan, 3})}, {4});
    EXPECT_THAT(isinf->values<std::uint8_t>(), testing::ElementsAre(1, 1, 0, 0));
    const auto isnan =
        run(single_elementwise(Op::isnan, one), target, {TestTensor::of<float>({4}, {inf, -inf, nan, 3})}, {4});
    EXPECT_THAT(isnan->values<std::uint8_t>(), testing::ElementsAre(0, 0, 1, 0));
  }
  const DType longs[] = {DType::i64, DType::i64};
  const auto whole = [&](Op op, std::int64_t a, std::int64_t b) {
    return run(single_elementwise(op, longs), test_targets().back(),
               {TestTensor::of<std::int64_t>({1}, {a}), TestTensor::of<std::int64_t>({1}, {b})}, {1})
        ->values<std::int64_t>()[0];
  };
  EXPECT_EQ(whole(Op::div, -7, 2), -3);
  EXPECT_EQ(whole(Op::div, 5, 0), 0);
  EXPECT_EQ(whole(Op::div, INT64_MIN, -1), INT64_MIN);
  EXPECT_EQ(whole(Op::mod, -7, 3), 2);
  EXPECT_EQ(whole(Op::mod, 7, -3), -2);
  EXPECT_EQ(whole(Op::fmod, -7, 3), -1);
  EXPECT_EQ(whole(Op::mod, 7, 0), 0);
  EXPECT_EQ(whole(Op::mod, INT64_MIN, -1), 0);
  EXPECT_EQ(whole(Op::mul, INT64_MAX, 2), -2);
  EXPECT_EQ(whole(Op::add, INT64_MAX, 1), INT64_MIN);
  EXPECT_EQ(whole(Op::pow, 3, 4), 81);
  EXPECT_EQ(whole(Op::pow, 2, -1), 0);
  EXPECT_EQ(whole(Op::pow, -1, -3), -1);
}

TEST(Elementwise, RunsInPlaceWhereItSays) {
  TestRandom random(5);
  const DType types[] = {DType::f32, DType::f32};
  const Candidate* candidate = find_candidate("intaglio.elementwise", own_candidates());
  const auto op = candidate->prepare(single_elementwise(Op::sub, types), {}, test_targets().back());
  ASSERT_TRUE(op);
  ASSERT_TRUE((*op)->may_run_in_place(0) && (*op)->may_run_in_place(1));
  const std::vector<float> a = random.floats(5000), b = random.floats(5000);
  std::vector<float> in_place = b;
  const std::vector<Operand> in{{DType::f32, {5000}}, {DType::f32, {5000}}}, out{{DType::f32, {5000}}};
  BindRequest request;
  request.inputs = in;
  request.outputs = out;
  const auto binding = (*op)->bind(request);
  ASSERT_TRUE(binding);
  auto scratch = Buffer::allocate((*binding)->thread_scratch_bytes + 64);
  ASSERT_TRUE(scratch);
  const void* inputs[] = {a.data(), in_place.data()};
  void* outputs[] = {in_place.data()};
  (*op)->run(**binding, {inputs, outputs, scratch->data(), nullptr}, {});
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(in_place[i], a[i] - b[i]);
  const DType shrink[] = {DType::f32};
  ElementwiseDescriptor cast = single_elementwise(Op::cast, shrink);
  cast.program[0].to = DType::f16;
  EXPECT_FALSE((*candidate->prepare(cast, {}, test_targets().back()))->may_run_in_place(0));
}

TEST(Elementwise, RefusesWhatDoesNotFit) {
  const Candidate* candidate = find_candidate("intaglio.elementwise", own_candidates());
  const DType mixed[] = {DType::f32, DType::i32}, boolean[] = {DType::boolean}, whole[] = {DType::i32};
  EXPECT_THAT(*candidate->refuses(single_elementwise(Op::add, mixed), {}),
              testing::HasSubstr("mixed types f32 and i32"));
  EXPECT_THAT(*candidate->refuses(single_elementwise(Op::exp, whole), {}), testing::HasSubstr("not defined for i32"));
  EXPECT_THAT(*candidate->refuses(single_elementwise(Op::neg, boolean), {}),
              testing::HasSubstr("not defined for bool"));
  ElementwiseDescriptor forward = single_elementwise(Op::neg, std::span(mixed, 1));
  forward.program[0].source[0] = 1;  // its own result
  EXPECT_THAT(*candidate->refuses(forward, {}), testing::HasSubstr("does not exist yet"));
  EXPECT_TRUE(candidate->refuses(ElementwiseDescriptor{}, {}));
  const DType floats[] = {DType::f32, DType::f32};
  const auto bad = run(single_elementwise(Op::add, floats), test_targets().back(),
                       {TestTensor::of<float>({2}, {1, 2}), TestTensor::of<float>({3}, {1, 2, 3})}, {3});
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message, testing::HasSubstr("does not broadcast"));
  EXPECT_EQ(parse_elementwise_op("gelu_tanh"), Op::gelu_tanh);
  EXPECT_EQ(parse_elementwise_op("nothing"), std::nullopt);
}

}  // namespace
}  // namespace intaglio::ops
