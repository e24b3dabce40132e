// Quantisation against the models' definitions, in double where f32 rounding is not what is defined.
#include "ops/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/generic_test_util.h"

namespace intaglio::ops {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

QuantizeDescriptor make(QuantizeKind kind, DType input, DType output, bool zero = false, std::int64_t axis = 0) {
  QuantizeDescriptor d;
  d.kind = kind;
  d.input = input;
  d.output = output;
  d.zero = zero;
  d.axis = axis;
  return d;
}

double round_even(double x) {
  const double whole = std::floor(x), rest = x - whole;
  return rest > 0.5 || (rest == 0.5 && std::fmod(whole, 2.0) != 0) ? whole + 1 : whole;
}
template <class T>
T quantized(float x, float scale, int zero) {
  const double quotient = static_cast<double>(x / scale);  // the definition divides in f32
  if (std::isnan(quotient)) return 0;
  const double low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
  return static_cast<T>(std::fmin(std::fmax(round_even(quotient) + zero, low), high));
}

void expect_dynamic(const Shape& shape, const std::vector<float>& x) {
  float low = 0, high = 0;
  for (const float v : x) {
    low = std::fmin(low, v);
    high = std::fmax(high, v);
  }
  const float scale = low == high ? 1.0f : (high - low) / 255.0f;
  const auto zero = quantized<std::uint8_t>(-low, scale, 0);
  std::vector<std::uint8_t> y;
  for (const float v : x) y.push_back(quantized<std::uint8_t>(v, scale, zero));
  const auto got = run_everywhere(make(QuantizeKind::dynamic, DType::f32, DType::u8), {TestTensor::of<float>(shape, x)},
                                  {{DType::u8, shape}, {DType::f32, {}}, {DType::u8, {}}});
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[0].values<std::uint8_t>(), y);
  EXPECT_EQ(got[1].values<float>(), (std::vector<float>{scale}));
  EXPECT_EQ(got[2].values<std::uint8_t>(), (std::vector<std::uint8_t>{zero}));
}

TEST(Quantize, Dynamic) {
  TestRandom random(3);
  expect_dynamic({}, {2.5f});
  expect_dynamic({0}, {});
  expect_dynamic({3}, {0, 0, 0});
  expect_dynamic({3}, {-1, -2, -4});
  expect_dynamic({4}, {1, kNan, -3, 2});
  expect_dynamic({2, 0, 5}, {});
  for (const std::size_t n : {1, 63, 1024, 1025, 5000, 20011}) {
    for (const auto& [low, high] : {std::pair{-1.0f, 1.0f}, {0.5f, 9.0f}, {-1e30f, 1e-3f}, {-1e-42f, 1e-42f}}) {
      expect_dynamic({static_cast<std::int64_t>(n)}, random.floats(n, low, high));
    }
  }
}

// What ONNX's own examples say (DynamicQuantizeLinear).
TEST(Quantize, DynamicExampleOfOnnx) {
  const auto got = run_everywhere(make(QuantizeKind::dynamic, DType::f32, DType::u8),
                                  {TestTensor::of<float>({6}, {0, 2, -3, -2.5f, 1.34f, 0.5f})},
                                  {{DType::u8, {6}}, {DType::f32, {}}, {DType::u8, {}}});
  EXPECT_EQ(got.at(0).values<std::uint8_t>(), (std::vector<std::uint8_t>{153, 255, 0, 26, 221, 179}));
  EXPECT_FLOAT_EQ(got.at(1).values<float>()[0], 0.0196078438f);
  EXPECT_EQ(got.at(2).values<std::uint8_t>()[0], 153);
}

