// Reductions, argmax and running sums against their definitions: floats in double in the order of the memory, integers
// in 64 bits that wrap to their width.
#include "ops/reduce.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "base/half.h"
#include "ops/generic_test_util.h"

namespace intaglio::ops {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

template <class T>
T narrow(double x) {
  if constexpr (std::is_same_v<T, Float16>)
    return to_float16(static_cast<float>(x));
  else if constexpr (std::is_same_v<T, BFloat16>)
    return to_bfloat16(static_cast<float>(x));
  else
    return static_cast<T>(x);
}
template <class T>
double widen(T x) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>)
    return static_cast<double>(to_float(x));
  else
    return static_cast<double>(x);
}
template <class T>
constexpr bool kFloats = is_floating(kDTypeOf<T>);

// The elements that each position of the output stands for, in the order of the memory.
struct Problem {
  Shape shape;
  std::vector<std::int64_t> axes;
  Shape kept() const {
    Shape out;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (std::ranges::count(axes, static_cast<std::int64_t>(i)) == 0) out.push_back(shape[i]);
    }
    return out;
  }
  std::vector<std::vector<std::size_t>> groups() const {
    std::vector<std::vector<std::size_t>> out(static_cast<std::size_t>(*element_count(kept())));
    for_each_index(shape, [&](const Shape& index) {
      Shape at;
      for (std::size_t i = 0; i < shape.size(); ++i) {
        if (std::ranges::count(axes, static_cast<std::int64_t>(i)) == 0) at.push_back(index[i]);
      }
      out[flat_index(kept(), at)].push_back(flat_index(shape, index));
    });
    return out;
  }
};

double float_result(ReduceKind kind, const std::vector<double>& v) {
  double sum = 0, product = 1, squares = 0, absolute = 0, most = -kInf, least = kInf, exponentials = 0;
  bool nan = false;
  for (const double x : v) {
    sum += x;
    product *= x;
    squares += x * x;
    absolute += std::fabs(x);
    most = std::fmax(most, x);
    least = std::fmin(least, x);
    exponentials += std::exp(x);
    nan = nan || std::isnan(x);
  }
  switch (kind) {
    case ReduceKind::sum:
      return sum;
    case ReduceKind::mean:
      return sum / static_cast<double>(v.size());
    case ReduceKind::max:
      return nan ? kNan : most;
    case ReduceKind::min:
      return nan ? kNan : least;
    case ReduceKind::prod:
      return product;
    case ReduceKind::l1:
      return absolute;
    case ReduceKind::l2:
      return std::sqrt(squares);
    case ReduceKind::sum_square:
      return squares;
    case ReduceKind::log_sum:
      return std::log(sum);
    case ReduceKind::log_sum_exp:
      return std::log(exponentials);
    default:
      return kNan;
  }
}

template <class T>
T whole_result(ReduceKind kind, const std::vector<T>& v) {
  std::uint64_t sum = 0, product = 1, squares = 0, absolute = 0;
  for (const T each : v) {
    const auto x =
        static_cast<std::uint64_t>(each);  // sign-extended; arithmetic modulo 2^64 wraps to any narrower width
    sum += x;
    product *= x;
    squares += x * x;
    absolute += each < T{} ? 0 - x : x;
  }
  switch (kind) {
    case ReduceKind::sum:
      return static_cast<T>(sum);
    case ReduceKind::prod:
      return static_cast<T>(product);
    case ReduceKind::sum_square:
      return static_cast<T>(squares);
    case ReduceKind::l1:
      return static_cast<T>(absolute);
    case ReduceKind::max:
      return v.empty() ? std::numeric_limits<T>::min() : *std::ranges::max_element(v);
    default:
      return v.empty() ? std::numeric_limits<T>::max() : *std::ranges::min_element(v);
  }
}

ReduceDescriptor of_kind(ReduceKind kind, std::vector<std::int64_t> axes) {
  ReduceDescriptor d;
  d.kind = kind;
  d.axes = std::move(axes);
  return d;
}

