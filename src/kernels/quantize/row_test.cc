// Dynamic quantisation of rows: every row of the table against the definition in double after the f32 division, bit for
// bit: every length, options, special values, guard pages; and the fast division against the true one.
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

float from_bits(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
std::uint32_t bits_of(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

class QuantizeRowKernels : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!gemm::machine_has(row().isa)) GTEST_SKIP() << row().name << ": this machine has no " << row().isa;
  }
  const RowKernelRow& row() const { return kRowKernels[GetParam()]; }
  bool brain() const { return row().source == DType::bf16; }
};

double round_even(double x) {
  const double whole = std::floor(x), rest = x - whole;
  return rest > 0.5 || (rest == 0.5 && std::fmod(whole, 2.0) != 0) ? whole + 1 : whole;
}

struct Expected {
  float scale = 1;
  int zero = 0;
  std::vector<std::uint8_t> bytes;
  std::vector<int> values;
};

// The formulas of RowArgs on the values of a row; low and high are the extremes to use.
Expected expected(const RowArgs& g, const std::vector<float>& x, float low, float high) {
  Expected e;
  const bool symmetric = g.rule == Rule::symmetric, is_signed = symmetric && !g.plus128;
  int nan = 0;
  if (symmetric) {
    const float most = std::fmax(-low, high);
    e.scale = std::fmax(most / g.divisor, g.least);
    if (most == 0 && g.least == 0) e.scale = 1;
    e.zero = nan = g.plus128 ? 128 : 0;
  } else {
    e.scale = low == high ? 1.0f : (high - low) / 255.0f;
    const float at_zero = -low / e.scale;
    e.zero = std::isnan(at_zero) ? 0 : static_cast<int>(round_even(std::fmin(at_zero, 255.0f)));
  }
  for (const float v : x) {
    const float inverse = 1.0f / e.scale;
    const float quotient = symmetric && g.by_reciprocal ? v * inverse : v / e.scale;
    double y =
        std::isinf(quotient) ? static_cast<double>(quotient) : round_even(static_cast<double>(quotient)) + e.zero;
    y = std::fmin(std::fmax(y, is_signed ? -128 : 0), is_signed ? 127 : 255);
    e.values.push_back(std::isnan(quotient) ? nan : static_cast<int>(y));
    e.bytes.push_back(static_cast<std::uint8_t>(e.values.back()));
  }
  return e;
}

// Runs the kernel on guarded copies and compares everything.
void check(const RowKernelRow& row, RowArgs g, std::vector<float> x, const float* given = nullptr) {
  const std::size_t n = x.size();
  const Edge edge = n % 2 == 0 ? Edge::back : Edge::front;
  Guarded<float> floats(n, edge);
  Guarded<std::uint16_t> halves(n, edge);
  float low = 0, high = 0;
  for (std::size_t i = 0; i < n; ++i) {
    halves[i] = static_cast<std::uint16_t>(bits_of(x[i]) >> 16);
    if (row.source == DType::bf16) x[i] = from_bits(std::uint32_t{halves[i]} << 16);
    floats[i] = x[i];
    low = std::fmin(low, x[i]);
    high = std::fmax(high, x[i]);
  }
  const Expected e = expected(g, x, given != nullptr ? given[0] : low, given != nullptr ? given[1] : high);
  const std::size_t groups = g.sum_group == 0 ? 1 : (n + g.sum_group - 1) / g.sum_group;
  Guarded<std::uint8_t> bytes(n, edge);
  Guarded<std::int32_t> sums(groups, Edge::back);
  float scale = -1;
  std::int32_t zero = -1;
  g.source = row.source == DType::bf16 ? static_cast<const void*>(halves.data()) : floats.data();
  g.out = bytes.data();
  g.count = n;
  g.extremes = given;
  g.scale = &scale;
  g.zero = &zero;
  g.sums = n % 3 != 2 || n > 200 ? sums.data() : nullptr;
  row.kernel(g);
  ASSERT_TRUE(floats.surroundings_intact() && halves.surroundings_intact() && bytes.surroundings_intact() &&
              sums.surroundings_intact())
      << n;
  ASSERT_TRUE(scale == e.scale || (std::isnan(scale) && std::isnan(e.scale))) << scale << " " << e.scale << " n=" << n;
  ASSERT_EQ(zero, e.zero) << n;
  for (std::size_t i = 0; i < n; ++i)
    ASSERT_EQ(bytes[i], e.bytes[i]) << x[i] << " / " << scale << ", " << i << " of " << n;
  if (g.sums == nullptr) return;
  std::vector<int> totals(groups, 0);
  for (std::size_t i = 0; i < n; ++i) totals[g.sum_group == 0 ? 0 : i / g.sum_group] += e.values[i];
  for (std::size_t i = 0; i < groups; ++i) ASSERT_EQ(sums[i], totals[i]) << "group " << i << " of " << n;
}

