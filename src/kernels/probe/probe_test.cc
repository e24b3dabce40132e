// The probes run, and what they return can be checked: every byte is read, every chain does its steps.
#include "kernels/probe/probe.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "kernels/gemm/gemm_test_util.h"
#include "kernels/probe/table.h"

namespace intaglio::kernels::probe {
namespace {

class ComputeProbe : public testing::TestWithParam<std::size_t> {};

TEST_P(ComputeProbe, DoesTheStepsItCounts) {
  const ComputeRow& row = kComputeProbes[GetParam()];
  if (!gemm::machine_has(row.isa)) GTEST_SKIP() << row.name << ": this machine has no " << row.isa;
  alignas(64) unsigned char none[kSinkBytes] = {}, some[kSinkBytes] = {};
  row.kernel(0, none);
  row.kernel(3, some);
  EXPECT_NE(std::memcmp(none, some, 4), 0);
  if (is_integer(row.quantity)) {
    // Twice the rounds add twice as much, modulo 2^32. Four rounds: a fed probe's operands repeat after these.
    std::uint32_t sums[3] = {};
    for (std::size_t i = 0; i < 3; ++i) {
      row.kernel(4 * i, some);
      std::memcpy(&sums[i], some, sizeof(sums[i]));
    }
    EXPECT_EQ(sums[2] - sums[0], 2 * (sums[1] - sums[0]));
  }
  if (row.quantity != Quantity::fma_f32) return;
  // x <- 0.75 x + 0.5 tends to 2 on each chain: the sum of the chains tells their number.
  row.kernel(200, some);
  float sum = 0;
  std::memcpy(&sum, some, sizeof(sum));
  const std::string name = row.name;
  EXPECT_FLOAT_EQ(sum, 2.0f * std::stof(name.substr(name.find("f32_") + 4)));
}
INSTANTIATE_TEST_SUITE_P(Table, ComputeProbe, testing::Range<std::size_t>(0, kComputeProbeCount),
                         [](const auto& each) { return std::string(kComputeProbes[each.param].name); });

class ReadProbe : public testing::TestWithParam<std::size_t> {};

TEST_P(ReadProbe, ReadsEveryByteOnce) {
  const ReadRow& row = kReadProbes[GetParam()];
  if (!gemm::machine_has(row.isa)) GTEST_SKIP() << row.name << ": this machine has no " << row.isa;
  gemm::Guarded<unsigned char> data(4096, gemm::Edge::back);
  std::memset(data.data(), 0, 4096);
  EXPECT_EQ(row.kernel(data.data(), 4096), 0u);
  for (std::size_t i = 0; i < 4096; ++i) {
    data[i] = 1;
    ASSERT_NE(row.kernel(data.data(), 4096), 0u) << "byte " << i << " was not read";
    data[i] = 0;
  }
}
INSTANTIATE_TEST_SUITE_P(Table, ReadProbe, testing::Range<std::size_t>(0, kReadProbeCount),
                         [](const auto& each) { return std::string(kReadProbes[each.param].name); });

}  // namespace
}  // namespace intaglio::kernels::probe
