// Every row of the table against the definition in double, bit for bit: every length, special values, ties, guard
// pages.
#include "kernels/quantize/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "kernels/gemm/gemm_test_util.h"
#include "kernels/quantize/table.h"

namespace intaglio::kernels::quantize {
namespace {

using gemm::Edge;
using gemm::Guarded;
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class QuantizeRows : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!gemm::machine_has(row().isa)) GTEST_SKIP() << row().name << ": this machine has no " << row().isa;
  }
  const KernelRow& row() const { return kKernels[GetParam()]; }
  bool is_signed() const { return row().group == Group::quantize_s8 || row().group == Group::dequantize_s8; }
};

// The definition, in whole numbers after the f32 division that it is made of.
int quantized(float x, float scale, int zero, bool is_signed) {
  const double quotient = static_cast<double>(x / scale);
  if (std::isnan(quotient)) return 0;
  const double low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
  double whole = std::floor(quotient);
  const double rest = quotient - whole;
  if (rest > 0.5 || (rest == 0.5 && std::fmod(whole, 2.0) != 0)) whole += 1;
  return static_cast<int>(std::fmin(std::fmax(std::isinf(quotient) ? quotient : whole + zero, low), high));
}

// Values around every rounding step, and those that have no place on the scale.
float interesting(std::size_t i, float scale) {
  static const float special[] = {0.0f,   -0.0f,   kInf,   -kInf,  kNan,   3.4e38f,   -3.4e38f,
                                  1e-45f, -1e-45f, 1e-38f, 127.5f, 128.5f, -128.5f,   255.5f,
                                  254.5f, 0.5f,    -0.5f,  1.5f,   2.5f,   8388609.0f};
  constexpr std::size_t kSpecial = std::size(special);
  if (i % 5 == 0) return special[i / 5 % kSpecial];
  if (i % 5 == 1) return (static_cast<float>(i % 300) - 150.0f + 0.5f) * scale;
  return gemm::random_float(-200, 200) * scale;
}

TEST_P(QuantizeRows, AgainstTheDefinition) {
  if (row().group == Group::extremes) return;
  const bool back = row().group == Group::dequantize_u8 || row().group == Group::dequantize_s8;
  for (std::size_t n = 0; n < 200; n += n < 70 ? 1 : 7) {
    for (const float scale : {1.0f, 0.1f, 3.0f, 1.0f / 255.0f, 1e-40f, 0.0f, -2.0f, kInf, kNan}) {
      const int zero = is_signed() ? static_cast<int>(n % 256) - 128 : static_cast<int>(n % 256);
      const Edge edge = n % 2 == 0 ? Edge::back : Edge::front;
      Guarded<float> floats(n, edge);
      Guarded<std::uint8_t> bytes(n, edge);
      for (std::size_t i = 0; i < n; ++i) {
        floats[i] = back ? 0.0f : interesting(i + n * 7, scale);
        bytes[i] = static_cast<std::uint8_t>(i * 37 + n);
      }
      row().kernel(back ? Args{bytes.data(), floats.data(), n, scale, zero}
                        : Args{floats.data(), bytes.data(), n, scale, zero});
      ASSERT_TRUE(floats.surroundings_intact() && bytes.surroundings_intact()) << n;
      for (std::size_t i = 0; i < n; ++i) {
        const int byte = is_signed() ? static_cast<std::int8_t>(bytes[i]) : bytes[i];
        if (back) {
          const float expected = static_cast<float>(byte - zero) * scale;
          ASSERT_TRUE(floats[i] == expected || (std::isnan(floats[i]) && std::isnan(expected)))
              << i << " of " << n << " scale " << scale;
        } else {
          ASSERT_EQ(byte, quantized(floats[i], scale, zero, is_signed()))
              << floats[i] << " / " << scale << " + " << zero;
        }
      }
    }
  }
}

TEST_P(QuantizeRows, Extremes) {
  if (row().group != Group::extremes) return;
  for (std::size_t n = 0; n < 300; n += n < 140 ? 1 : 17) {
    for (int kind = 0; kind < 5; ++kind) {
      Guarded<float> x(n, n % 2 == 0 ? Edge::back : Edge::front);
      Guarded<float> out(2, Edge::back);
      float low = 0, high = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const float spread = gemm::random_float(-9, 9);
        x[i] = kind == 0    ? spread
               : kind == 1  ? std::fabs(spread)
               : kind == 2  ? -std::fabs(spread)
               : kind == 3  ? -0.0f
               : i % 3 == 0 ? kNan
                            : spread;
        if (kind == 4 && n > 5 && i == n - 1) x[i] = -kInf;
        low = std::fmin(low, x[i]);
        high = std::fmax(high, x[i]);
      }
      if (low == 0) low = 0.0f;
      if (high == 0) high = 0.0f;
      row().kernel({x.data(), out.data(), n, 1.0f, 0});
      ASSERT_TRUE(x.surroundings_intact() && out.surroundings_intact());
      ASSERT_EQ(out[0], low) << n;
      ASSERT_EQ(out[1], high) << n;
      ASSERT_FALSE((low == 0 && std::signbit(out[0])) || std::signbit(out[1])) << "a zero must be +0";
    }
  }
}

// Each position must be looked at.
TEST_P(QuantizeRows, ExtremesAnywhere) {
  if (row().group != Group::extremes) return;
  std::vector<float> x(150);
  for (std::size_t at = 0; at < x.size(); ++at) {
    x.assign(x.size(), 0.5f);
    x[at] = -7;
    x[(at + 60) % x.size()] = 8;
    float out[2];
    row().kernel({x.data(), out, x.size(), 1.0f, 0});
    ASSERT_EQ(out[0], -7) << at;
    ASSERT_EQ(out[1], 8) << at;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, QuantizeRows, testing::Range(std::size_t{0}, kKernelCount),
                         [](const auto& each) { return std::string(kKernels[each.param].name); });

}  // namespace
}  // namespace intaglio::kernels::quantize
