// Dynamic symmetric quantisation and quantisation by row against the definitions, on every level and thread count.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/half.h"
#include "ops/generic_test_util.h"
#include "ops/quantize.h"

namespace intaglio::ops {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

QuantizeDescriptor make(QuantizeKind kind, DType input, DType output, SymmetricRule rule = {}) {
  QuantizeDescriptor d;
  d.kind = kind;
  d.input = input;
  d.output = output;
  d.rule = rule;
  return d;
}

double round_even(double x) {
  const double whole = std::floor(x), rest = x - whole;
  return rest > 0.5 || (rest == 0.5 && std::fmod(whole, 2.0) != 0) ? whole + 1 : whole;
}

// One row (or a whole tensor), appended to the results.
struct Results {
  std::vector<std::uint8_t> bytes, zeros;
  std::vector<float> scales;
};
void quantize_row(const QuantizeDescriptor& d, const float* x, std::size_t n, Results& out) {
  const bool symmetric = d.kind == QuantizeKind::rows_symmetric || d.kind == QuantizeKind::tensor_symmetric;
  float low = 0, high = 0;
  for (std::size_t i = 0; i < n; ++i) {
    low = std::fmin(low, x[i]);
    high = std::fmax(high, x[i]);
  }
  const float most = std::fmax(-low, high);
  float scale = low == high ? 1.0f : (high - low) / 255.0f;
  double zero = 0, nan = 0, least = 0, top = 255;
  if (symmetric) {
    scale = most == 0 && d.rule.least == 0
                ? 1.0f
                : std::fmax(most / static_cast<float>(d.rule.divisor), static_cast<float>(d.rule.least));
    if (d.output == DType::i8) least = -128, top = 127;
    zero = nan = d.output == DType::u8 ? 128 : 0;
  } else {
    const float at_zero = -low / scale;
    zero = std::isnan(at_zero) ? 0 : std::fmin(round_even(static_cast<double>(at_zero)), 255);
  }
  out.scales.push_back(scale);
  out.zeros.push_back(static_cast<std::uint8_t>(zero));
  for (std::size_t i = 0; i < n; ++i) {
    const float inverse = 1.0f / scale;
    const auto quotient = static_cast<double>(symmetric && d.rule.by_reciprocal ? x[i] * inverse : x[i] / scale);
    const double y = std::isnan(quotient) ? nan : std::fmin(std::fmax(round_even(quotient) + zero, least), top);
    out.bytes.push_back(static_cast<std::uint8_t>(static_cast<int>(y)));
  }
}

void expect_quantized(const QuantizeDescriptor& d, const Shape& shape, std::vector<float> x) {
  const bool by_row = d.kind == QuantizeKind::rows_symmetric || d.kind == QuantizeKind::rows_asymmetric;
  const bool symmetric = d.kind == QuantizeKind::rows_symmetric || d.kind == QuantizeKind::tensor_symmetric;
  TestTensor input = TestTensor::of<float>(shape, x);
  if (d.input == DType::bf16) {
    std::vector<BFloat16> halves;
    for (float& v : x) {
      halves.push_back(to_bfloat16(v));
      v = to_float(halves.back());
    }
    input = {{DType::bf16, shape}, std::vector<std::byte>(halves.size() * 2)};
    if (!halves.empty()) std::memcpy(input.bytes.data(), halves.data(), input.bytes.size());
  }
  Results expected;
  Shape scale_shape;
  if (by_row) {
    scale_shape.assign(shape.begin(), shape.end() - 1);
    const auto length = static_cast<std::size_t>(shape.back());
    const auto rows = static_cast<std::size_t>(*element_count(scale_shape));
    for (std::size_t i = 0; i < rows; ++i) quantize_row(d, x.data() + i * length, length, expected);
  } else {
    quantize_row(d, x.data(), x.size(), expected);
  }
  std::vector<Operand> outputs{{d.output, shape}, {DType::f32, scale_shape}};
  if (!symmetric) outputs.push_back({DType::u8, scale_shape});
  const auto got = run_everywhere(d, {input}, outputs);
  ASSERT_EQ(got.size(), outputs.size());
  EXPECT_EQ(got[0].values<std::uint8_t>(), expected.bytes) << to_string(d) << " " << to_string(shape);
  const auto scales = got[1].values<float>();
  ASSERT_EQ(scales.size(), expected.scales.size());
  for (std::size_t i = 0; i < scales.size(); ++i) EXPECT_EQ(scales[i], expected.scales[i]);
  if (!symmetric) {
    EXPECT_EQ(got[2].values<std::uint8_t>(), expected.zeros);
  }
}

std::vector<QuantizeDescriptor> kinds() {
  std::vector<QuantizeDescriptor> all;
  for (const DType input : {DType::f32, DType::bf16}) {
    for (const QuantizeKind kind : {QuantizeKind::rows_symmetric, QuantizeKind::tensor_symmetric}) {
      for (const DType output : {DType::i8, DType::u8}) {
        all.push_back(make(kind, input, output));
        all.push_back(make(kind, input, output, {127.5, 1.1920929e-7, true}));
        all.push_back(make(kind, input, output, {127.0, 1e-7, false}));
      }
    }
    all.push_back(make(QuantizeKind::rows_asymmetric, input, DType::u8));
    all.push_back(make(QuantizeKind::dynamic, input, DType::u8));
  }
  return all;
}

TEST(QuantizeDynamic, Shapes) {
  TestRandom random(11);
  for (const QuantizeDescriptor& d : kinds()) {
    for (const Shape& shape :
         {Shape{5}, {1, 1}, {3, 65}, {2, 3, 768}, {17, 40}, {0, 3}, {3, 0}, {2, 0, 5}, {2, 3000}, {9, 1024}}) {
      expect_quantized(d, shape, random.floats(static_cast<std::size_t>(*element_count(shape)), -2, 3));
      if (testing::Test::HasFailure()) return;
    }
  }
  expect_quantized(make(QuantizeKind::tensor_symmetric, DType::f32, DType::i8), {}, {-2.5f});
}

TEST(QuantizeDynamic, SpecialValues) {
  for (const QuantizeDescriptor& d : kinds()) {
    expect_quantized(d, {4, 3}, {0, -0.0f, 0, kNan, 1, -2, 1e-42f, -3e-43f, 0, 3e38f, -3e38f, 1});
    expect_quantized(d, {2, 3}, {kInf, 1, -kInf, -1, kNan, 2});
    expect_quantized(d, {2, 2}, {0, 0, -0.0f, kNan});
    expect_quantized(d, {3, 3}, {127, 0.5f, 1.5f, 127.5f, -127.5f, 2.5f, -127, 126.5f, -0.5f});
  }
}

TEST(QuantizeDynamic, BindRefusesWhatDoesNotFit) {
  const Operand x{DType::f32, {4, 3}}, y{DType::i8, {4, 3}}, scale{DType::f32, {4}};
  const auto rows = make(QuantizeKind::rows_symmetric, DType::f32, DType::i8);
  EXPECT_TRUE(prepare_op(rows)->bind({std::vector{x}, std::vector{y, {DType::f32, {2, 2, 1}}}, {}, 2}).has_value());
  expect_bind_error(rows, {x}, {y});
  expect_bind_error(rows, {x, x}, {y, scale});
  expect_bind_error(rows, {x}, {y, scale, {DType::u8, {4}}});
  expect_bind_error(rows, {x}, {y, {DType::f32, {3}}});
  expect_bind_error(rows, {x}, {y, {DType::f64, {4}}});
  expect_bind_error(rows, {x}, {{DType::u8, {4, 3}}, scale});
  expect_bind_error(rows, {x}, {{DType::i8, {3, 4}}, scale});
  expect_bind_error(rows, {{DType::bf16, {4, 3}}}, {y, scale});
  expect_bind_error(rows, {{DType::f32, {}}}, {{DType::i8, {}}, {DType::f32, {}}});
  const auto asymmetric = make(QuantizeKind::rows_asymmetric, DType::f32, DType::u8);
  expect_bind_error(asymmetric, {x}, {{DType::u8, {4, 3}}, scale, {DType::u8, {3}}});
  expect_bind_error(asymmetric, {x}, {{DType::u8, {4, 3}}, scale, {DType::i32, {4}}});
  expect_bind_error(make(QuantizeKind::tensor_symmetric, DType::f32, DType::i8), {x}, {y, scale});
}

TEST(QuantizeDynamic, Descriptors) {
  expect_round_trip(make(QuantizeKind::rows_symmetric, DType::bf16, DType::u8, {127.5, 1e-7, true}));
  const QuantizeDescriptor illegal[] = {make(QuantizeKind::rows_asymmetric, DType::f32, DType::i8),
                                        make(QuantizeKind::rows_symmetric, DType::f16, DType::i8),
                                        make(QuantizeKind::tensor_symmetric, DType::f32, DType::i32),
                                        make(QuantizeKind::quantize, DType::bf16, DType::u8),
                                        make(QuantizeKind::rows_symmetric, DType::f32, DType::i8, {0.0, 0, false}),
                                        make(QuantizeKind::rows_symmetric, DType::f32, DType::i8, {1e9, 0, false}),
                                        make(QuantizeKind::rows_symmetric, DType::f32, DType::i8, {NAN, 0, false}),
                                        make(QuantizeKind::rows_symmetric, DType::f32, DType::i8, {127, -1, false}),
                                        make(QuantizeKind::rows_symmetric, DType::f32, DType::i8, {127, 1e300, false})};
  for (const QuantizeDescriptor& d : illegal) EXPECT_FALSE(d.validate().has_value()) << to_string(d);
}

}  // namespace
}  // namespace intaglio::ops
