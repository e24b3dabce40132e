// Every row of kernels.inc on its largest block: B from L2 (a strip of the block's columns), A from L1, random data.
// "share" is the part of the register-only peak (kernels/probe) measured right before, in thread CPU time, so that a
// neighbour's time slices do not count. The answer is checked against the scalar row first.
#include <benchmark/benchmark.h>
#include <ctime>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/gemm/gemm_test_util.h"
#include "kernels/gemm/layout.h"
#include "kernels/gemm/table.h"
#include "kernels/probe/table.h"

namespace intaglio::kernels::gemm {
namespace {

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// Operations per second of the register-only probe of this row's level and types; 0 if it has none.
double peak_of(const KernelRow& row) {
  const auto wanted = row.types == Types::f32 ? probe::Quantity::fma_f32 : probe::Quantity::dot_u8s8;
  for (std::size_t i = 0; i < probe::kComputeProbeCount; ++i) {
    const probe::ComputeRow& p = probe::kComputeProbes[i];
    if (p.quantity != wanted || std::string_view(p.isa) != row.isa) continue;
    alignas(64) unsigned char sink[probe::kSinkBytes];
    constexpr std::size_t kIterations = 200000;
    double best = 0;
    for (int round = 0; round < 5; ++round) {
      const double start = cpu_seconds();
      p.kernel(kIterations, sink);
      best = std::max(best, p.operations * kIterations / (cpu_seconds() - start));
    }
    return best;
  }
  return 0;
}

struct Problem {
  Problem(const KernelRow& row, std::size_t depth)
      : k(depth),
        size(row.types == Types::f32 ? 4 : 1),
        layout(row.types == Types::f32 ? Layout::panels16_f32 : Layout::panels16x4_s8),
        a(row.block_m * k * size, Edge::back),
        b(packed_bytes(layout, k, row.block_n), Edge::back),
        out(row.block_m * row.block_n, Edge::back) {
    for (auto* bytes : {&a, &b}) {
      for (std::size_t i = 0; i < bytes->size(); i += size) {
        if (size == 1) {
          (*bytes)[i] = random_byte();
        } else {
          const float x = random_float();
          std::memcpy(bytes->data() + i, &x, sizeof(x));
        }
      }
    }
    epilogue.out_type = row.types == Types::f32 ? DType::f32 : DType::i32;
    args.m = row.block_m;
    args.n = args.out_pitch = row.block_n;
    args.k = args.a_pitch = k;
    args.a = a.data();
    args.b = b.data();
    args.b_panel = panel_elements(layout, k);
    args.out = out.data();
    args.epilogue = &epilogue;
  }
  std::size_t k, size;
  Layout layout;
  Guarded<unsigned char> a, b;
  Guarded<std::int32_t> out;
  Epilogue epilogue;
  Args args;
};

// The block again, in pieces that the scalar row of the same types takes.
bool is_right(const KernelRow& row, const Problem& p) {
  const auto scalar = std::find_if(kKernels, kKernels + kKernelCount, [&](const KernelRow& r) {
    return r.types == row.types && std::string_view(r.isa) == "scalar";
  });
  row.kernel(p.args);
  std::vector<std::int32_t> expected(p.out.size());
  for (std::size_t i = 0; i < row.block_m; ++i) {
    Args args = p.args;
    args.m = 1;
    args.a = p.a.data() + i * p.k * p.size;
    args.out = expected.data() + i * row.block_n;
    scalar->kernel(args);
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (row.types != Types::f32 && expected[i] != p.out[i]) return false;
    float x, y;
    std::memcpy(&x, &expected[i], sizeof(x));
    std::memcpy(&y, &p.out[i], sizeof(y));
    if (row.types == Types::f32 && std::abs(x - y) > 1e-3f * std::sqrt(static_cast<float>(p.k))) return false;
  }
  return true;
}

void run_block(benchmark::State& state, const KernelRow& row) {
  if (!machine_has(row.isa)) return state.SkipWithError("this machine lacks the ISA level");
  const Problem p(row, static_cast<std::size_t>(state.range(0)));
  if (!is_right(row, p)) return state.SkipWithError("wrong answer");
  const double peak = peak_of(row);
  const double start = cpu_seconds();
  for (auto _ : state) row.kernel(p.args);
  const double operations =
      2.0 * static_cast<double>(row.block_m * row.block_n * p.k) * static_cast<double>(state.iterations());
  const double rate = operations / (cpu_seconds() - start);
  state.counters["GOPS"] = rate / 1e9;
  if (peak > 0) state.counters["share"] = rate / peak;
}

const bool registered = [] {
  for (std::size_t i = 0; i < kKernelCount; ++i) {
    const KernelRow& row = kKernels[i];
    benchmark::RegisterBenchmark(row.name, [&row](benchmark::State& state) { run_block(state, row); })
        ->Arg(64)
        ->Arg(384)
        ->Arg(768);
  }
  return true;
}();

}  // namespace
}  // namespace intaglio::kernels::gemm
