// Every row of the table against double, between guard pages.
#include "kernels/direct/direct.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/direct/table.h"
#include "kernels/gemm/gemm_test_util.h"

namespace intaglio::kernels::direct {
namespace {

using gemm::Edge;
using gemm::Guarded;
using gemm::random_float;
using gemm::random_size;

class Direct : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!gemm::machine_has(row().isa)) GTEST_SKIP() << row().name << ": this machine has no " << row().isa;
  }
  const KernelRow& row() const { return kDirectKernels[GetParam()]; }
};

std::size_t extent(std::size_t rows, std::size_t columns, std::size_t pitch) {
  return rows == 0 || columns == 0 ? 0 : (rows - 1) * pitch + columns;
}

void check(const KernelRow& row, std::size_t m, std::size_t n, std::size_t k) {
  const Edge edge = (m + n + k) % 2 == 0 ? Edge::back : Edge::front;
  const bool columns = row.form == Form::columns;
  Args g;
  g.m = m;
  g.n = n;
  g.k = k;
  g.a_pitch = k + random_size(0, 3);
  g.b_pitch = (columns ? n : k) + random_size(0, 3);
  g.out_pitch = n + random_size(0, 3);
  g.scaled = n % 2 == 1;
  g.scale = -0.75f;
  Guarded<float> a(extent(m, k, g.a_pitch), edge), out(extent(m, n, g.out_pitch), edge);
  Guarded<float> b(columns ? extent(k, n, g.b_pitch) : extent(n, k, g.b_pitch), edge);
  for (const Guarded<float>* each : {&a, &b, &out}) {
    for (std::size_t i = 0; i < each->size(); ++i) (*each)[i] = random_float();
  }
  g.a = a.data();
  g.b = b.data();
  g.out = out.data();
  const std::vector<float> before(out.data(), out.data() + out.size());
  row.kernel(g);
  ASSERT_TRUE(out.surroundings_intact());
  for (std::size_t at = 0; at < out.size(); ++at) {
    const std::size_t i = at / g.out_pitch, j = at % g.out_pitch;
    if (j >= n) {
      ASSERT_EQ(out[at], before[at]) << "between the rows of out";
      continue;
    }
    double sum = 0, magnitude = 0;
    for (std::size_t l = 0; l < k; ++l) {
      const double product =
          static_cast<double>(a[i * g.a_pitch + l]) * b[columns ? l * g.b_pitch + j : j * g.b_pitch + l];
      sum += product;
      magnitude += std::abs(product);
    }
    const double s = g.scaled ? g.scale : 1.0;
    // k products and k sums are rounded, and the scaling: (2k + 1) half-ulps of the magnitude.
    const double bound = static_cast<double>(k + 1) * std::numeric_limits<float>::epsilon() * magnitude;
    ASSERT_NEAR(out[at], s * sum, bound) << "m " << m << " n " << n << " k " << k << " at " << i << ", " << j;
  }
}

TEST_P(Direct, EqualsDouble) {
  for (std::size_t m = 0; m < 10; ++m) {
    for (const std::size_t n : {0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 48, 63, 64, 65, 127, 128, 130, 200}) {
      for (const std::size_t k : {0, 1, 3, 4, 8, 15, 16, 17, 40, 100}) ASSERT_NO_FATAL_FAILURE(check(row(), m, n, k));
    }
  }
}

// Where an element stands in the block, and who its neighbours are, changes no bit of it.
TEST_P(Direct, BitsDoNotDependOnTheBlock) {
  constexpr std::size_t kRows = 7, kColumns = 203, kDepth = 67;
  std::vector<float> a(kRows * kDepth), b(kColumns * kDepth), out(kRows * kColumns);
  for (std::vector<float>* each : {&a, &b}) {
    for (float& x : *each) x = random_float();
  }
  const bool columns = row().form == Form::columns;
  Args g{kRows, kColumns, kDepth, a.data(), kDepth, b.data(), columns ? kColumns : kDepth, out.data(), kColumns};
  row().kernel(g);
  for (int round = 0; round < 100; ++round) {
    const std::size_t i = random_size(0, kRows - 1), j = random_size(0, kColumns - 1);
    Args part = g;
    part.m = random_size(1, kRows - i);
    part.n = random_size(1, kColumns - j);
    part.a += i * kDepth;
    part.b += columns ? j : j * kDepth;
    std::vector<float> some(part.m * part.n);
    part.out = some.data();
    part.out_pitch = part.n;
    row().kernel(part);
    for (std::size_t r = 0; r < part.m; ++r) {
      for (std::size_t c = 0; c < part.n; ++c) {
        ASSERT_EQ(some[r * part.n + c], out[(i + r) * kColumns + j + c]) << i << " " << j << " " << r << " " << c;
      }
    }
  }
}

TEST_P(Direct, NanAndInfinityStayInTheirElements) {
  constexpr std::size_t kColumns = 19, kDepth = 21;
  const float inf = std::numeric_limits<float>::infinity();
  const bool columns = row().form == Form::columns;
  std::vector<float> a(kDepth, 1.0f), b(kColumns * kDepth, 1.0f), out(kColumns);
  const auto at = [&](std::size_t k, std::size_t j) -> float& {
    return b[columns ? k * kColumns + j : j * kDepth + k];
  };
  at(20, 18) = std::nanf("");
  at(3, 2) = inf;
  at(0, 5) = inf;
  at(20, 5) = -inf;
  row().kernel({1, kColumns, kDepth, a.data(), kDepth, b.data(), columns ? kColumns : kDepth, out.data(), kColumns});
  for (std::size_t j = 0; j < kColumns; ++j) {
    if (j == 18 || j == 5) {
      EXPECT_TRUE(std::isnan(out[j])) << j;
    } else {
      EXPECT_EQ(out[j], j == 2 ? inf : static_cast<float>(kDepth)) << j;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, Direct, testing::Range(std::size_t{0}, kDirectKernelCount),
                         [](const auto& each) { return std::string(kDirectKernels[each.param].name); });

}  // namespace
}  // namespace intaglio::kernels::direct