// Every combination of the options but that of sums, which go round with `turn`.
std::vector<RowArgs> options(std::size_t turn) {
  std::vector<RowArgs> all;
  RowArgs g;
  const auto add = [&] {
    constexpr std::size_t kGroups[] = {0, 32, 64, 128};
    g.sum_group = kGroups[(turn + all.size()) % 4];
    all.push_back(g);
  };
  g.rule = Rule::asymmetric;
  add();
  g.rule = Rule::symmetric;
  for (const bool plus : {false, true}) {
    g.plus128 = plus;
    g.by_reciprocal = true;
    g.divisor = 127.5f;
    g.least = 1.1920929e-7f;
    add();
    g.by_reciprocal = false;
    g.divisor = 127.0f;
    add();
    g.least = 0.0f;
    add();
  }
  return all;
}

std::vector<float> random_row(std::size_t n, float low, float high) {
  std::vector<float> x(n);
  for (float& v : x) v = gemm::random_float(low, high);
  return x;
}

TEST_P(QuantizeRowKernels, EveryLengthAndOption) {
  for (std::size_t n = 0; n < 400; n += n < 140 ? 1 : 23) {
    for (const RowArgs& g : options(n)) {
      check(row(), g, random_row(n, -3, 5));
      check(row(), g, random_row(n, 0.5f, 2));
      if (HasFatalFailure()) return;
    }
  }
  for (const RowArgs& g : options(0)) check(row(), g, random_row(3072, -1e-3f, 1e-3f));
}

