// Every row of the table against float64 (f32) and 64-bit integers (u8s8i32), swept from the row's own facts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/gemm/gemm_test_util.h"
#include "kernels/gemm/layout.h"
#include "kernels/gemm/pack.h"
#include "kernels/gemm/table.h"

namespace intaglio::kernels::gemm {
namespace {

struct Case {
  std::size_t m, n, k;
  std::size_t pitch_extra;  // added to every pitch
  std::size_t splits;       // K ranges
  Edge edge;
};

// The loops that ops/linear writes with blocking, at their plainest: every block of the row, K range by K range.
void run_blocks(const KernelRow& row, const Case& c, Args whole, std::size_t operand_bytes) {
  const Epilogue* epilogue = whole.epilogue;
  std::size_t range = round_up((c.k + c.splits - 1) / c.splits, row.tile_k);
  if (range == 0) range = 1;
  std::size_t k0 = 0;
  do {
    Args args = whole;
    args.k = std::min(range, c.k - k0);
    args.load_partial = k0 != 0;
    args.epilogue = k0 + args.k >= c.k ? epilogue : nullptr;
    for (std::size_t i = 0; i < c.m; i += row.block_m) {
      for (std::size_t j = 0; j < c.n; j += row.block_n) {
        args.m = std::min(row.block_m, c.m - i);
        args.n = std::min(row.block_n, c.n - j);
        args.a = static_cast<const char*>(whole.a) + (i * whole.a_pitch + k0) * operand_bytes;
        args.b = static_cast<const char*>(whole.b) + (j / kPanelWidth * whole.b_panel + k_offset(k0)) * operand_bytes;
        args.partial = static_cast<char*>(whole.partial) + (i * whole.partial_pitch + j) * 4;
        args.out = static_cast<char*>(whole.out) + (i * whole.out_pitch + j) * 4;
        args.row = i;
        args.column = j;
        args.prefetch =
            c.m % 3 == 0 ? nullptr : static_cast<const char*>(args.b) + 4096;  // often beyond the guard page
        args.prefetch_every = c.m % 3;
        row.kernel(args);
      }
    }
    k0 += range;
  } while (k0 < c.k);
}

class GemmKernel : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!machine_has(row().isa)) GTEST_SKIP() << row().name << ": this machine has no " << row().isa;
  }
  const KernelRow& row() const { return kKernels[GetParam()]; }
};

double reference_unary(Unary unary, double x) {
  switch (unary) {
    case Unary::none:
      return x;
    case Unary::relu:
      return x < 0 ? 0 : x;
    case Unary::gelu_erf:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Unary::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Unary::silu:
      return x / (1 + std::exp(-x));
    case Unary::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Unary::tanh:
      return std::tanh(x);
  }
  return x;
}

constexpr Unary kUnaries[] = {Unary::none, Unary::relu,    Unary::gelu_erf, Unary::gelu_tanh,
                              Unary::silu, Unary::sigmoid, Unary::tanh};

// What random cases vary; buffers are as long as the problem, to the element.
struct FloatEpilogue {
  FloatEpilogue(const Case& c, std::size_t choice)
      : row_scale(c.m, c.edge),
        column_scale(c.n, c.edge),
        bias(c.n, c.edge),
        residual((c.m - 1) * (c.n + c.pitch_extra) + c.n, c.edge) {
    for (auto* values : {&row_scale, &column_scale, &bias, &residual}) {
      for (std::size_t i = 0; i < values->size(); ++i) (*values)[i] = random_float();
    }
    spec.unary = kUnaries[choice % std::size(kUnaries)];
    spec.scaled = choice % 3 != 0;
    spec.scale = 0.37f;
    if (choice % 2 == 0) spec.row_scale = row_scale.data();
    if (choice % 5 < 3) spec.column_scale = column_scale.data();
    if (choice % 4 != 0) spec.bias = bias.data();
    if (choice % 3 == 1) {
      spec.residual = residual.data();
      spec.residual_pitch = c.n + c.pitch_extra;
    }
    spec.clamp = choice % 5 == 0;
    spec.clamp_low = -0.25f;
    spec.clamp_high = 0.75f;
  }
  double scale(std::size_t i, std::size_t j) const {
    if (!spec.scaled) return 1;
    return (spec.row_scale != nullptr ? row_scale[i] : spec.scale) *
           (spec.column_scale != nullptr ? column_scale[j] : 1.0f);
  }
  // The epilogue of an accumulator whose error is at most `error`, in double; adds what rounding may do to `error`.
  double apply(double acc, std::size_t i, std::size_t j, double& error) const {
    constexpr double kEps = std::numeric_limits<float>::epsilon();
    double x = acc * scale(i, j);
    error = error * std::abs(scale(i, j)) + 2 * kEps * std::abs(x);
    if (spec.bias != nullptr) x += bias[j];
    error += kEps * std::abs(x);
    const double before = x;
    x = reference_unary(spec.unary, x);
    if (spec.unary > Unary::relu) error = 1.2 * error + 4 * kEps * std::max(1.0, std::abs(before));
    if (spec.residual != nullptr) x += residual[i * spec.residual_pitch + j];
    error += kEps * std::abs(x);
    return spec.clamp ? std::min(std::max(x, -0.25), 0.75) : x;
  }
  Guarded<float> row_scale, column_scale, bias, residual;
  Epilogue spec;
};

