// Softmax of score rows, packing and single-row products, every row of the tables: 48 query rows, 512 keys, depth 64.
#include <benchmark/benchmark.h>

#include <vector>

#include "kernels/attention/table.h"
#include "kernels/gemm/gemm_test_util.h"

namespace intaglio::kernels::attention {
namespace {

constexpr std::size_t kKeys = 512, kDepth = 64, kRows = 48;

std::vector<float> random_floats(std::size_t count) {
  std::vector<float> out(count);
  for (float& x : out) x = gemm::random_float();
  return out;
}

void run_softmax(benchmark::State& state, const SoftmaxRow& row) {
  if (!gemm::machine_has(row.isa)) return state.SkipWithError("this machine lacks the level");
  const std::vector<float> fresh = random_floats(kRows * kKeys);
  std::vector<float> scores = fresh, max(kRows), sum(kRows), rescale(kRows);
  SoftmaxArgs args;
  args.scores = scores.data();
  args.pitch = args.keys = args.visible = kKeys;
  args.rows = kRows;
  args.scale = 0.125f;
  std::vector<std::uint16_t> out(kRows * kKeys);
  args.out = out.data();
  args.out_pitch = kKeys;
  args.max = max.data();
  args.sum = sum.data();
  args.rescale = rescale.data();
  for (auto _ : state) {
    std::fill(max.begin(), max.end(), -1e9f);
    row.kernel(args);  // in place: from the second round on the scores lie in (0, 1], which costs the same
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kRows * kKeys));
}

void run_move(benchmark::State& state, const MoveRow& row) {
  if (!gemm::machine_has(row.isa)) return state.SkipWithError("this machine lacks the level");
  const std::vector<float> source = random_floats(kKeys * kDepth), weights = random_floats(kKeys);
  std::vector<float> out(kKeys * kDepth);
  const MoveArgs args{source.data(), kDepth, kKeys, kDepth, weights.data(), false, out.data()};
  for (auto _ : state) {
    row.kernel(args);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kKeys * kDepth));
}

void run_values(benchmark::State& state, const ValuesRow& row) {
  if (!gemm::machine_has(row.isa)) return state.SkipWithError("this machine lacks the level");
  const std::vector<float> source = random_floats(kKeys * kDepth);
  std::vector<float> out(kKeys * kDepth + 16), scale(kDepth);
  auto* aligned = reinterpret_cast<void*>((reinterpret_cast<std::uintptr_t>(out.data()) + 63) / 64 * 64);
  const ValuesArgs args{source.data(), kDepth, kKeys, kDepth, aligned, kKeys * 32, scale.data()};
  for (auto _ : state) {
    row.kernel(args);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kKeys * kDepth));
}

[[maybe_unused]] const bool registered = [] {
  for (std::size_t i = 0; i < kSoftmaxKernelCount; ++i) {
    benchmark::RegisterBenchmark((std::string("attention/") + kSoftmaxKernels[i].name).c_str(), run_softmax,
                                 kSoftmaxKernels[i]);
  }
  for (std::size_t i = 0; i < kValuesKernelCount; ++i) {
    benchmark::RegisterBenchmark((std::string("attention/") + kValuesKernels[i].name).c_str(), run_values,
                                 kValuesKernels[i]);
  }
  for (std::size_t i = 0; i < kMoveKernelCount; ++i) {
    benchmark::RegisterBenchmark((std::string("attention/") + kMoveKernels[i].name).c_str(), run_move, kMoveKernels[i]);
  }
  return true;
}();

}  // namespace
}  // namespace intaglio::kernels::attention
