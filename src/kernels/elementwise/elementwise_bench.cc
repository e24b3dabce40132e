// The f32 functions, every row of group apply, 1024 elements in L1; one row of norm and softmax of 768, and
// 32 heads of 128 rotated.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "kernels/elementwise/table.h"
#include "kernels/gemm/gemm_test_util.h"
#include "kernels/norm/table.h"
#include "kernels/rotary/table.h"
#include "kernels/softmax/table.h"

namespace intaglio::kernels {
namespace {

std::vector<float> random_floats(std::size_t count) {
  std::vector<float> out(count);
  for (float& x : out) x = gemm::random_float(-4, 4);
  return out;
}

void run_apply(benchmark::State& state, const elementwise::KernelRow& row, elementwise::Op op) {
  if (!gemm::machine_has(row.isa)) return state.SkipWithError("this machine lacks the level");
  constexpr std::size_t kCount = 1024;
  const std::vector<float> a = random_floats(kCount), b = random_floats(kCount), c = random_floats(kCount);
  std::vector<float> y(kCount);
  elementwise::Args args;
  args.op = op;
  args.source[0] = a.data();
  args.source[1] = b.data();
  args.source[2] = c.data();
  args.out = y.data();
  args.count = kCount;
  for (auto _ : state) {
    row.kernel(args);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kCount));
}

void run_norm(benchmark::State& state, const norm::KernelRow& row) {
  if (!gemm::machine_has(row.isa)) return state.SkipWithError("this machine lacks the level");
  const std::vector<float> x = random_floats(768);
  std::vector<float> y(768);
  norm::Args args;
  args.source = args.gamma = args.beta = x.data();
  args.out = y.data();
  args.n = 768;
  for (auto _ : state) {
    row.kernel(args);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * 768);
}

void run_softmax(benchmark::State& state, const softmax::KernelRow& row) {
  if (!gemm::machine_has(row.isa)) return state.SkipWithError("this machine lacks the level");
  const bool rows = row.group == softmax::Group::rows;
  const std::size_t columns = rows ? 1 : 64;
  const std::vector<float> x = random_floats(768 * columns);
  std::vector<float> y(x.size());
  const softmax::Args args{x.data(), y.data(), 768, columns, columns, false};
  for (auto _ : state) {
    row.kernel(args);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(x.size()));
}

void run_rotary(benchmark::State& state, const rotary::KernelRow& row, bool interleaved) {
  if (!gemm::machine_has(row.isa)) return state.SkipWithError("this machine lacks the level");
  const std::vector<float> x = random_floats(32 * 128), table = random_floats(64);
  std::vector<float> y(x.size());
  rotary::Args args{x.data(), y.data(), table.data(), table.data(), 32, 64, 128, 128, 0, interleaved};
  for (auto _ : state) {
    row.kernel(args);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * 32 * 128);
}

[[maybe_unused]] const bool registered = [] {
  const auto add = [](const std::string& name, auto run, auto... args) {
    benchmark::RegisterBenchmark(name.c_str(), run, args...);
  };
  for (std::size_t i = 0; i < elementwise::kKernelCount; ++i) {
    const elementwise::KernelRow& row = elementwise::kKernels[i];
    for (std::size_t o = 0; o < elementwise::kOpCount; ++o) {
      const elementwise::OpFacts& facts = elementwise::kOps[o];
      if (row.group != elementwise::Group::apply || !facts.vector) continue;
      add(std::string("elementwise/") + row.name + "/" + facts.name, run_apply, row, static_cast<elementwise::Op>(o));
    }
  }
  for (std::size_t i = 0; i < norm::kKernelCount; ++i)
    add(std::string("norm/") + norm::kKernels[i].name, run_norm, norm::kKernels[i]);
  for (std::size_t i = 0; i < rotary::kKernelCount; ++i) {
    for (const bool interleaved : {false, true}) {
      add(std::string("rotary/") + rotary::kKernels[i].name + (interleaved ? "/interleaved" : "/halves"), run_rotary,
          rotary::kKernels[i], interleaved);
    }
  }
  for (std::size_t i = 0; i < softmax::kKernelCount; ++i) {
    add(std::string("softmax/") + softmax::kKernels[i].name, run_softmax, softmax::kKernels[i]);
  }
  return true;
}();

}  // namespace
}  // namespace intaglio::kernels