void check_f32(const KernelRow& row, const Case& c, std::size_t choice) {
  SCOPED_TRACE(testing::Message() << row.name << " m=" << c.m << " n=" << c.n << " k=" << c.k << " splits=" << c.splits
                                  << " epilogue=" << choice);
  const std::size_t a_pitch = c.k + c.pitch_extra, out_pitch = c.n + c.pitch_extra;
  Guarded<float> a((c.m - 1) * a_pitch + c.k, c.edge);
  Guarded<float> b(packed_bytes(Layout::panels16_f32, c.k, c.n) / sizeof(float), c.edge);
  Guarded<float> out((c.m - 1) * out_pitch + c.n, c.edge);
  std::vector<float> weights(c.k * c.n);
  const float nan = std::numeric_limits<float>::quiet_NaN();  // pads of A: poison
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = i % a_pitch < c.k ? random_float() : nan;
  for (float& w : weights) w = random_float();
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = 1234.5f;
  pack_f32({weights.data(), c.k, c.n, c.n, 1}, 0, panel_count(c.n), b.data());

  const FloatEpilogue epilogue(c, choice);
  Args args;
  args.a = a.data();
  args.a_pitch = a_pitch;
  args.b = b.data();
  args.b_panel = panel_elements(Layout::panels16_f32, c.k);
  args.partial = args.out = out.data();
  args.partial_pitch = args.out_pitch = out_pitch;
  args.epilogue = &epilogue.spec;
  run_blocks(row, c, args, sizeof(float));

  for (std::size_t i = 0; i < c.m; ++i) {
    for (std::size_t j = 0; j < c.n; ++j) {
      double sum = 0, magnitude = 0;
      for (std::size_t k = 0; k < c.k; ++k) {
        const double product = static_cast<double>(a[i * a_pitch + k]) * weights[k * c.n + j];
        sum += product;
        magnitude += std::abs(product);
      }
      double error = 2 * static_cast<double>(c.k) * std::numeric_limits<float>::epsilon() * magnitude;
      const double expected = epilogue.apply(sum, i, j, error);
      ASSERT_NEAR(out[i * out_pitch + j], expected, error) << "at " << i << ", " << j;
    }
    for (std::size_t j = c.n; i + 1 < c.m && j < out_pitch; ++j)
      ASSERT_EQ(out[i * out_pitch + j], 1234.5f) << "pad of row " << i;
  }
  EXPECT_TRUE(out.surroundings_intact() && a.surroundings_intact() && b.surroundings_intact());
}

