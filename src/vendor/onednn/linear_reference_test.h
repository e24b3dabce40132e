// Helpers of the tests of "onednn.linear": random problems and their reference in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "ops/linear.h"
#include "ops/linear_test_util.h"
#include "vendor/onednn/onednn.h"

namespace intaglio::vendor::onednn {

using ops::Activation;
using ops::Candidate;
using ops::LinearDescriptor;
using ops::Operand;
using ops::PreparedOp;
using ops::run_op;
using ops::Target;
using ops::TestRandom;
using ops::TestTensor;

inline Target host() {
  return ops::host_target().value();
}

// Numbers of a dtype, as a tensor and as doubles.
struct Numbers {
  TestTensor tensor;
  std::vector<double> values;
  double at(std::size_t i) const { return values.size() == 1 ? values[0] : values[i]; }
};
template <class T>
Numbers numbers_of(Shape shape, const std::vector<T>& raw) {
  return {TestTensor::of(std::move(shape), raw), std::vector<double>(raw.begin(), raw.end())};
}
inline Numbers random_numbers(TestRandom& random, DType dtype, Shape shape, float low, float high) {
  const auto count = static_cast<std::size_t>(*element_count(shape));
  if (dtype == DType::u8) return numbers_of(std::move(shape), random.integers<std::uint8_t>(count));
  if (dtype == DType::i8) return numbers_of(std::move(shape), random.integers<std::int8_t>(count));
  return numbers_of(std::move(shape), random.floats(count, low, high));
}

// Constants and operands of one linear; weights stay when the rows change.
struct Problem {
  LinearDescriptor d;
  Numbers weight, weight_zero, weight_scale, bias;
  std::size_t m = 0;
  Numbers x, x_zero, x_scale, residual;

  Problem(LinearDescriptor descriptor, TestRandom& random, bool zero_of_weight_is_0 = false)
      : d(std::move(descriptor)) {
    weight = random_numbers(random, d.weight, d.weight_nk ? Shape{d.n, d.k} : Shape{d.k, d.n}, -1, 1);
    if (d.weight_zero) weight_zero = random_numbers(random, d.weight, Shape{}, 0, 0);
    if (d.weight_zero && zero_of_weight_is_0) weight_zero = numbers_of(Shape{}, std::vector<std::int8_t>{0});
    if (d.weight_scale) weight_scale = random_numbers(random, DType::f32, Shape{d.n}, 0.001f, 0.01f);
    if (d.bias) bias = random_numbers(random, DType::f32, Shape{d.n}, -1, 1);
  }

  void make_rows(TestRandom& random, std::size_t rows, bool scale_by_row = false) {
    m = rows;
    const auto count = static_cast<std::int64_t>(rows);
    x = random_numbers(random, d.input, Shape{count, d.k}, -1, 1);
    if (d.input_zero) x_zero = random_numbers(random, d.input, Shape{}, 0, 0);
    if (d.input_scale) {
      x_scale = random_numbers(random, DType::f32, scale_by_row ? Shape{count, 1} : Shape{}, 0.001f, 0.01f);
    }
    if (d.residual) residual = random_numbers(random, DType::f32, Shape{count, d.n}, -1, 1);
  }

  std::vector<ops::Constant> constants() const {
    const auto view = [](const Numbers& n) { return n.values.empty() ? ops::Constant{} : n.tensor.constant(); };
    return {view(weight), view(weight_zero), view(weight_scale), view(bias)};
  }
  std::vector<TestTensor> inputs() const {
    std::vector<TestTensor> out{x.tensor};
    for (const Numbers* n : {&x_zero, &x_scale, &residual}) {
      if (!n->values.empty()) out.push_back(n->tensor);
    }
    return out;
  }
  std::vector<Operand> outputs() const { return {{d.output, {static_cast<std::int64_t>(m), d.n}}}; }
};

inline Result<std::unique_ptr<PreparedOp>> make(const Candidate& candidate, const Problem& p) {
  if (const auto why = candidate.refuses(p.d, host())) return fail(ErrorCode::unsupported, *why);
  INTAGLIO_TRY(auto blobs, candidate.pack(p.d, p.constants(), host()));
  return candidate.prepare(p.d, std::move(blobs), host());
}

inline double activate(Activation a, double x) {
  switch (a) {
    case Activation::none:
      return x;
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::gelu_erf:
      return 0.5 * x * std::erfc(-x * M_SQRT1_2);
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::tanh:
      return std::tanh(x);
  }
  return x;
}

// A value and how far from it a correct result may be.
struct Expected {
  double value = 0, error = 0;
};
inline Expected expected_at(const Problem& p, std::size_t i, std::size_t j) {
  constexpr double kEps = std::numeric_limits<float>::epsilon();
  const LinearDescriptor& d = p.d;
  const auto k = static_cast<std::size_t>(d.k), n = static_cast<std::size_t>(d.n);
  const double x_zero = d.input_zero ? p.x_zero.at(0) : 0, w_zero = d.weight_zero ? p.weight_zero.at(0) : 0;
  double sum = 0, magnitude = 0;
  for (std::size_t l = 0; l < k; ++l) {
    const double product =
        (p.x.values[i * k + l] - x_zero) * (p.weight.values[d.weight_nk ? j * k + l : l * n + j] - w_zero);
    sum += product;
    magnitude += std::abs(product);
  }
  if (d.output == DType::i32) return {sum, 0};
  const double scale = (d.input_scale ? p.x_scale.at(i) : d.alpha) * (d.weight_scale ? p.weight_scale.at(j) : 1.0);
  Expected e;
  e.value = sum * scale + (d.bias ? p.bias.at(j) : 0);
  // Sums in any order: at most one rounding for each of the k terms, none for integers but their conversion. Then one
  // for each of up to four steps, relative to the largest partial result.
  const double roundings = d.input == DType::f32 ? static_cast<double>(k) : 1;
  e.error = kEps * (roundings * magnitude * scale + 4 * (std::abs(sum * scale) + 1));
  if (d.activation > Activation::relu) {
    // Slopes are at most 1.13. oneDNN's own tests allow its functions 4e-5 relative (tests/benchdnn/eltwise), and near
    // the zeros of gelu a cancellation of two epsilon of the argument.
    const double argument = std::abs(e.value);
    e.value = activate(d.activation, e.value);
    e.error = 1.13 * e.error + 4e-5 * std::abs(e.value) + 2 * kEps * argument;
  } else {
    e.value = activate(d.activation, e.value);
  }
  if (d.residual) e.value += p.residual.values[i * n + j];
  e.error += kEps * std::abs(e.value);
  if (d.clamp) e.value = std::clamp(e.value, d.clamp_low, d.clamp_high);
  return e;
}

inline void expect_close(const Problem& p, const TestTensor& y, std::string_view what) {
  const auto n = static_cast<std::size_t>(p.d.n);
  const auto floats = y.values<float>();
  const auto integers = y.values<std::int32_t>();
  for (std::size_t i = 0; i < p.m; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const Expected e = expected_at(p, i, j);
      const double got = p.d.output == DType::i32 ? integers[i * n + j] : static_cast<double>(floats[i * n + j]);
      ASSERT_NEAR(got, e.value, e.error) << what << " at " << i << "," << j << ", " << ops::to_string(p.d);
    }
  }
}

}  // namespace intaglio::vendor::onednn
