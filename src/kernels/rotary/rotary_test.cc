// Every row of the table against double: lengths around the vector lengths, both orders of pairs, shared and moving
// tables, in place, guard pages.
#include "kernels/rotary/rotary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/gemm/gemm_test_util.h"
#include "kernels/math/scalar_half.h"
#include "kernels/rotary/table.h"

namespace intaglio::kernels::rotary {
namespace {

using gemm::Edge;
using gemm::Guarded;

class RotaryRows : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!gemm::machine_has(row().isa)) GTEST_SKIP() << row().name << ": this machine has no " << row().isa;
  }
  const KernelRow& row() const { return kKernels[GetParam()]; }
};

float number(float x) {
  return x;
}
float number(BFloat16 x) {
  return math::widened(x);
}
void assign(float& to, float x) {
  to = x;
}
void assign(BFloat16& to, float x) {
  to = math::narrowed_bf16(x);
}

struct Options {
  std::size_t half = 0, rows = 1, gap = 0;
  bool interleaved = false, moving_table = false, in_place = false;
};

template <class T>
void check(const KernelRow& row, const Options& o) {
  const std::size_t width = 2 * o.half, pitch = width + o.gap;
  const std::size_t count = o.rows == 0 ? 0 : (o.rows - 1) * pitch + width, tables = o.moving_table ? o.rows : 1;
  const Edge edge = o.half % 2 == 0 ? Edge::back : Edge::front;
  Guarded<T> x(count, edge), y(count, edge);
  Guarded<float> cos(tables * o.half, edge), sin(tables * o.half, edge);
  for (std::size_t i = 0; i < count; ++i) assign(x[i], gemm::random_float(-3, 5));
  for (std::size_t i = 0; i < count; ++i) assign(y[i], 77.0f);
  for (std::size_t i = 0; i < tables * o.half; ++i) {
    const float angle = gemm::random_float(-3, 3);
    cos[i] = std::cos(angle);
    sin[i] = std::sin(angle);
  }
  Guarded<T>& out = o.in_place ? x : y;
  std::vector<double> expected(count);
  for (std::size_t i = 0; i < count; ++i) expected[i] = number(out[i]);  // the gaps stay
  for (std::size_t r = 0; r < o.rows; ++r) {
    for (std::size_t i = 0; i < o.half; ++i) {
      const std::size_t a = r * pitch + (o.interleaved ? 2 * i : i);
      const std::size_t b = r * pitch + (o.interleaved ? 2 * i + 1 : i + o.half);
      const double c = cos[(o.moving_table ? r * o.half : 0) + i], s = sin[(o.moving_table ? r * o.half : 0) + i];
      expected[a] = number(x[a]) * c - number(x[b]) * s;
      expected[b] = number(x[b]) * c + number(x[a]) * s;
    }
  }
  Args args;
  args.x = x.data();
  args.y = out.data();
  args.cos = cos.data();
  args.sin = sin.data();
  args.rows = o.rows;
  args.half = o.half;
  args.x_pitch = args.y_pitch = pitch;
  args.table_pitch = o.moving_table ? o.half : 0;
  args.interleaved = o.interleaved;
  row.kernel(args);
  ASSERT_TRUE(x.surroundings_intact() && y.surroundings_intact());
  const double tolerance = sizeof(T) == 2 ? 0x1p-8 : 0x1p-21;
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_NEAR(number(out[i]), expected[i], tolerance * 8) << row.name << " " << i << " half " << o.half;
  }
}

TEST_P(RotaryRows, EveryLengthAndOption) {
  for (std::size_t half = 0; half < 70; ++half) {
    for (const bool interleaved : {false, true}) {
      for (const bool moving : {false, true}) {
        const Options o{half, half % 4, half % 3 == 0 ? std::size_t{5} : 0, interleaved, moving, half % 5 < 2};
        row().type == Type::f32 ? check<float>(row(), o) : check<BFloat16>(row(), o);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, RotaryRows, testing::Range(std::size_t{0}, kKernelCount),
                         [](const auto& each) { return std::string(kKernels[each.param].name); });

}  // namespace
}  // namespace intaglio::kernels::rotary
