// Every row of the table against double (float types) and 64-bit integers, swept from the row's own facts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/gemm/gemm_problem_test_util.h"
#include "tests/emulation/machine.h"

namespace intaglio::kernels::gemm {
namespace {

// The loops that ops/linear writes with blocking, at their plainest: every block of the row, K range by K range.
void run_blocks(const KernelRow& row, const Case& c, const Args& whole) {
  const TypeFacts facts = facts_of(row.types);
  const std::size_t granule = std::max(row.tile_k, facts.grouped ? c.group : 1);
  const std::size_t range = std::max<std::size_t>(round_up((c.k + c.splits - 1) / c.splits, granule), 1);
  const std::size_t out_bytes = bytes_of(whole.epilogue->out_type);
  if (row.enter != nullptr) row.enter();
  std::size_t k0 = 0;
  do {
    Args args = whole;
    args.k = std::min(range, c.k - k0);
    args.load_partial = k0 != 0;
    args.epilogue = k0 + args.k >= c.k ? whole.epilogue : nullptr;
    for (std::size_t i = 0; i < c.m; i += row.block_m) {
      for (std::size_t j = 0; j < c.n; j += row.block_n) {
        const std::size_t panel = j / kPanelWidth;
        args.m = std::min(row.block_m, c.m - i);
        args.n = std::min(row.block_n, c.n - j);
        args.a = static_cast<const char*>(whole.a) + (i * whole.a_pitch + k0) * facts.a_bytes;
        args.b = static_cast<const char*>(whole.b) + panel * whole.b_panel + k_bytes(facts.layout, k0);
        if (facts.grouped) {
          const std::size_t group = k0 / c.group;
          args.groups.scale = whole.groups.scale + panel * whole.groups.panel + group * kPanelWidth;
          if (whole.groups.zero != nullptr)
            args.groups.zero = whole.groups.zero + (args.groups.scale - whole.groups.scale);
          args.groups.row_sums = whole.groups.row_sums + i * whole.groups.row_sums_pitch + group;
        }
        args.partial = static_cast<char*>(whole.partial) + (i * whole.partial_pitch + j) * 4;
        args.out = static_cast<char*>(whole.out) + (i * whole.out_pitch + j) * out_bytes;
        args.row = i;
        args.column = j;
        args.prefetch =
            c.m % 3 == 0 ? nullptr : static_cast<const char*>(args.b) + 4096;  // often beyond the guard page
        args.prefetch_every = c.m % 3;
        args.prefetch_then = c.n % 2 == 0 ? nullptr : static_cast<const char*>(args.b) + (1u << 20);
        args.prefetch_lines = c.n % 3;
        row.kernel(args);
      }
    }
    k0 += range;
  } while (k0 < c.k);
  if (row.leave != nullptr) row.leave();
}

// One case of one row: operands, epilogue, what comes out and what should.
class Problem {
 public:
  Problem(const KernelRow& row, const Case& c, std::size_t choice)
      : row_(row),
        c_(c),
        integer_(facts_of(row.types).integer),
        activations_(row.types, c),
        weights_(row.types, c, integer_ && choice % 2 == 1, choice % 4 > 1),
        floats_(c, choice),
        start_(c.n, c.edge),
        column_zero_(c.n, c.edge),
        row_zero_(c.m, c.edge),
        row_term_(c.m, c.edge),
        row_sums_(c.m * group_count(c.k, c.group), c.edge),
        out_pitch_(c.n + c.pitch_extra),
        partial_((c.m - 1) * out_pitch_ + c.n, c.edge) {
    if (integer_) make_integer(choice);
    make_row_sums();
    const std::size_t size = bytes_of(floats_.spec.out_type);
    out_ = std::make_unique<Guarded<unsigned char>>(((c.m - 1) * out_pitch_ + c.n) * size, c.edge);
    std::fill(out_->data(), out_->data() + out_->size(), std::uint8_t{0x5A});
  }

  void run(const KernelRow& row) {
    const TypeFacts facts = facts_of(row.types);
    Args args;
    args.a = activations_.bytes.data();
    args.a_pitch = activations_.pitch;
    args.b = weights_.packed.data();
    args.b_panel = panel_bytes(facts.layout, c_.k);
    if (facts.grouped) {
      args.groups = {weights_.scale.data(),
                     weights_.has_zero ? weights_.zero.data() : nullptr,
                     weights_.center,
                     group_count(c_.k, c_.group) * kPanelWidth,
                     c_.group,
                     row_sums_.data(),
                     group_count(c_.k, c_.group)};
    }
    args.partial = partial_.data();
    args.out = out_->data();
    args.partial_pitch = args.out_pitch = out_pitch_;
    args.epilogue = &floats_.spec;
    for (std::size_t i = 0; i < c_.m; ++i) floats_.row_max[i] = 0;
    run_blocks(row, c_, args);
  }

