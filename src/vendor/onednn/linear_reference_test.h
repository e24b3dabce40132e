// Helpers of the tests of "onednn.linear": random problems and their reference in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "base/half.h"
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

// All elements of a tensor.
inline std::vector<double> doubles_of(const TestTensor& t) {
  std::vector<double> out;
  const auto append = [&](const auto& values) {
    for (const auto& value : values) {
      if constexpr (requires { to_float(value); }) {
        out.push_back(static_cast<double>(to_float(value)));
      } else {
        out.push_back(static_cast<double>(value));
      }
    }
  };
  switch (t.type.dtype) {
    case DType::u8:
      append(t.values<std::uint8_t>());
      break;
    case DType::i8:
      append(t.values<std::int8_t>());
      break;
    case DType::i32:
      append(t.values<std::int32_t>());
      break;
    case DType::bf16:
      append(t.values<BFloat16>());
      break;
    case DType::f16:
      append(t.values<Float16>());
      break;
    default:
      append(t.values<float>());
      break;
  }
  return out;
}

// A tensor with its elements as doubles.
struct Numbers {
  TestTensor tensor;
  std::vector<double> values;
  Numbers() = default;
  explicit Numbers(TestTensor t) : tensor(std::move(t)), values(doubles_of(tensor)) {}
  double at(std::size_t i) const { return values.size() == 1 ? values[0] : values[i]; }
};
template <class T>
Numbers numbers_of(Shape shape, const std::vector<T>& raw) {
  return Numbers(TestTensor::of(std::move(shape), raw));
}

inline Numbers random_numbers(TestRandom& random, DType dtype, Shape shape, float low, float high) {
  const auto count = static_cast<std::size_t>(*element_count(shape));
  if (dtype == DType::u8) return numbers_of(std::move(shape), random.integers<std::uint8_t>(count));
  if (dtype == DType::i8) return numbers_of(std::move(shape), random.integers<std::int8_t>(count));
  const std::vector<float> floats = random.floats(count, low, high);
  if (dtype == DType::f32) return numbers_of(std::move(shape), floats);
  std::vector<BFloat16> bf16;
  std::vector<Float16> f16;
  for (const float value : floats) {
    bf16.push_back(to_bfloat16(value));
    f16.push_back(to_float16(value));
  }
  return dtype == DType::bf16 ? numbers_of(std::move(shape), bf16) : numbers_of(std::move(shape), f16);
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
    if (d.residual) residual = random_numbers(random, d.residual_type, Shape{count, d.n}, -1, 1);
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
    case Activation::hard_swish:
      return x * std::clamp(x / 6 + 0.5, 0.0, 1.0);
  }
  return x;
}

// A value and how far from it a correct result may be.
struct Expected {
  double value = 0, error = 0;
};
// The value as the output's type may hold it: at most half a step from the exact one, and what it was off before.
inline Expected converted(const LinearDescriptor& d, Expected e) {
  constexpr double kEps = std::numeric_limits<float>::epsilon();
  if (size_of(d.output) == 2) {
    const double step = d.output == DType::bf16 ? 0x1p-7 : 0x1p-10;
    const double subnormal = d.output == DType::f16 ? 0x1p-25 : 0;
    return {e.value, e.error + step / 2 * (std::abs(e.value) + e.error) + subnormal};
  }
  if (size_of(d.output) != 1) return e;
  const double scale = d.output_scale, low = d.output == DType::u8 ? 0 : -128, high = low + 255;
  const double quotient = e.value / scale + static_cast<double>(d.output_zero);
  return {std::clamp(quotient, low, high), 0.5 + e.error / scale + 2 * kEps * std::abs(quotient)};
}
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
  const double roundings = d.integer_input() ? 1 : static_cast<double>(k);
  e.error = kEps * (roundings * magnitude * scale + 4 * (std::abs(sum * scale) + 1));
  if (d.activation > Activation::relu) {
    // Slopes are at most 1.5 (hard_swish). oneDNN's own tests allow its functions 4e-5 relative
    // (tests/benchdnn/eltwise), and near the zeros of gelu a cancellation of two epsilon of the argument.
    const double argument = std::abs(e.value);
    e.value = activate(d.activation, e.value);
    e.error = 1.5 * e.error + 4e-5 * std::abs(e.value) + 2 * kEps * argument;
  } else {
    e.value = activate(d.activation, e.value);
  }
  if (d.residual) {
    const double r = p.residual.values[i * n + j];
    e.value = d.residual_multiply ? e.value * r : e.value + r;
    if (d.residual_multiply) e.error *= std::abs(r);
  }
  e.error += kEps * std::abs(e.value);
  if (d.clamp) e.value = std::clamp(e.value, d.clamp_low, d.clamp_high);
  return converted(d, e);
}

// All elements of y, in rows.
inline std::vector<Expected> expected_of(const Problem& p) {
  std::vector<Expected> out;
  for (std::size_t i = 0; i < p.m; ++i) {
    for (std::size_t j = 0; j < static_cast<std::size_t>(p.d.n); ++j) out.push_back(expected_at(p, i, j));
  }
  return out;
}

inline void expect_close(const Problem& p, const std::vector<Expected>& expected, const TestTensor& y,
                         std::string_view what) {
  const std::vector<double> got = doubles_of(y);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t at = 0; at < got.size(); ++at) {
    ASSERT_NEAR(got[at], expected[at].value, expected[at].error)
        << what << " at " << at << " of " << p.m << " rows, " << ops::to_string(p.d);
  }
}

}  // namespace intaglio::vendor::onednn
