// What one core can do at most: arithmetic in registers, and reading from each level of the memory hierarchy.
#include <benchmark/benchmark.h>

#include <cstring>

#include "kernels/gemm/gemm_test_util.h"
#include "kernels/probe/table.h"

namespace intaglio::kernels::probe {
namespace {

void run_compute(benchmark::State& state, const ComputeRow& row) {
  if (!gemm::machine_has(row.isa)) return state.SkipWithError("this machine lacks the ISA level");
  constexpr std::size_t kIterations = 10000;
  alignas(64) unsigned char sink[kSinkBytes];
  for (auto _ : state) row.kernel(kIterations, sink);
  state.counters["GOPS"] =
      benchmark::Counter(row.operations * kIterations / 1e9, benchmark::Counter::kIsIterationInvariantRate);
}

void run_read(benchmark::State& state, const ReadRow& row) {
  if (!gemm::machine_has(row.isa)) return state.SkipWithError("this machine lacks the ISA level");
  const auto bytes = static_cast<std::size_t>(state.range(0)) * 1024;
  const gemm::Guarded<unsigned char> data(bytes, gemm::Edge::back);
  std::memset(data.data(), 0x5A, bytes);
  for (auto _ : state) benchmark::DoNotOptimize(row.kernel(data.data(), bytes));
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
}

const bool registered = [] {
  for (std::size_t i = 0; i < kComputeProbeCount; ++i) {
    const ComputeRow& row = kComputeProbes[i];
    benchmark::RegisterBenchmark(row.name, [&row](benchmark::State& state) { run_compute(state, row); });
  }
  for (std::size_t i = 0; i < kReadProbeCount; ++i) {
    const ReadRow& row = kReadProbes[i];
    benchmark::RegisterBenchmark(row.name, [&row](benchmark::State& state) { run_read(state, row); })
        ->ArgName("KiB")
        ->Arg(16)
        ->Arg(512)
        ->Arg(8 * 1024)
        ->Arg(256 * 1024);
  }
  return true;
}();

}  // namespace
}  // namespace intaglio::kernels::probe