  void check() {
    run(row_);
    std::vector<double> most(c_.m), slack(c_.m);
    for (std::size_t i = 0; i < c_.m; ++i) {
      for (std::size_t j = 0; j < c_.n; ++j) check_element(i, j, most[i], slack[i]);
      if (testing::Test::HasFatalFailure()) return;
      const std::size_t size = bytes_of(floats_.spec.out_type);
      for (std::size_t b = (i * out_pitch_ + c_.n) * size; i + 1 < c_.m && b < (i + 1) * out_pitch_ * size; ++b) {
        ASSERT_EQ((*out_)[b], 0x5A) << "pad of row " << i;
      }
      if (floats_.spec.row_max != nullptr && floats_.spec.out_type != DType::i32) {
        ASSERT_NEAR(floats_.row_max[i], most[i], slack[i]) << "row_max " << i;
      }
    }
    EXPECT_TRUE(out_->surroundings_intact() && partial_.surroundings_intact() &&
                weights_.packed.surroundings_intact() && activations_.bytes.surroundings_intact() &&
                floats_.row_max.surroundings_intact());
    if (integer_) check_bits();
  }

 private:
  void make_integer(std::size_t choice) {
    Epilogue& e = floats_.spec;
    if (choice % 3 == 0) e.out_type = DType::i32;
    if (e.out_type == DType::i32) e.row_max = nullptr;
    e.zero = 77;
    for (std::size_t i = 0; i < c_.m; ++i) row_zero_[i] = static_cast<std::int32_t>(random_byte());
    for (std::size_t j = 0; j < c_.n; ++j) {
      column_zero_[j] = static_cast<std::int32_t>(random_byte()) - 128;
      start_[j] = static_cast<std::int32_t>(random_size(0, 2000)) - 1000 - row_.a_offset * weights_.column_sum[j];
    }
    if (choice % 5 > 2 || row_.a_offset != 0) e.column_start = start_.data();
    if (choice % 4 != 0) e.column_sum = weights_.column_sum.data();
    if (choice % 4 > 1) e.row_zero = row_zero_.data();
    if (choice % 4 == 3) {
      e.column_zero = column_zero_.data();
      e.row_term = row_term_.data();
    }
    for (std::size_t i = 0; i < c_.m; ++i) {
      double sum = 0;
      for (std::size_t k = 0; k < c_.k; ++k) sum += activations_.at(i, k) - zero_of(i);
      row_term_[i] = static_cast<std::int32_t>(sum);
    }
  }
  void make_row_sums() {
    if (row_.types != Types::s8w4) return;
    const std::size_t groups = group_count(c_.k, c_.group);
    for (std::size_t i = 0; i < row_sums_.size(); ++i) row_sums_[i] = 0;
    for (std::size_t i = 0; i < c_.m; ++i) {
      for (std::size_t k = 0; k < c_.k; ++k) {
        row_sums_[i * groups + k / c_.group] += static_cast<std::int32_t>(activations_.at(i, k));
      }
    }
  }
  int zero_of(std::size_t i) const {
    const Epilogue& e = floats_.spec;
    return e.column_sum == nullptr ? 0 : e.row_zero != nullptr ? row_zero_[i] : 77;
  }
  // The definition of MatMulInteger, with the constant of column_start.
  double integer_sum(std::size_t i, std::size_t j) const {
    double sum = floats_.spec.column_start != nullptr
                     ? start_[j] + static_cast<double>(row_.a_offset) * weights_.column_sum[j]
                     : 0;
    const int w_zero = floats_.spec.column_zero != nullptr ? column_zero_[j] : 0;
    for (std::size_t k = 0; k < c_.k; ++k) sum += (activations_.at(i, k) - zero_of(i)) * (weights_.at(k, j) - w_zero);
    return sum;
  }
  // The accumulator in double, and how far f32 sums may be from it.
  double float_sum(std::size_t i, std::size_t j, double& error) const {
    double sum = 0, magnitude = 0;
    for (std::size_t k = 0; k < c_.k; ++k) {
      const double product = activations_.at(i, k) * weights_.at(k, j);
      sum += product;
      magnitude += std::abs(product);
    }
    // 2 K eps sum |a||b| (the contract of accuracy), a rounding of the weight itself, and denormals taken as 0.
    error = (2 * static_cast<double>(c_.k) + (facts_of(row_.types).grouped ? 2 : 0)) * kEps * magnitude + 1e-36;
    return sum;
  }
  void check_element(std::size_t i, std::size_t j, double& most, double& slack) {
    const Epilogue& e = floats_.spec;
    const double got = element_at(e.out_type, out_->data(), i * out_pitch_ + j);
    double error = 0;
    const double acc = integer_ ? integer_sum(i, j) : float_sum(i, j, error);
    if (e.out_type == DType::i32) {
      ASSERT_EQ(got, acc) << "at " << i << ", " << j;
      return;
    }
    const double x = floats_.apply(integer_ ? static_cast<double>(static_cast<float>(acc)) : acc, i, j, error);
    most = std::max(most, std::abs(x));
    slack = std::max(slack, error);
    switch (e.out_type) {
      case DType::bf16:
        error += (std::abs(x) + error) * 0x1p-8;
        break;
      case DType::f16:
        if (std::abs(x) + error > 65504) return;  // near the overflow to infinity: check_bits and the values test
        error += (std::abs(x) + error) * 0x1p-11 + 0x1p-24;
        break;
      case DType::i8:
      case DType::u8: {
        const double low = e.out_type == DType::i8 ? -128 : 0;
        const double scale = static_cast<double>(e.out_scale);
        const double code = std::min(std::max(x / scale + e.out_zero, low), low + 255);
        ASSERT_LE(std::abs(got - code), 0.5 + (error + kEps * std::abs(x)) / scale + 1e-6) << "at " << i << ", " << j;
        return;
      }
      default:
        break;
    }
    ASSERT_LE(std::abs(got - x), error) << "at " << i << ", " << j << ": " << got << ", expected " << x;
  }
  // Integer sums are exact, so with functions that round alike on all levels the output has the scalar row's bits.
  void check_bits() {
    const Unary unary = floats_.spec.unary;
    if (unary != Unary::none && unary != Unary::relu) return;
    const std::vector<unsigned char> got(out_->data(), out_->data() + out_->size());
    const auto scalar = std::find_if(kKernels, kKernels + kKernelCount, [&](const KernelRow& r) {
      return r.types == row_.types && std::string_view(r.isa) == "scalar";
    });
    if (row_.a_offset != 0) {
      for (std::size_t j = 0; j < c_.n; ++j) start_[j] += row_.a_offset * weights_.column_sum[j];
    }
    run(*scalar);
    ASSERT_EQ(got, std::vector<unsigned char>(out_->data(), out_->data() + out_->size()));
  }

