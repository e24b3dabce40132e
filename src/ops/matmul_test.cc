#include "ops/matmul.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/half.h"
#include "ops/linear_test_util.h"

namespace intaglio::ops {
namespace {

Result<std::unique_ptr<PreparedOp>> make(const MatmulDescriptor& d, const Target& target) {
  for (const char* name : {"intaglio.matmul", "intaglio.matmul_plain"}) {
    const Candidate* candidate = find_candidate(name, own_candidates());
    if (!candidate->refuses(d, target)) return candidate->prepare(d, {}, target);
  }
  return fail(ErrorCode::unsupported, "no candidate accepts");
}

// Element (i, j) of the matrix of `shape` that NumPy's broadcasting gives to output matrix `batch` of `batch_shape`.
std::size_t element(const Shape& shape, bool transposed, const Shape& batch_shape, std::size_t batch, std::size_t i,
                    std::size_t j) {
  if (shape.size() == 1) return i + j;  // the other one is 0
  if (transposed) std::swap(i, j);
  std::size_t index = 0, stride = static_cast<std::size_t>(shape[shape.size() - 2] * shape.back());
  for (std::size_t d = 0; d < batch_shape.size(); ++d) {  // from the innermost batch dim outwards
    const auto dim = static_cast<std::size_t>(batch_shape[batch_shape.size() - 1 - d]);
    const std::size_t at = batch % dim;
    batch /= dim;
    if (d + 2 >= shape.size()) continue;
    const auto own = static_cast<std::size_t>(shape[shape.size() - 3 - d]);
    index += (own == 1 ? 0 : at) * stride;
    stride *= own;
  }
  return index + i * static_cast<std::size_t>(shape.back()) + j;
}

struct ShapeCase {
  Shape a, b, y, batch;
  std::size_t m, n, k;
  bool ta = false, tb = false;
};
const ShapeCase kShapes[] = {
    {{3, 4}, {4, 5}, {3, 5}, {}, 3, 5, 4},
    {{17, 40}, {40, 130}, {17, 130}, {}, 17, 130, 40},
    {{40, 17}, {40, 130}, {17, 130}, {}, 17, 130, 40, true, false},
    {{17, 40}, {130, 40}, {17, 130}, {}, 17, 130, 40, false, true},
    {{2, 3, 90, 7}, {2, 3, 20, 90}, {2, 3, 7, 20}, {2, 3}, 7, 20, 90, true, true},
    {{2, 3, 7, 9}, {9, 20}, {2, 3, 7, 20}, {2, 3}, 7, 20, 9},
    {{7, 9}, {4, 9, 20}, {4, 7, 20}, {4}, 7, 20, 9},
    {{2, 1, 7, 9}, {5, 9, 20}, {2, 5, 7, 20}, {2, 5}, 7, 20, 9},
    {{5, 1, 2, 7, 9}, {3, 1, 9, 20}, {5, 3, 2, 7, 20}, {5, 3, 2}, 7, 20, 9},
    {{9}, {9}, {}, {}, 1, 1, 9},
    {{9}, {9, 20}, {20}, {}, 1, 20, 9},
    {{9}, {3, 9, 20}, {3, 20}, {3}, 1, 20, 9},
    {{3, 7, 9}, {9}, {3, 7}, {3}, 7, 1, 9},
    {{9}, {9, 20}, {20}, {}, 1, 20, 9, true, false},
    {{1, 1}, {1, 1}, {1, 1}, {}, 1, 1, 1},
    {{0, 4}, {4, 5}, {0, 5}, {}, 0, 5, 4},
    {{3, 0}, {0, 5}, {3, 5}, {}, 3, 5, 0},
    {{0, 3, 4}, {4, 5}, {0, 3, 5}, {0}, 3, 5, 4},
    {{3, 1500}, {1500, 20}, {3, 20}, {}, 3, 20, 1500},
    {{19, 1500}, {1500, 20}, {19, 20}, {}, 19, 20, 1500},
    {{2, 1, 90, 19}, {5, 20, 90}, {2, 5, 19, 20}, {2, 5}, 19, 20, 90, true, true},
    {{2, 90, 19}, {90, 20}, {2, 19, 20}, {2}, 19, 20, 90, true, false},
    {{40, 33}, {33, 1}, {40, 1}, {}, 40, 1, 33},
    {{2, 1, 33, 140}, {3, 1, 33}, {2, 3, 140, 1}, {2, 3}, 140, 1, 33, true, true},
    {{1, 33}, {65, 33}, {1, 65}, {}, 1, 65, 33, false, true},
    {{3, 4, 1}, {3, 1, 5}, {3, 4, 5}, {3}, 4, 5, 1},
    {{1, 4}, {5, 1}, {4, 5}, {}, 4, 5, 1, true, true},
    {{17, 0}, {0, 5}, {17, 5}, {}, 17, 5, 0},
    {{0, 17}, {5, 0}, {17, 5}, {}, 17, 5, 0, true, true},
    {{0, 4}, {0, 1}, {4, 1}, {}, 4, 1, 0, true, false},
    {{17, 4}, {4, 0}, {17, 0}, {}, 17, 0, 4},
    {{4, 0}, {4, 5}, {0, 5}, {}, 0, 5, 4, true, false},
    {{2, 3, 4}, {0, 1, 4, 5}, {0, 2, 3, 5}, {0, 2}, 3, 5, 4},
};

std::size_t count(const Shape& shape) {
  return static_cast<std::size_t>(*element_count(shape));
}

template <class T, class Check>
void for_all_shapes(DType type, const std::vector<Target>& targets, Check check) {
  TestRandom random(11);
  for (const Target& target : targets) {
    for (const ShapeCase& c : kShapes) {
      MatmulDescriptor d;
      d.a = d.b = d.output = type;
      d.transpose_a = c.ta;
      d.transpose_b = c.tb;
      std::vector<T> a, b;
      if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
        for (std::vector<T>* each : {&a, &b}) {
          for (const float x : random.floats(count(each == &a ? c.a : c.b))) {
            if constexpr (std::is_same_v<T, Float16>)
              each->push_back(to_float16(x));
            else
              each->push_back(to_bfloat16(x));
          }
        }
      } else if constexpr (std::is_floating_point_v<T>) {
        for (const float x : random.floats(count(c.a))) a.push_back(x);
        for (const float x : random.floats(count(c.b))) b.push_back(x);
      } else {
        for (const int x : random.integers<int>(count(c.a))) a.push_back(static_cast<T>(x) * 7919);
        for (const int x : random.integers<int>(count(c.b))) b.push_back(static_cast<T>(x));
      }
      const auto op = make(d, target);
      ASSERT_TRUE(op) << op.error().to_string();
      const std::vector<TestTensor> inputs{TestTensor::of(c.a, a), TestTensor::of(c.b, b)};
      SCOPED_TRACE((*op)->facts().kernel + " a " + intaglio::to_string(c.a) + " b " + intaglio::to_string(c.b));
      const auto y = run_op(**op, inputs, {{type, c.y}});
      ASSERT_TRUE(y) << y.error().to_string();
      for (const int threads : {2, 3}) {
        const auto shared = run_op(**op, inputs, {{type, c.y}}, threads);
        ASSERT_TRUE(shared);
        ASSERT_EQ((*y)[0].bytes, (*shared)[0].bytes);
      }
      check(c, a, b, (*y)[0].values<T>());
    }
  }
}

TEST(Matmul, F32EqualsDoubleReference) {
  for_all_shapes<float>(
      DType::f32, test_targets(), [](const ShapeCase& c, const auto& a, const auto& b, const auto& y) {
        for (std::size_t at = 0; at < y.size(); ++at) {
          const std::size_t batch = at / (c.m * c.n), i = at / c.n % c.m, j = at % c.n;
          double sum = 0, magnitude = 0;
          for (std::size_t k = 0; k < c.k; ++k) {
            const double product = static_cast<double>(a[element(c.a, c.ta, c.batch, batch, i, k)]) *
                                   b[element(c.b, c.tb, c.batch, batch, k, j)];
            sum += product;
            magnitude += std::abs(product);
          }
          ASSERT_NEAR(y[at], sum, 2 * static_cast<double>(c.k) * std::numeric_limits<float>::epsilon() * magnitude)
              << at;
        }
      });
}

// Products are exact in f32; k sums round to f32, in whatever order, and may lose denormals (each less than 2^-126);
// the result rounds once more, to `unit` of its size or, as a denormal, to `least`.
template <class T>
void check_halves(double unit, double least) {
  for_all_shapes<T>(kDTypeOf<T>, test_targets(), [=](const ShapeCase& c, const auto& a, const auto& b, const auto& y) {
    for (std::size_t at = 0; at < y.size(); ++at) {
      const std::size_t batch = at / (c.m * c.n), i = at / c.n % c.m, j = at % c.n;
      double sum = 0, magnitude = 0;
      for (std::size_t k = 0; k < c.k; ++k) {
        const double product = static_cast<double>(to_float(a[element(c.a, c.ta, c.batch, batch, i, k)])) *
                               to_float(b[element(c.b, c.tb, c.batch, batch, k, j)]);
        sum += product;
        magnitude += std::abs(product);
      }
      const auto k = static_cast<double>(c.k);
      const double sums = k * (std::numeric_limits<float>::epsilon() * magnitude + std::numeric_limits<float>::min());
      ASSERT_NEAR(to_float(y[at]), sum, sums + unit * (std::abs(sum) + sums) + least) << at;
    }
  });
}
TEST(Matmul, Bf16EqualsDoubleReference) {
  check_halves<BFloat16>(0x1p-8, 0x1p-134);
}
TEST(Matmul, F16EqualsDoubleReference) {
  check_halves<Float16>(0x1p-11, 0x1p-25);
}

TEST(Matmul, WideTypesByPlainLoops) {
  const std::vector<Target> one{test_targets().front()};
  for_all_shapes<double>(DType::f64, one, [](const ShapeCase& c, const auto& a, const auto& b, const auto& y) {
    for (std::size_t at = 0; at < y.size(); ++at) {
      long double sum = 0, magnitude = 0;
      for (std::size_t k = 0; k < c.k; ++k) {
        const long double product =
            static_cast<long double>(a[element(c.a, c.ta, c.batch, at / (c.m * c.n), at / c.n % c.m, k)]) *
            b[element(c.b, c.tb, c.batch, at / (c.m * c.n), k, at % c.n)];
        sum += product;
        magnitude += std::abs(product);
      }
      ASSERT_NEAR(y[at], static_cast<double>(sum),
                  2 * static_cast<double>(c.k) * 2.3e-16 * static_cast<double>(magnitude));
    }
  });
  const auto exact = [](const ShapeCase& c, const auto& a, const auto& b, const auto& y) {
    for (std::size_t at = 0; at < y.size(); ++at) {
      unsigned __int128 sum = 0;
      for (std::size_t k = 0; k < c.k; ++k) {
        sum += static_cast<unsigned __int128>(
                   static_cast<__int128>(a[element(c.a, c.ta, c.batch, at / (c.m * c.n), at / c.n % c.m, k)])) *
               static_cast<unsigned __int128>(
                   static_cast<__int128>(b[element(c.b, c.tb, c.batch, at / (c.m * c.n), k, at % c.n)]));
      }
      ASSERT_EQ(y[at], static_cast<typename std::decay_t<decltype(y)>::value_type>(static_cast<std::uint64_t>(sum)));
    }
  };
  for_all_shapes<std::int64_t>(DType::i64, one, exact);
  for_all_shapes<std::uint64_t>(DType::u64, one, exact);
  for_all_shapes<std::uint32_t>(DType::u32, one, exact);
}

TEST(Matmul, HalfTypesRoundOnce) {
  MatmulDescriptor d;
  d.a = d.b = d.output = DType::f16;
  const std::vector<Float16> a{to_float16(1.0f), to_float16(0.0004f)}, b{to_float16(1.0f), to_float16(1.0f)};
  const auto op = make(d, test_targets().front());
  ASSERT_TRUE(op);
  const auto y = run_op(**op, {TestTensor::of(Shape{2}, a), TestTensor::of(Shape{2}, b)}, {{DType::f16, {}}});
  ASSERT_TRUE(y);
  EXPECT_EQ((*y)[0].values<Float16>()[0].bits, to_float16(1.0f + to_float(a[1])).bits);
}

template <class A, class B>
void check_bytes(std::uint32_t seed) {
  TestRandom random(seed);
  for (const Target& target : test_targets()) {
    for (const ShapeCase& c : kShapes) {
      for (int choice = 0; choice < 4; ++choice) {
        MatmulDescriptor d;
        d.a = kDTypeOf<A>;
        d.b = kDTypeOf<B>;
        d.output = DType::i32;
        d.transpose_a = c.ta;
        d.transpose_b = c.tb;
        d.a_zero = choice % 2 == 1;
        d.b_zero = choice > 1;
        const bool many = random.size(0, 1) == 1;
        const auto a = random.integers<A>(count(c.a)), a_zero = random.integers<A>(many ? c.m : 1);
        const auto b = random.integers<B>(count(c.b)), b_zero = random.integers<B>(many ? c.n : 1);
        std::vector<TestTensor> inputs{TestTensor::of(c.a, a), TestTensor::of(c.b, b)};
        const auto one_or = [&](std::size_t n) { return many ? Shape{static_cast<std::int64_t>(n)} : Shape{}; };
        if (d.a_zero) inputs.push_back(TestTensor::of(one_or(c.m), a_zero));
        if (d.b_zero) inputs.push_back(TestTensor::of(one_or(c.n), b_zero));
        const auto op = make(d, target);
        ASSERT_TRUE(op) << op.error().to_string();
        SCOPED_TRACE((*op)->facts().kernel + " a " + intaglio::to_string(c.a) + " b " + intaglio::to_string(c.b));
        const auto result = run_op(**op, inputs, {{DType::i32, c.y}}, 1 + choice % 3);
        ASSERT_TRUE(result) << result.error().to_string();
        const auto y = (*result)[0].template values<std::int32_t>();
        for (std::size_t at = 0; at < y.size(); ++at) {
          const std::size_t batch = at / (c.m * c.n), i = at / c.n % c.m, j = at % c.n;
          std::int32_t sum = 0;
          for (std::size_t k = 0; k < c.k; ++k) {
            sum += (a[element(c.a, c.ta, c.batch, batch, i, k)] - (d.a_zero ? a_zero[many ? i : 0] : 0)) *
                   (b[element(c.b, c.tb, c.batch, batch, k, j)] - (d.b_zero ? b_zero[many ? j : 0] : 0));
          }
          ASSERT_EQ(y[at], sum) << "choice " << choice << " at " << at;
        }
      }
    }
  }
}
TEST(Matmul, U8TimesI8IsExact) {
  check_bytes<std::uint8_t, std::int8_t>(21);
}
TEST(Matmul, U8TimesU8IsExact) {
  check_bytes<std::uint8_t, std::uint8_t>(22);
}
TEST(Matmul, I8TimesI8IsExact) {
  check_bytes<std::int8_t, std::int8_t>(23);
}
TEST(Matmul, I8TimesU8IsExact) {
  check_bytes<std::int8_t, std::uint8_t>(24);
}

TEST(Matmul, AlphaScalesTheSum) {
  MatmulDescriptor d;
  d.alpha = 0.25;
  for (const Target& target : test_targets()) {
    const auto op = make(d, target);
    ASSERT_TRUE(op);
    const auto y = run_op(
        **op,
        {TestTensor::of(Shape{1, 2}, std::vector<float>{2, 4}), TestTensor::of(Shape{2, 1}, std::vector<float>{1, 3})},
        {{DType::f32, {1, 1}}});
    ASSERT_TRUE(y);
    EXPECT_EQ((*y)[0].values<float>()[0], 3.5f);
  }
}

TEST(Matmul, BadOperandsAreNamed) {
  const auto op = make(MatmulDescriptor{}, test_targets().front());
  ASSERT_TRUE(op);
  const auto message = [&](Shape a, Shape b, Shape y) {
    const Operand in[] = {{DType::f32, std::move(a)}, {DType::f32, std::move(b)}}, out[] = {{DType::f32, std::move(y)}};
    BindRequest request;
    request.inputs = in;
    request.outputs = out;
    const auto binding = (*op)->bind(request);
    return binding ? std::string("bound") : binding.error().message;
  };
  EXPECT_EQ(message({2, 3}, {3, 4}, {2, 4}), "bound");
  EXPECT_EQ(message({2, 3}, {4, 4}, {2, 4}), "matmul: a is f32 [2, 3] and b is f32 [4, 4]: 3 columns against 4 rows");
  EXPECT_THAT(message({2, 2, 3}, {3, 3, 4}, {2, 2, 4}), testing::HasSubstr("do not broadcast"));
  EXPECT_THAT(message({2, 3}, {3, 4}, {4, 2}), testing::HasSubstr("expected f32 [2, 4]"));
  EXPECT_THAT(message({}, {3, 4}, {4}), testing::HasSubstr("rank 1 or more"));
  const std::int64_t huge = std::int64_t{1} << 40;
  EXPECT_EQ(message({huge, 1, 0}, {0, 1}, {huge, 1, 1}), "bound");  // nothing is stored per matrix
  EXPECT_NE(message({huge, 0}, {0, huge}, {huge, huge}), "bound");
}

TEST(Matmul, TypesWithoutAMeaningAreRefused) {
  const Target target = test_targets().front();
  const auto accepted = [&](DType a, DType b, DType y) {
    MatmulDescriptor d;
    d.a = a;
    d.b = b;
    d.output = y;
    return make(d, target).has_value();
  };
  EXPECT_TRUE(accepted(DType::f32, DType::f32, DType::f32));
  EXPECT_TRUE(accepted(DType::bf16, DType::bf16, DType::bf16));
  EXPECT_FALSE(accepted(DType::f32, DType::f64, DType::f64));
  EXPECT_FALSE(accepted(DType::u8, DType::i8, DType::f32));
  EXPECT_FALSE(accepted(DType::boolean, DType::boolean, DType::boolean));
}

}  // namespace
}  // namespace intaglio::ops