TEST_P(QuantizeRowKernels, SpecialValues) {
  const std::vector<std::vector<float>> special = {{0, 0, 0},
                                                   {-0.0f, -0.0f},
                                                   {kNan, kNan},
                                                   {kInf, 1, 2},
                                                   {-kInf, 1, kNan, -1},
                                                   {kInf, -kInf},
                                                   {1e-45f, -1e-45f},
                                                   {6e-44f, 1e-45f},
                                                   {3e-43f, 2.5e-43f},
                                                   {-1e-42f, 2e-42f, kNan},
                                                   {1e-38f, 5e-39f},
                                                   {3.4e38f, -3.4e38f, 1},
                                                   {3.4e38f, 0, kNan},
                                                   {-1, -2, -4},
                                                   {1e-9f, -3e-9f, 2e-9f},
                                                   {1e-30f, 7e-31f},
                                                   {127.5f, 126.5f, 0.5f},
                                                   {127, 0.5f, 1.5f, -2.5f, -0.5f, 126.5f}};
  for (const auto& start : special) {
    for (const std::size_t n : {start.size(), std::size_t{37}, std::size_t{130}}) {
      std::vector<float> x(n);
      for (std::size_t i = 0; i < n; ++i) x[i] = start[i % start.size()];
      for (const RowArgs& g : options(n)) {
        check(row(), g, x);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// The sums of the longest rows stay exact.
TEST_P(QuantizeRowKernels, ExtremeSums) {
  for (const float each : {-1.0f, 1.0f}) {
    for (RowArgs g : options(1)) {
      g.sum_group = g.sum_group * 8;
      check(row(), g, std::vector<float>(20000 + 17, each));
    }
  }
}

TEST_P(QuantizeRowKernels, GivenExtremes) {
  for (const std::size_t n : {0, 1, 15, 64, 100, 768}) {
    for (const RowArgs& g : options(n)) {
      for (const auto& [low, high] : {std::pair{-8.0f, 6.0f}, {0.0f, 5.5f}, {-5.5f, 0.0f}, {-kInf, 0.0f}}) {
        const float given[2] = {low, high};
        const float most = g.rule == Rule::symmetric ? 5 : std::fmin(5.0f, high);
        check(row(), g, random_row(n, g.rule == Rule::symmetric ? -5 : std::fmax(-5.0f, low), most), given);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(QuantizeRowKernels, OutputsAreOptional) {
  const std::vector<float> x{1, -2, 3};
  const std::uint16_t halves[] = {0x3F80, 0xC000, 0x4040};
  std::uint8_t y[3] = {};
  RowArgs g;
  g.source = brain() ? static_cast<const void*>(halves) : x.data();
  g.out = y;
  g.count = 3;
  row().kernel(g);
  EXPECT_EQ(y[0], 42);
  EXPECT_EQ(static_cast<std::int8_t>(y[1]), -85);
  EXPECT_EQ(y[2], 127);
}

// One scale, and x = RN((n + 1/2) s) with its neighbours: every place where the fast division could round elsewhere.
void check_ties(const RowKernelRow& row, float s, std::size_t first, std::size_t step, std::vector<float>& x,
                std::vector<std::uint8_t>& y) {
  x.clear();
  for (std::size_t n = first; n < 127; n += step) {
    const auto at = static_cast<float>((static_cast<double>(n) + 0.5) * static_cast<double>(s));
    const float sign = n % 2 == 0 ? 1.0f : -1.0f;
    for (std::uint32_t i = 0; i < 5; ++i) x.push_back(sign * from_bits(bits_of(at) - 2 + i));
  }
  y.resize(x.size());
  const float extremes[2] = {0, 128 * s};  // scale = 128 s / 128, exact
  RowArgs g;
  g.source = x.data();
  g.out = y.data();
  g.count = x.size();
  g.divisor = 128;
  g.extremes = extremes;
  row.kernel(g);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float quotient = x[i] / s;
    ASSERT_EQ(static_cast<std::int8_t>(y[i]), static_cast<int>(std::nearbyint(quotient))) << x[i] << " / " << s;
  }
}

TEST_P(QuantizeRowKernels, DividesExactlyAtTies) {
  if (brain()) return;  // the same code behind another load
  std::vector<float> x;
  std::vector<std::uint8_t> y;
  for (std::uint32_t i = 0; i < 6000; ++i) {
    // The first and the last mantissas of a binade, and random ones; all exponents that can be reached.
    const std::uint32_t mantissa = i < 1000   ? i
                                   : i < 2000 ? 0x7FFFFF - (i - 1000)
                                              : static_cast<std::uint32_t>(gemm::random_size(0, 0x7FFFFF));
    const std::uint32_t exponent = i % 3 == 0 ? 120 : static_cast<std::uint32_t>(gemm::random_size(2, 245));
    check_ties(row(), from_bits(exponent << 23 | mantissa), 0, 1, x, y);
    if (HasFatalFailure()) return;
  }
}

// Every mantissa.
TEST_P(QuantizeRowKernels, SlowDividesExactlyAtTies) {
  if (brain() || std::string(row().isa) == "scalar") return;  // nothing to compare
  std::vector<float> x;
  std::vector<std::uint8_t> y;
  for (std::uint32_t mantissa = 0; mantissa <= 0x7FFFFF; ++mantissa) {
    check_ties(row(), from_bits(120u << 23 | mantissa), mantissa % 8, 8, x, y);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, QuantizeRowKernels, testing::Range(std::size_t{0}, kRowKernelCount),
                         [](const auto& each) { return std::string(kRowKernels[each.param].name); });

}  // namespace
}  // namespace intaglio::kernels::quantize