// The operands of an integer case: the extremes are common, zero points per tensor or per row and column.
struct IntegerCase {
  IntegerCase(const Case& c, std::size_t choice)
      : a((c.m - 1) * (c.k + c.pitch_extra) + c.k, c.edge),
        b(packed_bytes(Layout::panels16x4_s8, c.k, c.n), c.edge),
        partial((c.m - 1) * (c.n + c.pitch_extra) + c.n, c.edge),
        out(partial.size(), c.edge),
        column_sum(c.n, c.edge),
        column_zero(c.n, c.edge),
        row_zero(c.m, c.edge),
        row_term(c.m, c.edge),
        weights(c.k * c.n),
        floats(c, choice),
        unsigned_weights(choice % 2 == 1) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = random_byte();
    for (auto& w : weights) w = random_byte();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = 0x12345678;
    for (std::size_t i = 0; i < c.m; ++i) row_zero[i] = static_cast<std::int32_t>(random_byte());
    for (std::size_t j = 0; j < c.n; ++j) column_zero[j] = static_cast<std::int32_t>(random_byte()) - 128;
    pack_s8({weights.data(), c.k, c.n, c.n, 1}, unsigned_weights, 0, panel_count(c.n), b.data(), column_sum.data());
    Epilogue& e = floats.spec;
    e.out_type = choice % 3 == 0 ? DType::i32 : DType::f32;
    e.zero = 77;
    if (choice % 4 != 0) e.column_sum = column_sum.data();
    if (choice % 4 > 1) e.row_zero = row_zero.data();
    if (choice % 4 == 3) {
      e.column_zero = column_zero.data();
      e.row_term = row_term.data();
    }
    for (std::size_t i = 0; i < c.m; ++i) {
      row_term[i] = -static_cast<std::int32_t>(c.k) * zero_of(i);
      for (std::size_t k = 0; k < c.k; ++k) row_term[i] += a[i * (c.k + c.pitch_extra) + k];
    }
  }
  int zero_of(std::size_t i) const {
    const Epilogue& e = floats.spec;
    return e.column_sum == nullptr ? 0 : e.row_zero != nullptr ? row_zero[i] : 77;
  }
  // The definition of MatMulInteger.
  std::int64_t sum(const Case& c, std::size_t i, std::size_t j) const {
    std::int64_t sum = 0;
    for (std::size_t k = 0; k < c.k; ++k) {
      const std::uint8_t raw = weights[k * c.n + j];
      const int w = unsigned_weights ? raw - 128 : static_cast<std::int8_t>(raw);
      sum += (a[i * (c.k + c.pitch_extra) + k] - zero_of(i)) *
             (w - (floats.spec.column_zero != nullptr ? column_zero[j] : 0));
    }
    return sum;
  }
  Guarded<std::uint8_t> a;
  Guarded<std::int8_t> b;
  Guarded<std::int32_t> partial, out, column_sum, column_zero, row_zero, row_term;
  std::vector<std::uint8_t> weights;
  FloatEpilogue floats;
  bool unsigned_weights;
};

// An f32 output: near the double reference, and bit for bit in ONNX's order where only ONNX's steps are there.
void check_integer_float(const IntegerCase& x, std::int64_t sum, float got, std::size_t i, std::size_t j) {
  const Epilogue& e = x.floats.spec;
  double error = 0;
  const double expected = x.floats.apply(static_cast<float>(sum), i, j, error);
  ASSERT_NEAR(got, expected, error) << "at " << i << ", " << j;
  if (e.unary != Unary::none || e.clamp || e.residual != nullptr || !e.scaled) return;
  volatile float in_order = static_cast<float>(sum);
  in_order = in_order * static_cast<float>(x.floats.scale(i, j));
  if (e.bias != nullptr) in_order = in_order + x.floats.bias[j];
  ASSERT_EQ(got, in_order) << "at " << i << ", " << j;
}

