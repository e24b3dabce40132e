// What the contract says of values: accuracy of the unary functions, NaN and infinity, equal bits whatever the
// blocking.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/gemm/gemm_test_util.h"
#include "kernels/gemm/layout.h"
#include "kernels/gemm/pack.h"
#include "kernels/gemm/table.h"

namespace intaglio::kernels::gemm {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<std::size_t> f32_rows() {
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < kKernelCount; ++i) {
    if (kKernels[i].types == Types::f32) rows.push_back(i);
  }
  return rows;
}

class GemmF32Values : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!machine_has(row().isa)) GTEST_SKIP() << row().name << ": this machine has no " << row().isa;
  }
  const KernelRow& row() const { return kKernels[GetParam()]; }

  // One row of up to block_n values through the epilogue: A = 1, B = values.
  std::vector<float> through(Epilogue e, const std::vector<float>& values) const {
    std::vector<float> out(values.size());
    alignas(64) float b[8 * kPanelWidth];
    const float one = 1.0f;
    for (std::size_t j = 0; j < values.size(); j += row().block_n) {
      const std::size_t n = std::min(row().block_n, values.size() - j);
      pack_f32({values.data() + j, 1, n, n, 1}, 0, panel_count(n), b);
      Args args;
      args.m = 1;
      args.n = n;
      args.k = 1;
      args.a = &one;
      args.b = b;
      args.b_panel = panel_bytes(Layout::panels16_f32, 1);
      args.out = out.data() + j;
      args.epilogue = &e;
      row().kernel(args);
    }
    return out;
  }
};

