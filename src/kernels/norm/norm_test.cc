// Every row of the table against double: all lengths near the vector lengths, optional operands, guard pages, aliasing.
#include "kernels/norm/norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/gemm/gemm_test_util.h"
#include "kernels/norm/table.h"

namespace intaglio::kernels::norm {
namespace {

using gemm::Edge;
using gemm::Guarded;

class NormRows : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!gemm::machine_has(row().isa)) GTEST_SKIP() << row().name << ": this machine has no " << row().isa;
  }
  const KernelRow& row() const { return kKernels[GetParam()]; }
};

void check(const KernelRow& row, std::size_t n, int options, bool in_place) {
  const Edge edge = n % 2 == 0 ? Edge::back : Edge::front;
  Guarded<float> x(n, edge), r(n, edge), gamma(n, edge), beta(n, edge), out(n, edge);
  for (Guarded<float>* each : {&x, &r, &gamma, &beta}) {
    for (std::size_t i = 0; i < n; ++i) (*each)[i] = gemm::random_float(-3, 5);
  }
  Args args;
  args.kind = (options & 1) != 0 ? Kind::rms : Kind::layer;
  args.source = x.data();
  args.residual = (options & 2) != 0 ? r.data() : nullptr;
  args.gamma = (options & 4) != 0 ? gamma.data() : nullptr;
  args.beta = (options & 8) != 0 ? beta.data() : nullptr;
  args.n = n;
  args.epsilon = 1e-5f;
  const auto value = [&](std::size_t i) { return args.residual != nullptr ? x[i] + r[i] : x[i]; };
  double mean = 0, squares = 0;
  for (std::size_t i = 0; i < n && args.kind == Kind::layer; ++i) mean += value(i) / static_cast<double>(n);
  for (std::size_t i = 0; i < n; ++i) squares += (value(i) - mean) * (value(i) - mean) / static_cast<double>(n);
  std::vector<double> expected(n);
  for (std::size_t i = 0; i < n; ++i) {
    expected[i] = (value(i) - mean) / std::sqrt(squares + 1e-5) * (args.gamma != nullptr ? gamma[i] : 1) +
                  (args.beta != nullptr ? beta[i] : 0);
  }
  // Deviations are differences: one rounding of the mean weighs 1/sigma, and nearly equal values have a small sigma.
  double largest = 0;
  for (std::size_t i = 0; i < n && args.kind == Kind::layer; ++i)
    largest = std::max(largest, std::abs(double{value(i)}));
  const double cancelled = 0x1p-23 * largest / std::sqrt(squares + 1e-5);
  Guarded<float>& y = !in_place ? out : args.residual != nullptr ? r : x;
  args.out = y.data();
  Guarded<float> extremes(2, Edge::back);
  args.extremes = (n + static_cast<std::size_t>(options)) % 4 != 1 ? extremes.data() : nullptr;
  row.kernel(args);
  if (args.extremes != nullptr) {
    float low = 0, high = 0;
    for (std::size_t i = 0; i < n; ++i) {
      low = std::fmin(low, y[i]);
      high = std::fmax(high, y[i]);
    }
    ASSERT_EQ(extremes[0], low) << n;
    ASSERT_EQ(extremes[1], high) << n;
    ASSERT_FALSE((low == 0 && std::signbit(extremes[0])) || (high == 0 && std::signbit(extremes[1])));
  }
  ASSERT_TRUE(extremes.surroundings_intact());
  ASSERT_TRUE(x.surroundings_intact() && r.surroundings_intact() && out.surroundings_intact()) << n;
  for (std::size_t i = 0; i < n; ++i) {
    const double scale = args.gamma != nullptr ? std::abs(gamma[i]) : 1;
    ASSERT_NEAR(y[i], expected[i], 4e-6 * std::max(1.0, std::abs(expected[i])) + cancelled * scale)
        << i << " of " << n << " options " << options;
  }
}

TEST_P(NormRows, EveryLengthAndOption) {
  for (std::size_t n = 0; n < 150; n += n < 70 ? 1 : 17) {
    for (int options = 0; options < 16; ++options)
      check(row(), n, options, (n + static_cast<std::size_t>(options)) % 3 == 0);
  }
  check(row(), 768, 14, true);
  check(row(), 1025, 15, false);
}

// A NaN does not count, an extreme is seen wherever it stands.
TEST_P(NormRows, ExtremesAnywhere) {
  constexpr std::size_t kN = 75;
  for (std::size_t at = 0; at < kN; ++at) {
    Args args;
    Guarded<float> x(kN, Edge::back), gamma(kN, Edge::back), out(kN, Edge::back);
    for (std::size_t i = 0; i < kN; ++i) {
      x[i] = i % 2 == 0 ? 1.0f : -1.0f;
      gamma[i] = i == (at + 20) % kN ? std::numeric_limits<float>::quiet_NaN() : i == at ? 9.0f : 1.0f;
    }
    float extremes[2];
    args.kind = Kind::rms;
    args.source = x.data();
    args.gamma = gamma.data();
    args.out = out.data();
    args.n = kN;
    args.extremes = extremes;
    row().kernel(args);
    ASSERT_EQ(extremes[at % 2 == 0 ? 1 : 0], out[at]) << at;
    ASSERT_NEAR(extremes[at % 2 == 0 ? 0 : 1], at % 2 == 0 ? -1 : 1, 1e-6) << at;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, NormRows, testing::Range(std::size_t{0}, kKernelCount),
                         [](const auto& each) { return std::string(kKernels[each.param].name); });

}  // namespace
}  // namespace intaglio::kernels::norm
