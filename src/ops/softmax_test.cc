// Softmax against float64 over axes, lengths and types; bits independent of the thread count.
#include "ops/softmax.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/half.h"
#include "ops/linear_test_util.h"

namespace intaglio::ops {
namespace {

std::vector<double> reference(const std::vector<float>& x, const Shape& shape, std::size_t axis, bool log) {
  std::size_t inner = 1;
  const auto n = static_cast<std::size_t>(shape[axis]);
  for (std::size_t d = axis + 1; d < shape.size(); ++d) inner *= static_cast<std::size_t>(shape[d]);
  std::vector<double> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t start = i / (inner * n) * (inner * n) + i % inner;
    double max = -INFINITY, sum = 0;
    for (std::size_t j = 0; j < n; ++j) max = std::max(max, static_cast<double>(x[start + j * inner]));
    for (std::size_t j = 0; j < n; ++j) sum += std::exp(x[start + j * inner] - max);
    y[i] = log ? x[i] - max - std::log(sum) : std::exp(x[i] - max) / sum;
  }
  return y;
}

std::vector<float> run(const SoftmaxDescriptor& d, const Target& target, const TestTensor& x) {
  const Candidate* candidate = find_candidate("intaglio.softmax", own_candidates());
  const auto op = candidate->prepare(d, {}, target);
  EXPECT_TRUE(op) << op.error().to_string();
  std::vector<std::byte> first;
  for (const int threads : {1, 2, 3, 7}) {
    const auto result = run_op(**op, {x}, {x.type}, threads);
    EXPECT_TRUE(result) << result.error().to_string();
    if (threads == 1) first = (*result)[0].bytes;
    EXPECT_EQ((*result)[0].bytes, first) << threads;
  }
  const TestTensor y{x.type, first};
  if (d.dtype == DType::f32) return y.values<float>();
  std::vector<float> out;
  if (d.dtype == DType::f64)
    for (const double v : y.values<double>()) out.push_back(static_cast<float>(v));
  if (d.dtype == DType::f16)
    for (const Float16 v : y.values<Float16>()) out.push_back(to_float(v));
  if (d.dtype == DType::bf16)
    for (const BFloat16 v : y.values<BFloat16>()) out.push_back(to_float(v));
  return out;
}

TEST(Softmax, EveryAxisAndLength) {
  TestRandom random(1);
  std::vector<Shape> shapes{{1},          {7},      {3, 1, 5}, {2, 9, 65}, {2, 70, 3},
                            {5, 3, 2, 4}, {1, 512}, {3, 1001}, {0, 4},     {4, 0}};
  for (std::int64_t n = 1; n < 70; n += 3) shapes.push_back({2, n});
  for (const Shape& shape : shapes) {
    const std::vector<float> x = random.floats(static_cast<std::size_t>(*element_count(shape)), -8, 8);
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      for (const bool log : {false, true}) {
        const std::vector<double> expected = reference(x, shape, axis, log);
        SoftmaxDescriptor d;
        d.axis = static_cast<std::int64_t>(axis);
        d.log = log;
        for (const Target& target : test_targets()) {
          const std::vector<float> got = run(d, target, TestTensor::of(shape, x));
          for (std::size_t i = 0; i < x.size(); ++i) {
            ASSERT_NEAR(got[i], expected[i], 2e-6 * std::abs(expected[i]) + (log ? 2e-6 : 0))
                << to_string(shape) << " " << axis << log << i;
          }
        }
      }
    }
  }
}

TEST(Softmax, OtherTypes) {
  TestRandom random(2);
  const Shape shape{3, 20, 5};
  std::vector<float> x = random.floats(300, -4, 4);
  for (float& v : x) v = std::round(v * 16) / 16;
  for (const std::int64_t axis : {1, 2}) {
    const std::vector<double> expected = reference(x, shape, static_cast<std::size_t>(axis), false);
    SoftmaxDescriptor d;
    d.axis = axis;
    std::vector<double> wide(x.begin(), x.end());
    std::vector<Float16> half;
    std::vector<BFloat16> brain;
    for (const float v : x) {
      half.push_back(to_float16(v));
      brain.push_back(to_bfloat16(v));
    }
    for (const Target& target : test_targets()) {
      const auto near = [&](const TestTensor& input, double relative) {
        d.dtype = input.type.dtype;
        const auto got = run(d, target, input);
        for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(got[i], expected[i], relative * expected[i] + 1e-7) << i;
      };
      near(TestTensor::of(shape, wide), 1e-7);
      near(TestTensor::of(shape, half), 0x1p-10);
      near(TestTensor::of(shape, brain), 0x1p-7);
    }
  }
}

TEST(Softmax, SpecialValues) {
  SoftmaxDescriptor d;
  d.axis = 1;
  const float inf = INFINITY;
  const std::vector<float> x{0, -inf, 1, NAN, 0, 0, -inf, -inf, -inf, inf, 0, 0, 3e38f, -3e38f, 3e38f};
  for (const Target& target : test_targets()) {
    const auto y = run(d, target, TestTensor::of({5, 3}, x));
    EXPECT_EQ(y[1], 0.0f);
    EXPECT_NEAR(y[0] + y[2], 1.0f, 1e-6);
    for (std::size_t i = 3; i <= 9; ++i) EXPECT_TRUE(std::isnan(y[i])) << i;  // NaN; -inf everywhere; inf itself
    EXPECT_EQ(y[12], 0.5f);
    EXPECT_EQ(y[13], 0.0f);
  }
}

}  // namespace
}  // namespace intaglio::ops