struct Function {
  Unary unary;
  double (*reference)(double);
  bool relative_to_x;  // the error allowed is 4 eps of |x|, else of |result|
};
const Function kFunctions[] = {
    {Unary::relu, [](double x) { return x < 0 ? 0 : x; }, false},
    {Unary::gelu_erf, [](double x) { return 0.5 * x * std::erfc(-x * M_SQRT1_2); }, true},
    {Unary::gelu_tanh,
     [](double x) { return x / (1 + std::exp(-2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }, true},
    {Unary::silu, [](double x) { return x / (1 + std::exp(-x)); }, true},
    {Unary::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, false},
    {Unary::tanh, [](double x) { return std::tanh(x); }, false},
    {Unary::hard_swish, [](double x) { return x * std::min(1.0, std::max(0.0, x / 6 + 0.5)); }, true},
};

TEST_P(GemmF32Values, FunctionsAreAccurate) {
  std::vector<float> xs;
  for (int i = -40000; i <= 40000; ++i) xs.push_back(static_cast<float>(i) * 0.0005f);
  for (float x = 20; x < 3e38f; x *= 1.7f) xs.insert(xs.end(), {x, -x});
  for (float x = 1e-3f; x > 1e-38f; x *= 0.3f) xs.insert(xs.end(), {x, -x});
  for (const Function& f : kFunctions) {
    Epilogue e;
    e.unary = f.unary;
    const std::vector<float> got = through(e, xs);
    double worst = 0;
    for (std::size_t i = 0; i < xs.size(); ++i) {
      const double expected = f.reference(xs[i]);
      const double unit = std::max(std::abs(f.relative_to_x ? static_cast<double>(xs[i]) : expected),
                                   static_cast<double>(std::numeric_limits<float>::min()));
      const double error = std::abs(got[i] - expected) / unit;
      ASSERT_LE(error, 4 * std::numeric_limits<float>::epsilon())
          << "function " << static_cast<int>(f.unary) << " at " << xs[i] << ": " << got[i] << ", expected " << expected;
      worst = std::max(worst, error);
    }
    RecordProperty("worst_" + std::to_string(static_cast<int>(f.unary)), std::to_string(worst));
  }
}

TEST_P(GemmF32Values, NanPassesEveryStage) {
  for (int unary = 0; unary <= static_cast<int>(Unary::hard_swish); ++unary) {
    for (const bool clamp : {false, true}) {
      Epilogue e;
      e.unary = static_cast<Unary>(unary);
      e.clamp = clamp;
      e.clamp_low = 0.0f;
      e.clamp_high = 6.0f;
      const std::vector<float> got = through(e, {kNan, 1.0f, kNan});
      EXPECT_TRUE(std::isnan(got[0]) && std::isnan(got[2])) << unary << clamp;
      EXPECT_FALSE(std::isnan(got[1])) << unary << clamp;
    }
  }
}

TEST_P(GemmF32Values, InfinityHasItsLimit) {
  const auto at = [&](Unary unary, float x) {
    Epilogue e;
    e.unary = unary;
    return through(e, {x})[0];
  };
  for (const Unary unary :
       {Unary::none, Unary::relu, Unary::gelu_erf, Unary::gelu_tanh, Unary::silu, Unary::hard_swish}) {
    EXPECT_EQ(at(unary, kInf), kInf) << static_cast<int>(unary);
  }
  EXPECT_EQ(at(Unary::none, -kInf), -kInf);
  EXPECT_EQ(at(Unary::relu, -kInf), 0.0f);
  EXPECT_NEAR(at(Unary::sigmoid, kInf), 1.0f, 3e-7);
  EXPECT_EQ(at(Unary::sigmoid, -kInf), 0.0f);
  EXPECT_NEAR(at(Unary::tanh, kInf), 1.0f, 4e-7);
  EXPECT_NEAR(at(Unary::tanh, -kInf), -1.0f, 4e-7);
  for (const Unary unary : {Unary::gelu_erf, Unary::gelu_tanh, Unary::silu, Unary::hard_swish}) {
    const float y = at(unary, -kInf);
    EXPECT_TRUE(std::isnan(y)) << static_cast<int>(unary) << ": " << y;
  }
}

// C = A x B with every K split and every row's blocks: all FMA levels and all splits give the same bits.
std::vector<float> multiply(const KernelRow& row, const std::vector<float>& a, const float* b, std::size_t m,
                            std::size_t n, std::size_t k, std::size_t range) {
  std::vector<float> out(m * n);
  const Epilogue e;
  for (std::size_t k0 = 0; k0 < k; k0 += range) {
    for (std::size_t i = 0; i < m; i += row.block_m) {
      for (std::size_t j = 0; j < n; j += row.block_n) {
        Args args;
        args.m = std::min(row.block_m, m - i);
        args.n = std::min(row.block_n, n - j);
        args.k = std::min(range, k - k0);
        args.a = a.data() + i * k + k0;
        args.a_pitch = k;
        args.b_panel = panel_bytes(Layout::panels16_f32, k);
        args.b = b + (j / kPanelWidth * args.b_panel + k_bytes(Layout::panels16_f32, k0)) / sizeof(float);
        args.partial = args.out = out.data() + i * n + j;
        args.partial_pitch = args.out_pitch = n;
        args.load_partial = k0 != 0;
        args.epilogue = k0 + range >= k ? &e : nullptr;
        row.kernel(args);
      }
    }
  }
  return out;
}

TEST_P(GemmF32Values, BitsDependOnNeitherBlockingNorFmaLevel) {
  constexpr std::size_t kM = 13, kN = 150, kK = 333;
  std::vector<float> a(kM * kK), w(kK * kN);
  for (auto* values : {&a, &w}) {
    for (float& x : *values) x = random_float();
  }
  Guarded<float> b(packed_bytes(Layout::panels16_f32, kK, kN) / sizeof(float), Edge::back);
  pack_f32({w.data(), kK, kN, kN, 1}, 0, panel_count(kN), b.data());
  const std::vector<float> whole = multiply(row(), a, b.data(), kM, kN, kK, kK);
  for (const std::size_t range : {1, 7, 64, 200})
    EXPECT_EQ(multiply(row(), a, b.data(), kM, kN, kK, range), whole) << range;
  const std::string_view isa = row().isa;
  if (isa != "avx2" && isa != "avx512") return;
  std::vector<float> fused(kM * kN);
  for (std::size_t i = 0; i < kM; ++i) {
    for (std::size_t j = 0; j < kN; ++j) {
      for (std::size_t k = 0; k < kK; ++k)
        fused[i * kN + j] = std::fma(a[i * kK + k], w[k * kN + j], fused[i * kN + j]);
    }
  }
  EXPECT_EQ(fused, whole);
}

INSTANTIATE_TEST_SUITE_P(Table, GemmF32Values, testing::ValuesIn(f32_rows()),
                         [](const auto& each) { return std::string(kKernels[each.param].name); });

// The packed layout, element by element, from both orders of the source.
TEST(GemmPack, F32PlacesEveryElementAndZeroes) {
  for (const std::size_t n : {1, 15, 16, 17, 40}) {
    for (const std::size_t k : {0, 1, 16, 37}) {
      std::vector<float> by_rows(k * n), by_columns(k * n);
      for (std::size_t i = 0; i < k; ++i) {
        for (std::size_t j = 0; j < n; ++j) {
          by_rows[i * n + j] = by_columns[j * k + i] = random_float();
        }
      }
      const std::size_t size = packed_bytes(Layout::panels16_f32, k, n) / sizeof(float);
      for (const bool transposed : {false, true}) {
        Guarded<float> packed(size, Edge::back);
        const PackSource source =
            transposed ? PackSource{by_columns.data(), k, n, 1, k} : PackSource{by_rows.data(), k, n, n, 1};
        pack_f32(source, 0, panel_count(n), packed.data());
        for (std::size_t i = 0; i < k; ++i) {
          for (std::size_t j = 0; j < round_up(n, 16); ++j) {
            const float expected = j < n ? by_rows[i * n + j] : 0.0f;
            ASSERT_EQ(packed[j / 16 * panel_bytes(Layout::panels16_f32, k) / 4 + i * 16 + j % 16], expected);
          }
        }
      }
    }
  }
}

TEST(GemmPack, S8PlacesEveryElementAndSums) {
  for (const std::size_t n : {1, 16, 19, 33}) {
    for (const std::size_t k : {1, 4, 63, 64, 130}) {
      std::vector<std::uint8_t> by_rows(k * n), by_columns(k * n);
      for (std::size_t i = 0; i < k; ++i) {
        for (std::size_t j = 0; j < n; ++j) by_rows[i * n + j] = by_columns[j * k + i] = random_byte();
      }
      for (const bool flip : {false, true}) {
        for (const bool transposed : {false, true}) {
          Guarded<std::int8_t> packed(packed_bytes(Layout::panels16x4_s8, k, n), Edge::back);
          Guarded<std::int32_t> sums(n, Edge::back);
          const PackSource source =
              transposed ? PackSource{by_columns.data(), k, n, 1, k} : PackSource{by_rows.data(), k, n, n, 1};
          pack_s8(source, flip, 0, panel_count(n), packed.data(), sums.data());
          std::vector<std::int32_t> expected_sums(round_up(n, 16));
          for (std::size_t i = 0; i < round_up(k, 64); ++i) {
            for (std::size_t j = 0; j < round_up(n, 16); ++j) {
              int expected = 0;
              if (i < k && j < n) {
                const std::uint8_t raw = by_rows[i * n + j];
                expected = flip ? raw - 128 : static_cast<std::int8_t>(raw);
              }
              expected_sums[j] += expected;
              ASSERT_EQ(packed[j / 16 * panel_bytes(Layout::panels16x4_s8, k) + i / 4 * 64 + j % 16 * 4 + i % 4],
                        expected);
            }
          }
          for (std::size_t j = 0; j < n; ++j) ASSERT_EQ(sums[j], expected_sums[j]);
        }
      }
    }
  }
}

// 16-bit floats as they are, from every order of the source, panels in two parts, padding in K and N included.
template <class T, class Pack>
void check_halves(Layout layout, DType type, Pack pack) {
  const LayoutFacts facts = facts_of(layout);
  for (const std::size_t n : {1, 16, 19, 145, 160}) {
    for (const std::size_t k : {0, 1, 2, 33, 64, 67}) {
      for (const auto& [k_stride, n_stride] :
           {std::pair{n, std::size_t{1}}, {std::size_t{1}, k}, {2 * n, std::size_t{2}}}) {
        std::vector<std::uint16_t> data(2 * k * n + 1);
        for (std::uint16_t& x : data) x = static_cast<std::uint16_t>(random_size(1, 0xffff));
        const std::size_t panel = panel_bytes(layout, k) / 2;
        Guarded<T> packed(panel_count(n) * panel, Edge::back);
        const PackSource source{data.data(), k, n, k_stride, n_stride};
        const std::size_t middle = panel_count(n) / 2;
        pack(source, type, middle, panel_count(n), packed.data());
        pack(source, type, 0, middle, packed.data());
        for (std::size_t i = 0; i < round_up(k, facts.padding); ++i) {
          for (std::size_t j = 0; j < round_up(n, 16); ++j) {
            const std::size_t at = j / 16 * panel + (i / facts.group * 16 + j % 16) * facts.group + i % facts.group;
            const std::uint16_t expected = i < k && j < n ? data[i * k_stride + j * n_stride] : std::uint16_t{0};
            ASSERT_EQ(packed[at].bits, expected) << "n " << n << " k " << k << " at " << i << ", " << j;
          }
        }
        ASSERT_TRUE(packed.surroundings_intact());
      }
    }
  }
}
// Weights of K = 0 have no memory: neither the source nor the panels.
TEST(GemmPack, NoKTouchesNothing) {
  for (const bool transposed : {false, true}) {
    const PackSource source{nullptr, 0, 40, transposed ? 1u : 40u, transposed ? 0u : 1u};
    pack_f32(source, 0, panel_count(40), nullptr);
    for (const DType type : {DType::f32, DType::f16}) pack_f16(source, type, 0, panel_count(40), nullptr);
    for (const DType type : {DType::f32, DType::bf16}) pack_bf16(source, type, 0, panel_count(40), nullptr);
    std::int32_t sums[40];
    std::fill(std::begin(sums), std::end(sums), 7);
    pack_s8(source, true, 0, panel_count(40), nullptr, sums);
    EXPECT_THAT(sums, testing::Each(0));
  }
}

TEST(GemmPack, HalvesArePlacedAsTheyAre) {
  check_halves<Float16>(Layout::panels16_f16, DType::f16, pack_f16);
  check_halves<BFloat16>(Layout::panels16x2_bf16, DType::bf16, pack_bf16);
}

}  // namespace
}  // namespace intaglio::kernels::gemm