// Static, in every arrangement of scales: T is the 8-bit or 32-bit type.
template <class T>
void expect_static(const Shape& shape, std::int64_t axis, bool scales, bool zero, bool zeros, bool forth) {
  TestRandom random(static_cast<std::uint32_t>(shape.size() * 5 + (scales ? 1 : 0)));
  const auto count = static_cast<std::size_t>(*element_count(shape));
  const std::int64_t channels = shape.empty() ? 1 : shape[static_cast<std::size_t>(axis)];
  const Shape scale_shape = scales ? Shape{channels} : Shape{}, zero_shape = zeros ? Shape{channels} : Shape{};
  const auto scale = random.floats(scales ? static_cast<std::size_t>(channels) : 1, 0.01f, 0.05f);
  const auto zero_values = random.integers<T>(zeros ? static_cast<std::size_t>(channels) : 1,
                                              sizeof(T) == 1 ? std::numeric_limits<T>::min() : -70000,
                                              sizeof(T) == 1 ? std::numeric_limits<T>::max() : 70000);
  const auto floats = random.floats(count, -7, 7);
  const auto wholes = random.integers<T>(count, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
  std::vector<T> expected_wholes;
  std::vector<float> expected_floats;
  for_each_index(shape, [&](const Shape& index) {
    const std::size_t i = flat_index(shape, index),
                      channel = shape.empty() ? 0 : static_cast<std::size_t>(index[static_cast<std::size_t>(axis)]);
    const float s = scale[scales ? channel : 0];
    const T z = zero ? zero_values[zeros ? channel : 0] : T{0};
    if constexpr (sizeof(T) == 1) expected_wholes.push_back(quantized<T>(floats[i], s, z));
    expected_floats.push_back(static_cast<float>(static_cast<std::int64_t>(wholes[i]) - static_cast<std::int64_t>(z)) *
                              s);
  });
  const DType dtype = kDTypeOf<T>;
  const auto d = forth ? make(QuantizeKind::quantize, DType::f32, dtype, zero, axis)
                       : make(QuantizeKind::dequantize, dtype, DType::f32, zero, axis);
  std::vector<TestTensor> inputs{forth ? TestTensor::of<float>(shape, floats) : TestTensor::of<T>(shape, wholes),
                                 TestTensor::of<float>(scale_shape, scale)};
  if (zero) inputs.push_back(TestTensor::of<T>(zero_shape, zero_values));
  const auto got = run_everywhere(d, inputs, {{d.output, shape}});
  ASSERT_EQ(got.size(), 1u);
  if (forth)
    EXPECT_EQ(got[0].values<T>(), expected_wholes);
  else
    EXPECT_EQ(got[0].values<float>(), expected_floats);
}

TEST(Quantize, Static) {
  struct Case {
    Shape shape;
    std::int64_t axis;
  };
  for (const Case& each : {Case{{}, 0},
                           {{5}, 0},
                           {{3000}, 0},
                           {{7, 65}, 0},
                           {{7, 65}, 1},
                           {{2, 3, 1500}, 1},
                           {{0, 3}, 1},
                           {{3, 0}, 0},
                           {{2, 1, 40}, 1},
                           {{30, 111}, 1},
                           {{2, 9, 129}, 2},
                           {{3, 5, 2}, 1}}) {
    for (const bool scales : {false, true}) {
      if (scales && each.shape.empty()) continue;
      for (const int zero : {0, 1, 2}) {
        if (zero == 2 && each.shape.empty()) continue;
        for (const bool forth : {false, true}) {
          expect_static<std::uint8_t>(each.shape, each.axis, scales, zero != 0, zero == 2, forth);
          expect_static<std::int8_t>(each.shape, each.axis, scales, zero != 0, zero == 2, forth);
        }
        expect_static<std::int32_t>(each.shape, each.axis, scales, zero != 0, zero == 2, false);
      }
    }
  }
}

TEST(Quantize, BindRefusesWhatDoesNotFit) {
  const Operand x{DType::f32, {4, 3}}, y{DType::u8, {4, 3}}, scale{DType::f32, {}};
  const auto dynamic = make(QuantizeKind::dynamic, DType::f32, DType::u8);
  expect_bind_error(dynamic, {x}, {y});
  expect_bind_error(dynamic, {x}, {{DType::u8, {3, 4}}, scale, {DType::u8, {}}});
  expect_bind_error(dynamic, {x}, {y, scale, {DType::i8, {}}});
  expect_bind_error(dynamic, {x}, {y, {DType::f64, {}}, {DType::u8, {}}});
  expect_bind_error(dynamic, {x}, {y, {DType::f32, {0}}, {DType::u8, {}}});
  const auto forth = make(QuantizeKind::quantize, DType::f32, DType::u8, true, 1);
  expect_bind_error(forth, {x, scale}, {y});
  expect_bind_error(forth, {x, scale, {DType::i8, {}}}, {y});
  expect_bind_error(forth, {x, {DType::f32, {4}}, {DType::u8, {}}}, {y});
  expect_bind_error(forth, {x, scale, {DType::u8, {2}}}, {y});
  expect_bind_error(forth, {x, {DType::f32, {0}}, {DType::u8, {}}}, {y});
  expect_bind_error(forth, {x, scale, {DType::u8, {}}}, {{DType::i8, {4, 3}}});
  expect_bind_error(forth, {{DType::f64, {4, 3}}, scale, {DType::u8, {}}}, {y});
  expect_bind_error(make(QuantizeKind::quantize, DType::f32, DType::u8, false, 2), {x, {DType::f32, {3}}}, {y});
}

TEST(Quantize, Descriptors) {
  expect_round_trip(make(QuantizeKind::quantize, DType::f32, DType::i8, true, 3));
  expect_unknown_kinds_rejected(make(QuantizeKind::dynamic, DType::f32, DType::u8), kQuantizeKinds);
  const QuantizeDescriptor illegal[] = {make(QuantizeKind::dynamic, DType::f32, DType::i8),
                                        make(QuantizeKind::dynamic, DType::f16, DType::u8),
                                        make(QuantizeKind::quantize, DType::f32, DType::i32),
                                        make(QuantizeKind::quantize, DType::u8, DType::f32),
                                        make(QuantizeKind::dequantize, DType::f32, DType::u8),
                                        make(QuantizeKind::dequantize, DType::i64, DType::f32),
                                        make(QuantizeKind::dequantize, DType::u8, DType::f64),
                                        make(QuantizeKind::quantize, DType::f32, DType::u8, false, -1),
                                        make(QuantizeKind::quantize, DType::f32, DType::u8, false, kMaxRank)};
  for (const QuantizeDescriptor& d : illegal) EXPECT_FALSE(d.validate().has_value()) << to_string(d);
}

}  // namespace
}  // namespace intaglio::ops