template <class T>
void expect_reduce(const Problem& problem, ReduceKind kind, const std::vector<T>& x) {
  const ReduceDescriptor d = of_kind(kind, problem.axes);
  EXPECT_TRUE(d.validate().has_value());
  const std::vector<TestTensor> got =
      run_everywhere(d, {TestTensor::of<T>(problem.shape, x)}, {{kDTypeOf<T>, problem.kept()}});
  ASSERT_EQ(got.size(), 1u);
  const std::vector<T> values = got[0].template values<T>();
  const auto groups = problem.groups();
  ASSERT_EQ(values.size(), groups.size());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if constexpr (kFloats<T>) {
      std::vector<double> in;
      for (const std::size_t at : groups[i]) in.push_back(widen(x[at]));
      const double result = float_result(kind, in), expected = widen(narrow<T>(result));
      // The logarithm may be taken another way; everything else is the same sum in the same order.
      const bool exact = kind != ReduceKind::log_sum_exp || std::isinf(expected);
      const double slack = exact ? 0.0
                                 : std::fabs(expected) * (kDTypeOf<T> == DType::f64   ? 1e-13
                                                          : size_of(kDTypeOf<T>) == 4 ? 2e-7
                                                                                      : 1e-2) +
                                       1e-13;
      const double value = widen(values[i]);
      EXPECT_TRUE(value == expected || std::fabs(value - expected) <= slack ||
                  (std::isnan(value) && std::isnan(expected)))
          << to_string(d) << " " << name_of(kDTypeOf<T>) << " " << to_string(problem.shape) << ": " << value
          << ", expected " << expected;
    } else {
      std::vector<T> in;
      for (const std::size_t at : groups[i]) in.push_back(x[at]);
      EXPECT_EQ(values[i], whole_result(kind, in))
          << to_string(d) << " " << name_of(kDTypeOf<T>) << " " << to_string(problem.shape);
    }
  }
}

template <class T>
std::vector<T> random_values(const Shape& shape, std::mt19937& random) {
  std::vector<T> out(static_cast<std::size_t>(*element_count(shape)));
  for (T& x : out) {
    if constexpr (kFloats<T>)
      x = narrow<T>(std::uniform_real_distribution<double>(-3, 3)(random));
    else
      x = static_cast<T>((static_cast<std::uint64_t>(random()) << 32) | random());
  }
  return out;
}

constexpr ReduceKind kFloatKinds[] = {
    ReduceKind::sum, ReduceKind::mean, ReduceKind::max,        ReduceKind::min,     ReduceKind::prod,
    ReduceKind::l1,  ReduceKind::l2,   ReduceKind::sum_square, ReduceKind::log_sum, ReduceKind::log_sum_exp};
constexpr ReduceKind kWholeKinds[] = {ReduceKind::sum,  ReduceKind::max, ReduceKind::min,
                                      ReduceKind::prod, ReduceKind::l1,  ReduceKind::sum_square};

template <class T>
class Reduce : public testing::Test {};
using EveryType = testing::Types<float, double, Float16, BFloat16, std::int8_t, std::uint8_t, std::int16_t,
                                 std::uint16_t, std::int32_t, std::uint32_t, std::int64_t, std::uint64_t>;
TYPED_TEST_SUITE(Reduce, EveryType);

TYPED_TEST(Reduce, EveryKindAndManyShapes) {
  const std::vector<Problem> problems = {{{}, {}},
                                         {{5}, {0}},
                                         {{5}, {}},
                                         {{3, 4}, {0}},
                                         {{3, 4}, {1}},
                                         {{3, 4}, {0, 1}},
                                         {{2, 3, 4}, {1}},
                                         {{2, 3, 4}, {0, 2}},
                                         {{2, 1, 4, 3}, {3, 0}},
                                         {{0, 3}, {0}},
                                         {{3, 0}, {0}},
                                         {{3, 0}, {1}},
                                         {{2, 3, 2, 3, 2}, {1, 3}},
                                         {{400}, {0}},
                                         {{1, 1}, {0}}};
  std::mt19937 random(23);
  for (const Problem& problem : problems) {
    const auto x = random_values<TypeParam>(problem.shape, random);
    if constexpr (kFloats<TypeParam>) {
      for (const ReduceKind kind : kFloatKinds) expect_reduce<TypeParam>(problem, kind, x);
    } else {
      for (const ReduceKind kind : kWholeKinds) expect_reduce<TypeParam>(problem, kind, x);
    }
  }
}

template <class T>
void expect_argmax(const Problem& problem, bool last, bool smallest, const std::vector<T>& x) {
  ReduceDescriptor d = of_kind(ReduceKind::argmax, problem.axes);
  d.take_last = last;
  d.smallest = smallest;
  std::vector<std::int64_t> expected;
  for (const auto& group : problem.groups()) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < group.size(); ++i) {
      const double a = widen(x[group[i]]), b = widen(x[group[best]]);
      if ((smallest ? a < b : a > b) || (last && a == b)) best = i;
    }
    expected.push_back(static_cast<std::int64_t>(best));
  }
  const std::vector<TestTensor> got =
      run_everywhere(d, {TestTensor::of<T>(problem.shape, x)}, {{DType::i64, problem.kept()}});
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].template values<std::int64_t>(), expected) << to_string(d) << " " << to_string(problem.shape);
}

