// What the contract allows to overlap gives the bits of separate memory: the output in the place of the residual, and
// of the partial sums.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "kernels/gemm/gemm_problem_test_util.h"

namespace intaglio::kernels::gemm {
namespace {

enum class Shares { nothing, residual, partial };

// Four blocks of rows of the widest kernels and both halves of their columns, K in two ranges.
constexpr std::size_t kM = 100, kN = 64, kRange = 64, kK = 2 * kRange;

class GemmAlias : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!machine_has(row().isa)) GTEST_SKIP() << row().name << ": this machine has no " << row().isa;
    residual_.resize(kM * kN);
    for (float& x : residual_) x = random_float();
  }
  const KernelRow& row() const { return kKernels[GetParam()]; }

  std::vector<float> multiply(const Activations& a, const Weights& b, Shares shares) const {
    std::vector<float> out(kM * kN), partial(kM * kN);
    if (shares == Shares::residual) out = residual_;
    Epilogue e;
    e.scaled = true;
    e.scale = 0.01f;
    e.residual = shares == Shares::residual ? out.data() : residual_.data();
    e.residual_pitch = kN;
    Args whole;
    whole.a_pitch = kK;
    whole.b_panel = panel_bytes(facts_of(row().types).layout, kK);
    whole.out_pitch = whole.partial_pitch = kN;
    whole.k = kRange;
    if (row().enter != nullptr) row().enter();
    for (std::size_t k0 = 0; k0 < kK; k0 += kRange) {
      for (std::size_t i = 0; i < kM; i += row().block_m) {
        for (std::size_t j = 0; j < kN; j += row().block_n) {
          Args args = whole;
          args.m = std::min(row().block_m, kM - i);
          args.n = std::min(row().block_n, kN - j);
          args.a = a.bytes.data() + (i * kK + k0) * facts_of(row().types).a_bytes;
          args.b = b.packed.data() + j / kPanelWidth * whole.b_panel + k_bytes(facts_of(row().types).layout, k0);
          args.out = out.data() + i * kN + j;
          args.partial = (shares == Shares::partial ? out.data() : partial.data()) + i * kN + j;
          args.load_partial = k0 != 0;
          args.epilogue = k0 + kRange == kK ? &e : nullptr;
          args.row = i;
          args.column = j;
          row().kernel(args);
        }
      }
    }
    if (row().leave != nullptr) row().leave();
    return out;
  }

  std::vector<float> residual_;
};

TEST_P(GemmAlias, OutputInPlace) {
  if (facts_of(row().types).grouped) return;
  const Case c{kM, kN, kK, 0, 1, Edge::back};
  const Activations a(row().types, c);
  const Weights b(row().types, c, false, false);
  const std::vector<float> apart = multiply(a, b, Shares::nothing);
  EXPECT_EQ(multiply(a, b, Shares::residual), apart);
  EXPECT_EQ(multiply(a, b, Shares::partial), apart);
}

INSTANTIATE_TEST_SUITE_P(Table, GemmAlias, testing::Range<std::size_t>(0, kKernelCount),
                         [](const auto& each) { return std::string(kKernels[each.param].name); });

}  // namespace
}  // namespace intaglio::kernels::gemm
