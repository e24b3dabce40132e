// Every row of the table, 1 to 8 rows of A by 512 columns, K = 64 and 512. "GOPS" by wall time.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "kernels/direct/table.h"
#include "kernels/gemm/gemm_test_util.h"

namespace intaglio::kernels::direct {
namespace {

void run(benchmark::State& state, const KernelRow& row, std::size_t m, std::size_t k) {
  if (!gemm::machine_has(row.isa)) return state.SkipWithError("this machine lacks the level");
  constexpr std::size_t kColumns = 512;
  std::vector<float> a(m * k), b(k * kColumns), out(m * kColumns);
  for (std::vector<float>* each : {&a, &b}) {
    for (float& x : *each) x = gemm::random_float();
  }
  const std::size_t pitch = row.form == Form::columns ? kColumns : k;
  const Args args{m, kColumns, k, a.data(), k, b.data(), pitch, out.data(), kColumns};
  for (auto _ : state) {
    row.kernel(args);
    benchmark::ClobberMemory();
  }
  state.counters["GOPS"] =
      benchmark::Counter(2e-9 * static_cast<double>(m * kColumns * k), benchmark::Counter::kIsIterationInvariantRate);
}

[[maybe_unused]] const bool registered = [] {
  for (std::size_t i = 0; i < kDirectKernelCount; ++i) {
    for (const std::size_t m : {1, 2, 4, 8}) {
      for (const std::size_t k : {64, 512}) {
        const std::string name =
            std::string("direct/") + kDirectKernels[i].name + "/" + std::to_string(m) + "x512x" + std::to_string(k);
        benchmark::RegisterBenchmark(name.c_str(), run, kDirectKernels[i], m, k);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace intaglio::kernels::direct
