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
  bool finds_extremes() const { return row().group == Group::extremes || row().group == Group::extremes_bf16; }
};

// Floats as the row wants them: bf16 are the upper halves, to which `x` is cut.
class Source {
 public:
  Source(const KernelRow& row, Guarded<float>& x, Edge edge) : halves_(x.size(), edge), floats_(x) {
    brain_ = row.group == Group::extremes_bf16;
    for (std::size_t i = 0; i < x.size() && brain_; ++i) {
      std::uint32_t bits;
      std::memcpy(&bits, &x[i], 4);
      halves_[i] = static_cast<std::uint16_t>(bits >> 16);
      bits &= 0xFFFF0000u;
      std::memcpy(&x[i], &bits, 4);
    }
  }
  const void* data() const { return brain_ ? static_cast<const void*>(halves_.data()) : floats_.data(); }
  bool surroundings_intact() const { return halves_.surroundings_intact() && floats_.surroundings_intact(); }

 private:
  Guarded<std::uint16_t> halves_;
  Guarded<float>& floats_;
  bool brain_ = false;
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
  if (finds_extremes()) return;
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
      Args args;
      args.source = back ? static_cast<const void*>(bytes.data()) : floats.data();
      args.out = back ? static_cast<void*>(floats.data()) : bytes.data();
      args.count = n;
      args.scale = scale;
      args.zero = zero;
      row().kernel(args);
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

// Scales and zero points of their own for the elements, one or the other or both.
TEST_P(QuantizeRows, ScaleAndZeroOfEachElement) {
  if (finds_extremes()) return;
  const bool back = row().group == Group::dequantize_u8 || row().group == Group::dequantize_s8;
  for (std::size_t n = 0; n < 150; ++n) {
    const bool each_scale = n % 3 != 0, each_zero = n % 3 != 1;
    const Edge edge = n % 2 == 0 ? Edge::back : Edge::front;
    Guarded<float> floats(n, edge), scales(n, edge);
    Guarded<std::uint8_t> bytes(n, edge), zeros(n, edge);
    for (std::size_t i = 0; i < n; ++i) {
      scales[i] = i % 11 == 0 ? 0.0f : i % 13 == 0 ? kInf : gemm::random_float(0.001f, 2);
      zeros[i] = gemm::random_byte();
      floats[i] = back ? 0.0f : interesting(i + n * 7, each_scale && i % 11 != 0 && i % 13 != 0 ? scales[i] : 0.25f);
      bytes[i] = gemm::random_byte();
    }
    Args args;
    args.source = back ? static_cast<const void*>(bytes.data()) : floats.data();
    args.out = back ? static_cast<void*>(floats.data()) : bytes.data();
    args.count = n;
    args.scale = 0.25f;
    args.zero = 3;
    args.scales = each_scale ? scales.data() : nullptr;
    args.zeros = each_zero ? zeros.data() : nullptr;
    row().kernel(args);
    ASSERT_TRUE(floats.surroundings_intact() && bytes.surroundings_intact() && scales.surroundings_intact() &&
                zeros.surroundings_intact());
    const auto value = [&](std::uint8_t byte) { return is_signed() ? static_cast<std::int8_t>(byte) : int{byte}; };
    for (std::size_t i = 0; i < n; ++i) {
      const float scale = each_scale ? scales[i] : 0.25f;
      const int zero = each_zero ? value(zeros[i]) : 3;
      if (back) {
        const float wanted = static_cast<float>(value(bytes[i]) - zero) * scale;
        ASSERT_TRUE(floats[i] == wanted || (std::isnan(floats[i]) && std::isnan(wanted))) << i << " of " << n;
      } else {
        ASSERT_EQ(value(bytes[i]), quantized(floats[i], scale, zero, is_signed())) << i << " of " << n;
      }
    }
  }
}

// x = RN((n + 1/2) s) with its neighbours, also of negative scales: where a fast division could round elsewhere.
TEST_P(QuantizeRows, DividesExactlyAtTies) {
  if (row().group != Group::quantize_u8 && row().group != Group::quantize_s8) return;
  std::vector<float> x;
  std::vector<std::uint8_t> y;
  for (int round = 0; round < 2000; ++round) {
    const float s = std::ldexp(gemm::random_float(1, 2), static_cast<int>(gemm::random_size(0, 230)) - 120) *
                    (round % 4 == 0 ? -1.0f : 1.0f);
    const int zero = is_signed() ? -128 + round % 256 : round % 256;
    x.clear();
    for (int n = -256; n < 256; ++n) {
      float at = std::nextafter(static_cast<float>((n + 0.5) * static_cast<double>(s)), -kInf);
      for (int i = 0; i < 3; ++i, at = std::nextafter(at, kInf)) x.push_back(at);
    }
    y.resize(x.size());
    Args args;
    args.source = x.data();
    args.out = y.data();
    args.count = x.size();
    args.scale = s;
    args.zero = zero;
    row().kernel(args);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(is_signed() ? static_cast<std::int8_t>(y[i]) : y[i], quantized(x[i], s, zero, is_signed()))
          << x[i] << " / " << s << " + " << zero;
    }
  }
}

TEST_P(QuantizeRows, Extremes) {
  if (!finds_extremes()) return;
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
      }
      const Source source(row(), x, n % 2 == 0 ? Edge::back : Edge::front);
      for (std::size_t i = 0; i < n; ++i) {
        low = std::fmin(low, x[i]);
        high = std::fmax(high, x[i]);
      }
      if (low == 0) low = 0.0f;
      if (high == 0) high = 0.0f;
      Args args;
      args.source = source.data();
      args.out = out.data();
      args.count = n;
      row().kernel(args);
      ASSERT_TRUE(source.surroundings_intact() && out.surroundings_intact());
      ASSERT_EQ(out[0], low) << n;
      ASSERT_EQ(out[1], high) << n;
      ASSERT_FALSE((low == 0 && std::signbit(out[0])) || std::signbit(out[1])) << "a zero must be +0";
    }
  }
}

// Each position must be looked at.
TEST_P(QuantizeRows, ExtremesAnywhere) {
  if (!finds_extremes()) return;
  Guarded<float> x(150, Edge::back);
  for (std::size_t at = 0; at < x.size(); ++at) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.5f;
    x[at] = -7;
    x[(at + 60) % x.size()] = 8;
    const Source source(row(), x, Edge::back);
    float out[2];
    Args args;
    args.source = source.data();
    args.out = out;
    args.count = x.size();
    row().kernel(args);
    ASSERT_EQ(out[0], -7) << at;
    ASSERT_EQ(out[1], 8) << at;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, QuantizeRows, testing::Range(std::size_t{0}, kKernelCount),
                         [](const auto& each) { return std::string(kKernels[each.param].name); });

}  // namespace
}  // namespace intaglio::kernels::quantize