void check_u8s8(const KernelRow& row, const Case& c, std::size_t choice) {
  SCOPED_TRACE(testing::Message() << row.name << " m=" << c.m << " n=" << c.n << " k=" << c.k << " splits=" << c.splits
                                  << " epilogue=" << choice);
  const IntegerCase x(c, choice);
  const std::size_t out_pitch = c.n + c.pitch_extra;
  Args args;
  args.a = x.a.data();
  args.a_pitch = c.k + c.pitch_extra;
  args.b = x.b.data();
  args.b_panel = panel_elements(Layout::panels16x4_s8, c.k);
  args.partial = x.partial.data();
  args.out = x.out.data();
  args.partial_pitch = args.out_pitch = out_pitch;
  args.epilogue = &x.floats.spec;
  run_blocks(row, c, args, 1);

  for (std::size_t i = 0; i < c.m; ++i) {
    for (std::size_t j = 0; j < c.n; ++j) {
      const std::int64_t sum = x.sum(c, i, j);
      if (x.floats.spec.out_type == DType::i32) {
        ASSERT_EQ(x.out[i * out_pitch + j], sum) << "at " << i << ", " << j;
      } else {
        float got;
        std::memcpy(&got, x.out.data() + i * out_pitch + j, sizeof(got));
        check_integer_float(x, sum, got, i, j);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
    for (std::size_t j = c.n; i + 1 < c.m && j < out_pitch; ++j)
      ASSERT_EQ(x.out[i * out_pitch + j], 0x12345678) << "pad of row " << i;
  }
  EXPECT_TRUE(x.out.surroundings_intact() && x.partial.surroundings_intact() && x.a.surroundings_intact());
}

void check(const KernelRow& row, const Case& c, std::size_t choice) {
  row.types == Types::f32 ? check_f32(row, c, choice) : check_u8s8(row, c, choice);
}

// Every remainder of the block, with K around the granules.
TEST_P(GemmKernel, AllRemainders) {
  std::size_t choice = 0;
  for (std::size_t m = 1; m <= row().block_m + 1; ++m) {
    for (std::size_t n = 1; n <= row().block_n + 17; n += n % 16 == 2 ? 12 : 1) {
      for (const std::size_t k : {1, 2, 3, 4, 5, 17}) {
        check(row(), {m, n, k, 0, 1, choice % 2 == 0 ? Edge::front : Edge::back}, choice);
        if (HasFatalFailure()) return;
        ++choice;
      }
    }
  }
}

TEST_P(GemmKernel, RandomShapesPitchesAndSplits) {
  for (std::size_t choice = 0; choice < 150; ++choice) {
    const Case c{random_size(1, 66), random_size(1, 70), random_size(1, 200),
                 random_size(0, 19), random_size(1, 4),  choice % 2 == 0 ? Edge::front : Edge::back};
    check(row(), c, choice);
    if (HasFatalFailure()) return;
  }
}

// Minutes: --gtest_also_run_disabled_tests --gtest_filter='*FullSweep*'
TEST_P(GemmKernel, DISABLED_FullSweep) {
  std::size_t choice = 0;
  for (std::size_t m = 1; m <= 66; ++m) {
    for (std::size_t n = 1; n <= 70; ++n) {
      for (std::size_t k = 1; k <= 200; k = k < 10 ? k + 1 : k + 19) {
        check(row(), {m, n, k, choice % 7, 1 + choice % 3, choice % 2 == 0 ? Edge::front : Edge::back}, choice);
        if (HasFatalFailure()) return;
        ++choice;
      }
    }
  }
}

TEST_P(GemmKernel, EmptySumRunsTheEpilogue) {
  alignas(64) float b[1] = {};
  float out[3] = {9, 9, 9}, bias[3] = {1, 2, 3};
  Epilogue e;
  e.bias = bias;
  Args args;
  args.m = 1;
  args.n = 3;
  args.a = args.b = b;
  args.out = out;
  args.out_pitch = 3;
  args.epilogue = &e;
  row().kernel(args);
  EXPECT_THAT(out, testing::ElementsAre(1, 2, 3));
  args.m = 0;
  args.n = 0;
  row().kernel(args);
}

// K = 2^16 of 255 * -128 and of 255 * 127: far beyond 16 bits in every pair, close to the end of 32.
TEST_P(GemmKernel, IntegerExtremesDoNotSaturate) {
  if (row().types != Types::u8s8i32) return;
  constexpr std::size_t kK = 65536;
  for (const int w : {-128, 127}) {
    const std::vector<std::uint8_t> a(kK, 255);
    const std::vector<std::int8_t> weights(kK * 2, static_cast<std::int8_t>(w));
    Guarded<std::int8_t> b(packed_bytes(Layout::panels16x4_s8, kK, 2), Edge::back);
    pack_s8({weights.data(), kK, 2, 2, 1}, false, 0, 1, b.data(), nullptr);
    std::int32_t out[2] = {};
    Epilogue e;
    e.out_type = DType::i32;
    Args args;
    args.m = 1;
    args.n = 2;
    args.k = kK;
    args.a = a.data();
    args.b = b.data();
    args.out = out;
    args.epilogue = &e;
    row().kernel(args);
    EXPECT_EQ(out[0], 255 * w * static_cast<std::int64_t>(kK));
    EXPECT_EQ(out[1], out[0]);
  }
}

INSTANTIATE_TEST_SUITE_P(Table, GemmKernel, testing::Range<std::size_t>(0, kKernelCount),
                         [](const auto& each) { return std::string(kKernels[each.param].name); });

}  // namespace
}  // namespace intaglio::kernels::gemm
