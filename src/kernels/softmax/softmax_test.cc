// Every row of the table against the scalar row: lengths, columns, pitches, guard pages, in place; equal bits per
// column.
#include "kernels/softmax/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/gemm/gemm_test_util.h"
#include "kernels/softmax/table.h"

namespace intaglio::kernels::softmax {
namespace {

using gemm::Edge;
using gemm::Guarded;

class SoftmaxRows : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!gemm::machine_has(row().isa)) GTEST_SKIP() << row().name << ": this machine has no " << row().isa;
  }
  const KernelRow& row() const { return kKernels[GetParam()]; }
};

void check(const KernelRow& row, std::size_t n, std::size_t columns, std::size_t pitch, bool log, bool in_place) {
  const Edge edge = n % 2 == 0 ? Edge::back : Edge::front;
  const std::size_t size = n == 0 ? 0 : row.group == Group::rows ? n : (n - 1) * pitch + columns;
  Guarded<float> x(size, edge), other(size, edge);
  for (std::size_t i = 0; i < size; ++i) x[i] = other[i] = gemm::random_float(-9, 9);
  std::vector<float> expected(x.data(), x.data() + size);
  Args args{x.data(), expected.data(), n, columns, pitch, log};
  (row.group == Group::rows ? softmax_rows_f32_1x1_1x1_scalar : softmax_columns_f32_1x1_1x1_scalar)(args);
  Guarded<float>& y = in_place ? x : other;
  args.out = y.data();
  row.kernel(args);
  ASSERT_TRUE(x.surroundings_intact() && other.surroundings_intact());
  for (std::size_t i = 0; i < size; ++i) {
    ASSERT_NEAR(y[i], expected[i], 2e-6 * std::abs(expected[i]) + (log ? 2e-6 : 0))
        << i << " n=" << n << " columns=" << columns;
  }
}

TEST_P(SoftmaxRows, EveryLength) {
  for (std::size_t n = 0; n < 140; n += n < 70 ? 1 : 13) {
    for (const bool log : {false, true}) {
      if (row().group == Group::rows) {
        check(row(), n, 1, 1, log, n % 3 == 0);
        continue;
      }
      for (const std::size_t columns : {0, 1, 3, 16, 17, 40})
        check(row(), n, columns, columns + n % 5, log, n % 3 == 0);
    }
  }
}

TEST_P(SoftmaxRows, SpecialValues) {
  const float inf = INFINITY;
  const std::vector<std::vector<float>> rows{{0, NAN, 1}, {-inf, -inf, -inf}, {1, inf, 0}, {0, -inf, 0}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    float y[3];
    row().kernel({rows[i].data(), y, 3, 1, 1, false});
    if (i < 3)
      EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]) && std::isnan(y[2])) << i;
    else
      EXPECT_TRUE(y[0] == 0.5f && y[1] == 0.0f && y[2] == 0.5f);
  }
}

INSTANTIATE_TEST_SUITE_P(Table, SoftmaxRows, testing::Range(std::size_t{0}, kKernelCount),
                         [](const auto& each) { return std::string(kKernels[each.param].name); });

}  // namespace
}  // namespace intaglio::kernels::softmax
