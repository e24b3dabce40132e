// Every row of the table on 768 elements in L1.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "kernels/gemm/gemm_test_util.h"
#include "kernels/quantize/table.h"

namespace intaglio::kernels::quantize {
namespace {

void run_row(benchmark::State& state, const KernelRow& row) {
  if (!gemm::machine_has(row.isa)) return state.SkipWithError("this machine lacks the level");
  constexpr std::size_t kCount = 768;
  std::vector<float> floats(kCount);
  for (float& x : floats) x = gemm::random_float(-4, 4);
  std::vector<std::uint8_t> bytes(kCount, 7);
  float extremes[2];
  const bool back = row.group == Group::dequantize_u8 || row.group == Group::dequantize_s8;
  Args args{floats.data(), bytes.data(), kCount, 0.03f, 3};
  if (back) args = {bytes.data(), floats.data(), kCount, 0.03f, 3};
  if (row.group == Group::extremes) args.out = extremes;
  for (auto _ : state) {
    row.kernel(args);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kCount));
}

[[maybe_unused]] const bool registered = [] {
  for (std::size_t i = 0; i < kKernelCount; ++i) {
    benchmark::RegisterBenchmark((std::string("quantize/") + kKernels[i].name).c_str(), run_row, kKernels[i]);
  }
  return true;
}();

}  // namespace
}  // namespace intaglio::kernels::quantize