TYPED_TEST(Reduce, Argmax) {
  std::mt19937 random(29);
  for (const Problem& problem : std::vector<Problem>{
           {{7}, {0}}, {{3, 50}, {1}}, {{3, 50}, {0}}, {{2, 5, 3}, {1}}, {{4, 1}, {1}}, {{0, 3}, {1}}, {{3, 0}, {0}}}) {
    std::vector<TypeParam> x(static_cast<std::size_t>(*element_count(problem.shape)));
    for (auto& each : x) each = narrow<TypeParam>(static_cast<double>(random() % 5));  // many ties
    for (const bool last : {false, true}) {
      for (const bool smallest : {false, true}) expect_argmax<TypeParam>(problem, last, smallest, x);
    }
  }
}

TYPED_TEST(Reduce, RunningSum) {
  std::mt19937 random(31);
  for (const Problem& problem : std::vector<Problem>{
           {{7}, {0}}, {{3, 50}, {1}}, {{3, 50}, {0}}, {{2, 5, 3}, {1}}, {{4, 1}, {1}}, {{0, 3}, {1}}, {{3, 0}, {0}}}) {
    const auto x = random_values<TypeParam>(problem.shape, random);
    for (const bool exclusive : {false, true}) {
      for (const bool reverse : {false, true}) {
        ReduceDescriptor d = of_kind(ReduceKind::cumsum, problem.axes);
        d.exclusive = exclusive;
        d.reverse = reverse;
        std::vector<TypeParam> expected(x.size());
        for (auto group : problem.groups()) {
          if (reverse) std::ranges::reverse(group);
          double real = 0;
          std::uint64_t whole = 0;
          for (const std::size_t at : group) {
            const double before_real = real;
            const std::uint64_t before_whole = whole;
            if constexpr (kFloats<TypeParam>) {
              real += widen(x[at]);
              expected[at] = narrow<TypeParam>(exclusive ? before_real : real);
            } else {
              whole += static_cast<std::uint64_t>(x[at]);
              expected[at] = static_cast<TypeParam>(exclusive ? before_whole : whole);
            }
          }
        }
        const std::vector<TestTensor> got =
            run_everywhere(d, {TestTensor::of<TypeParam>(problem.shape, x)}, {{kDTypeOf<TypeParam>, problem.shape}});
        ASSERT_EQ(got.size(), 1u);
        EXPECT_EQ(got[0].bytes, (TestTensor::of<TypeParam>(problem.shape, expected).bytes))
            << to_string(d) << " " << to_string(problem.shape);
      }
    }
  }
}

TEST(ReduceSpecial, NanAndInfinity) {
  const auto f = [](double x) { return static_cast<float>(x); };
  const std::vector<std::vector<float>> rows = {{1, f(kNan), 3}, {f(kNan), 1, 3},
                                                {1, 3, f(kNan)}, {f(-kInf), f(-kInf), f(-kInf)},
                                                {f(kInf), 1, 2}, {f(kInf), f(-kInf), 0}};
  for (const auto& row : rows) {
    for (const ReduceKind kind : kFloatKinds) expect_reduce<float>({{3}, {0}}, kind, row);
  }
  const auto pick = [&](const std::vector<float>& x, bool smallest) {
    ReduceDescriptor d = of_kind(ReduceKind::argmax, {0});
    d.smallest = smallest;
    return run_everywhere(d, {TestTensor::of<float>({3}, x)}, {{DType::i64, {}}}).at(0).values<std::int64_t>().at(0);
  };
  for (const bool smallest : {false, true}) {
    EXPECT_EQ(pick({1, f(kNan), 3}, smallest), 1);  // as in NumPy
    EXPECT_EQ(pick({f(kNan), 5, f(kNan)}, smallest), 0);
  }
}

// exp would overflow without taking the maximum out.
TEST(ReduceSpecial, LogSumExpOfLargeValues) {
  const auto got = run_everywhere(of_kind(ReduceKind::log_sum_exp, {0}), {TestTensor::of<float>({2}, {1000, 1000})},
                                  {{DType::f32, {}}});
  EXPECT_FLOAT_EQ(got.at(0).values<float>()[0], 1000 + std::log(2.0f));
}