  const KernelRow& row_;
  Case c_;
  bool integer_;
  Activations activations_;
  Weights weights_;
  FloatEpilogue floats_;
  Guarded<std::int32_t> start_, column_zero_, row_zero_, row_term_, row_sums_;
  std::size_t out_pitch_;
  Guarded<std::int32_t> partial_;
  std::unique_ptr<Guarded<unsigned char>> out_;
};

class GemmKernel : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!machine_has(row().isa)) GTEST_SKIP() << row().name << ": this machine has no " << row().isa;
  }
  const KernelRow& row() const { return kKernels[GetParam()]; }
  // False after a failure.
  bool check(const Case& c, std::size_t choice) const {
    SCOPED_TRACE(testing::Message() << row().name << " m=" << c.m << " n=" << c.n << " k=" << c.k
                                    << " splits=" << c.splits << " group=" << c.group << " choice=" << choice);
    Problem(row(), c, choice).check();
    return !HasFailure();
  }
};

Edge edge_of(std::size_t choice) {
  return choice % 2 == 0 ? Edge::front : Edge::back;
}

// Every remainder of the block (of a large one, of its tiles), with K around the granules.
TEST_P(GemmKernel, AllRemainders) {
  std::size_t choice = 0;
  for (std::size_t m = 1; m <= std::min<std::size_t>(row().block_m, 33) + 1; ++m) {
    for (std::size_t n = 1; n <= row().block_n + 17; n += n % 16 == 2 ? 12 : 1) {
      for (const std::size_t k : {1, 2, 3, 4, 5, 17}) {
        if (!check({m, n, k, 0, 1, edge_of(choice)}, choice)) return;
        ++choice;
      }
    }
  }
}

TEST_P(GemmKernel, RandomShapesPitchesAndSplits) {
  // An emulated instruction costs a signal, an emulated CPU is slow: a sample of the cases.
  const bool emulated = emulation::runs(row().isa) == emulation::Runs::emulated;
  const std::size_t count = emulated ? 20 : emulation::under_qemu() ? 30 : 150;
  for (std::size_t choice = 0; choice < count; ++choice) {
    const Case c{random_size(1, 66),
                 random_size(1, 70),
                 random_size(1, 300),
                 random_size(0, 19),
                 random_size(1, 4),
                 edge_of(choice),
                 std::size_t{32} << random_size(0, 2)};
    if (!check(c, choice)) return;
  }
}

