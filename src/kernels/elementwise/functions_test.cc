// Accuracy of the vector functions (kernels/math) over all floats, against long double, on every row of the table.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/elementwise/table.h"
#include "kernels/gemm/gemm_test_util.h"

namespace intaglio::kernels::elementwise {
namespace {

using Real = long double;
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// The distance of neighbouring floats at the exact value.
Real ulp(Real exact) {
  const Real magnitude = std::fabs(exact);
  if (magnitude < 0x1p-126L) return 0x1p-149L;
  int exponent = 0;
  std::frexp(std::min(magnitude, 3.4028234663852886e38L), &exponent);
  return std::ldexp(Real{1}, exponent - 24);
}
// 4 eps max(|x|, smallest normal)
Real of_argument(Real x) {
  return 0x1p-23L * std::max(std::fabs(x), 0x1p-126L);
}

Real sigmoid(Real x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}

struct Function {
  Op op;
  Real (*exact)(Real);
  Real bound;        // in units
  bool of_argument;  // unit: eps |x| instead of an ulp of the result
};
const Function kFunctions[] = {
    {Op::exp, [](Real x) { return std::exp(x); }, 4, false},
    {Op::log, [](Real x) { return std::log(x); }, 4, false},
    {Op::erf, [](Real x) { return std::erf(x); }, 4, false},
    {Op::tanh, [](Real x) { return std::tanh(x); }, 4, false},
    {Op::sigmoid, sigmoid, 4, false},
    {Op::sqrt, [](Real x) { return std::sqrt(x); }, 0.5L, false},
    {Op::reciprocal, [](Real x) { return 1 / x; }, 0.5L, false},
    {Op::rsqrt, [](Real x) { return 1 / std::sqrt(x); }, 2, false},
    {Op::gelu, [](Real x) { return 0.5L * x * std::erfc(-x * 0.707106781186547524400844L); }, 2,
     true},  // 4 eps, eps 2^-24
    {Op::gelu_tanh, [](Real x) { return x * sigmoid(1.59576912160573071176L * (x + 0.044715L * x * x * x)); }, 2, true},
    {Op::silu, [](Real x) { return x * sigmoid(x); }, 2, true},
};

std::vector<float> sampled_floats() {
  std::vector<float> all;
  for (std::uint64_t bits = 0; bits < (1ull << 32); bits += 59999) {  // a prime: every exponent, all parts of mantissas
    const auto word = static_cast<std::uint32_t>(bits);
    float x;
    std::memcpy(&x, &word, sizeof x);
    if (std::isfinite(x)) all.push_back(x);
  }
  for (int i = -110 * 64; i <= 110 * 64; ++i) all.push_back(static_cast<float>(i) / 64.0f + 0.001f);
  return all;
}

class Functions : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!gemm::machine_has(row().isa)) GTEST_SKIP() << row().name << ": this machine has no " << row().isa;
  }
  const KernelRow& row() const { return kKernels[GetParam()]; }
  std::vector<float> apply(Op op, const std::vector<float>& x) const {
    std::vector<float> y(x.size());
    Args args;
    args.op = op;
    args.source[0] = x.data();
    args.out = y.data();
    args.count = x.size();
    row().kernel(args);
    return y;
  }
};

TEST_P(Functions, AreAccurate) {
  const std::vector<float> xs = sampled_floats();
  for (const Function& f : kFunctions) {
    const std::vector<float> got = apply(f.op, xs);
    Real worst = 0;
    for (std::size_t i = 0; i < xs.size(); ++i) {
      const Real exact = f.exact(xs[i]);
      const auto rounded = static_cast<float>(exact);
      if (!std::isfinite(rounded) || got[i] == rounded) {
        ASSERT_TRUE(got[i] == rounded || (std::isnan(rounded) && std::isnan(got[i])))
            << kOps[static_cast<int>(f.op)].name << " " << xs[i] << ": " << got[i];
        continue;
      }
      const Real error = std::fabs(got[i] - exact) / (f.of_argument ? of_argument(xs[i]) : ulp(exact));
      ASSERT_LE(error, f.bound) << kOps[static_cast<int>(f.op)].name << " at " << xs[i] << ": " << got[i] << ", exact "
                                << exact;
      worst = std::max(worst, error);
    }
    RecordProperty(std::string("worst_") + kOps[static_cast<int>(f.op)].name, std::to_string(worst));
  }
}

TEST_P(Functions, HaveTheirLimits) {
  const auto at = [&](Op op, float x) { return apply(op, {x})[0]; };
  for (const Function& f : kFunctions) EXPECT_TRUE(std::isnan(at(f.op, kNan))) << kOps[static_cast<int>(f.op)].name;
  EXPECT_EQ(at(Op::exp, kInf), kInf);
  EXPECT_EQ(at(Op::exp, -kInf), 0.0f);
  EXPECT_EQ(at(Op::log, kInf), kInf);
  EXPECT_EQ(at(Op::log, 0.0f), -kInf);
  EXPECT_TRUE(std::isnan(at(Op::log, -1.0f)));
  EXPECT_TRUE(std::isnan(at(Op::log, -kInf)));
  for (const Op op : {Op::erf, Op::tanh}) {
    EXPECT_EQ(at(op, kInf), 1.0f);
    EXPECT_EQ(at(op, -kInf), -1.0f);
    EXPECT_TRUE(std::signbit(at(op, -0.0f)));
  }
  EXPECT_EQ(at(Op::sigmoid, kInf), 1.0f);
  EXPECT_EQ(at(Op::sigmoid, -kInf), 0.0f);
  for (const Op op : {Op::gelu, Op::gelu_tanh, Op::silu}) {
    EXPECT_EQ(at(op, kInf), kInf);
    EXPECT_TRUE(std::isnan(at(op, -kInf))) << "x * 0 by the formula";
  }
}

std::vector<std::size_t> apply_rows() {
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < kKernelCount; ++i) {
    if (kKernels[i].group == Group::apply) rows.push_back(i);
  }
  return rows;
}
INSTANTIATE_TEST_SUITE_P(Table, Functions, testing::ValuesIn(apply_rows()),
                         [](const auto& each) { return std::string(kKernels[each.param].name); });

}  // namespace
}  // namespace intaglio::kernels::elementwise