TEST(ReduceSpecial, AnyAndAll) {
  const std::vector<std::uint8_t> x{0, 0, 0, 1, 0, 1, 1, 1, 1};
  TestTensor tensor = TestTensor::of<std::uint8_t>({3, 3}, x);
  tensor.type.dtype = DType::boolean;
  const auto run = [&](ReduceKind kind, std::vector<std::int64_t> axes, const Shape& out) {
    return run_everywhere(of_kind(kind, std::move(axes)), {tensor}, {{DType::boolean, out}})
        .at(0)
        .values<std::uint8_t>();
  };
  EXPECT_EQ(run(ReduceKind::any, {1}, {3}), (std::vector<std::uint8_t>{0, 1, 1}));
  EXPECT_EQ(run(ReduceKind::all, {1}, {3}), (std::vector<std::uint8_t>{0, 0, 1}));
  EXPECT_EQ(run(ReduceKind::any, {0}, {3}), (std::vector<std::uint8_t>{1, 1, 1}));
  EXPECT_EQ(run(ReduceKind::all, {0}, {3}), (std::vector<std::uint8_t>{0, 0, 0}));
  EXPECT_EQ(run(ReduceKind::all, {}, {3, 3}), x);
  tensor = {{DType::boolean, {2, 0}}, {}};
  EXPECT_EQ(run(ReduceKind::any, {1}, {2}), (std::vector<std::uint8_t>{0, 0}));
  EXPECT_EQ(run(ReduceKind::all, {1}, {2}), (std::vector<std::uint8_t>{1, 1}));
}

TEST(ReduceSpecial, BindRefusesWhatDoesNotFit) {
  const Operand x{DType::f32, {4, 3}};
  expect_bind_error(of_kind(ReduceKind::sum, {0}), {x, x}, {{DType::f32, {3}}});
  expect_bind_error(of_kind(ReduceKind::sum, {0}), {x}, {{DType::f32, {4}}});
  expect_bind_error(of_kind(ReduceKind::sum, {0}), {x}, {{DType::f64, {3}}});
  expect_bind_error(of_kind(ReduceKind::sum, {2}), {x}, {{DType::f32, {4, 3}}});
  expect_bind_error(of_kind(ReduceKind::argmax, {0}), {x}, {{DType::f32, {3}}});
  expect_bind_error(of_kind(ReduceKind::argmax, {0}), {{DType::f32, {0, 3}}}, {{DType::i64, {3}}});
  expect_bind_error(of_kind(ReduceKind::cumsum, {0}), {x}, {{DType::f32, {3}}});
  expect_bind_error(of_kind(ReduceKind::any, {0}), {x}, {{DType::f32, {3}}});
  expect_bind_error(of_kind(ReduceKind::log_sum, {0}), {{DType::i32, {4, 3}}}, {{DType::i32, {3}}});
}

TEST(ReduceSpecial, EmptyWithHugeDims) {
  const std::int64_t huge = std::int64_t{1} << 62;
  run_everywhere(of_kind(ReduceKind::sum, {1, 2}), {TestTensor{{DType::f64, {0, huge, huge}}, {}}},
                 {{DType::f64, {0}}});
  const auto got = run_everywhere(of_kind(ReduceKind::sum, {0, 1}), {TestTensor{{DType::f64, {huge, 0, 2}}, {}}},
                                  {{DType::f64, {2}}});
  EXPECT_EQ(got.at(0).values<double>(), (std::vector<double>{0, 0}));
}

TEST(ReduceSpecial, Descriptors) {
  ReduceDescriptor d = of_kind(ReduceKind::argmax, {3});
  d.take_last = d.reverse = true;
  expect_round_trip(d);
  d.smallest = d.exclusive = true;
  expect_round_trip(d);
  expect_unknown_kinds_rejected(d, kReduceKinds);
  EXPECT_FALSE(of_kind(ReduceKind::argmax, {}).validate().has_value());
  EXPECT_FALSE(of_kind(ReduceKind::cumsum, {0, 1}).validate().has_value());
  EXPECT_FALSE(of_kind(ReduceKind::sum, {-1}).validate().has_value());
  EXPECT_FALSE(of_kind(ReduceKind::sum, {kMaxRank}).validate().has_value());
  for (int kind = 0; kind < kReduceKinds; ++kind) {
    EXPECT_EQ(parse_reduce_kind(name_of(static_cast<ReduceKind>(kind))), static_cast<ReduceKind>(kind));
  }
  EXPECT_FALSE(parse_reduce_kind("median").has_value());
}

}  // namespace
}  // namespace intaglio::ops