// A block of many tiles: rows around the tiles and the blocks of tiles, K around the granule, splits that leave partial
// sums; then more rows than a call takes, so that calls of other heights follow one another.
TEST_P(GemmKernel, LargeBlocks) {
  if (row().block_m <= 33) return;
  std::size_t choice = 0;
  const std::size_t granule = row().tile_k;
  for (const std::size_t m : {1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100}) {
    for (const std::size_t k :
         {std::size_t{0}, granule - 1, granule, granule + 1, 2 * granule, 3 * granule + 5, 4 * granule}) {
      for (const std::size_t n : {64, 7 + 16 * static_cast<int>(choice % 4)}) {
        if (!check({m, n, k, choice % 3 * 16, 1 + choice % 2, edge_of(choice)}, choice)) return;
        ++choice;
      }
    }
  }
  // 16 blocks of 32 rows and one of a single row; on from there, columns of one panel.
  check({513, 64, granule, 0, 1, Edge::back}, 0);
  check({513, 9, granule + 1, 0, 1, Edge::front}, 1);
  check({row().block_m + 6, 2 * row().block_n, 2 * granule, 0, 2, Edge::back}, 3);
}

// Minutes: ./dev sweep. Of a row that is emulated every 19th case (a signal for each instruction).
TEST_P(GemmKernel, DISABLED_FullSweep) {
  const std::size_t step = emulation::runs(row().isa) == emulation::Runs::emulated ? 19 : 1;
  std::size_t choice = 0;
  for (std::size_t m = 1; m <= 66; ++m) {
    for (std::size_t n = 1; n <= 70; ++n) {
      for (std::size_t k = 1; k <= 200; k = k < 10 ? k + 1 : k + 19) {
        const bool wanted = choice % step == 0;
        if (wanted && !check({m, n, k, choice % 7, 1 + choice % 3, edge_of(choice)}, choice)) return;
        ++choice;
      }
    }
  }
}

TEST_P(GemmKernel, EmptySumRunsTheEpilogue) {
  alignas(64) float b[16] = {};
  float out[3] = {9, 9, 9}, bias[3] = {1, 2, 3};
  Epilogue e;
  e.bias = bias;
  Args args;
  args.m = 1;
  args.n = 3;
  args.a = args.b = b;
  args.groups = {b, nullptr, 0.0f, 0, 32, nullptr, 0};
  args.out = out;
  args.out_pitch = 3;
  args.epilogue = &e;
  if (row().enter != nullptr) row().enter();
  row().kernel(args);
  EXPECT_THAT(out, testing::ElementsAre(1, 2, 3));
  args.m = 0;
  args.n = 0;
  row().kernel(args);
  if (row().leave != nullptr) row().leave();
}

// K = 2^16 of the extremes: far beyond 16 bits in every pair, close to the end of 32.
TEST_P(GemmKernel, IntegerExtremesDoNotSaturate) {
  if (!facts_of(row().types).integer) return;
  constexpr std::size_t kK = 65536;
  for (const int x : {255, 128, 127}) {
    for (const int w : {-128, 127}) {
      const std::vector<std::uint8_t> a(kK, static_cast<std::uint8_t>(x));
      const int value = row().types == Types::u8s8i32 ? x : static_cast<std::int8_t>(x);
      const std::vector<std::int8_t> weights(kK * 2, static_cast<std::int8_t>(w));
      Guarded<std::int8_t> b(packed_bytes(Layout::panels16x4_s8, kK, 2), Edge::back);
      std::int32_t sums[2] = {}, start[2], out[2] = {};
      pack_s8({weights.data(), kK, 2, 2, 1}, false, 0, 1, b.data(), sums);
      for (int j = 0; j < 2; ++j) {
        start[j] = static_cast<std::int32_t>(-static_cast<std::uint32_t>(row().a_offset) *
                                             static_cast<std::uint32_t>(sums[j]));
      }
      Epilogue e;
      e.out_type = DType::i32;
      e.column_start = start;
      Args args;
      args.m = 1;
      args.n = 2;
      args.k = kK;
      args.a = a.data();
      args.a_pitch = kK;
      args.b = b.data();
      args.b_panel = panel_bytes(Layout::panels16x4_s8, kK);
      args.out = out;
      args.out_pitch = 2;
      args.epilogue = &e;
      if (row().enter != nullptr) row().enter();
      row().kernel(args);
      if (row().leave != nullptr) row().leave();
      EXPECT_EQ(out[0], value * w * static_cast<std::int64_t>(kK)) << x << " * " << w;
      EXPECT_EQ(out[1], out[0]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, GemmKernel, testing::Range<std::size_t>(0, kKernelCount),
                         [](const auto& each) { return std::string(kKernels[each.param].name); });

}  // namespace
}  // namespace intaglio::kernels::gemm
