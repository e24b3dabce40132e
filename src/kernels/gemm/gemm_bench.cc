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

#include "kernels/gemm/gemm_problem_test_util.h"
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
  const auto wanted = facts_of(row.types).integer || row.types == Types::s8w4 ? probe::Quantity::dot_u8s8
                      : row.types == Types::bf16                              ? probe::Quantity::dot_bf16
                                                                              : probe::Quantity::fma_f32;
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

// The rows' operands at random, by the test's own generators, with a plain epilogue.
struct Problem {
  Problem(const KernelRow& row, std::size_t depth)
      : rows(std::min<std::size_t>(row.block_m, 256)),
        c{rows, row.block_n, depth, 0, 1, Edge::back, 128},
        activations(row.types, c),
        weights(row.types, c, false, false),
        row_sums(rows * group_count(depth, c.group)),
        out(rows * row.block_n, Edge::back) {
    const TypeFacts facts = facts_of(row.types);
    epilogue.out_type = facts.integer ? DType::i32 : DType::f32;
    args.m = rows;
    args.n = args.out_pitch = row.block_n;
    args.k = args.a_pitch = depth;
    args.a = activations.bytes.data();
    args.b = weights.packed.data();
    args.b_panel = panel_bytes(facts.layout, depth);
    const std::size_t groups = group_count(depth, c.group);
    args.groups = {weights.scale.data(), nullptr, weights.center, groups * kPanelWidth, c.group,
                   row_sums.data(),      groups};
    for (std::size_t i = 0; row.types == Types::s8w4 && i < rows; ++i) {
      for (std::size_t k = 0; k < depth; ++k) {
        row_sums[i * groups + k / c.group] += static_cast<std::int32_t>(activations.at(i, k));
      }
    }
    args.out = out.data();
    args.epilogue = &epilogue;
  }
  std::size_t rows;
  Case c;
  Activations activations;
  Weights weights;
  std::vector<std::int32_t> row_sums;
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
  for (std::size_t i = 0; i < p.rows; i += 7) {
    for (std::size_t j = 0; j < row.block_n; j += kPanelWidth) {
      Args args = p.args;
      args.m = 1;
      args.n = kPanelWidth;
      args.a = p.activations.bytes.data() + i * p.args.a_pitch * facts_of(row.types).a_bytes;
      args.b = p.weights.packed.data() + j / kPanelWidth * p.args.b_panel;
      args.groups.scale += j / kPanelWidth * args.groups.panel;
      args.groups.row_sums += i * args.groups.row_sums_pitch;
      std::int32_t expected[kPanelWidth];
      args.out = expected;
      scalar->kernel(args);
      for (std::size_t l = 0; l < kPanelWidth; ++l) {
        const std::int32_t got = p.out[i * row.block_n + j + l];
        const auto column_sum = static_cast<std::uint32_t>(p.weights.column_sum[j + l]);
        const auto offset = static_cast<std::int32_t>(static_cast<std::uint32_t>(row.a_offset) * column_sum);
        if (facts_of(row.types).integer && expected[l] != got - offset) return false;
        float x, y;
        std::memcpy(&x, &expected[l], sizeof(x));
        std::memcpy(&y, &got, sizeof(y));
        if (!facts_of(row.types).integer && !(std::abs(x - y) <= 1e-3f * std::max(1.0f, std::abs(x)) * 8)) return false;
      }
    }
  }
  return true;
}

void run_block(benchmark::State& state, const KernelRow& row) {
  if (!machine_has(row.isa)) return state.SkipWithError("this machine lacks the ISA level");
  const Problem p(row, static_cast<std::size_t>(state.range(0)));
  if (row.enter != nullptr) row.enter();
  if (!is_right(row, p)) return state.SkipWithError("wrong answer");
  const double peak = peak_of(row);
  const double start = cpu_seconds();
  for (auto _ : state) row.kernel(p.args);
  const double operations =
      2.0 * static_cast<double>(p.rows * row.block_n * p.args.k) * static_cast<double>(state.iterations());
  const double rate = operations / (cpu_seconds() - start);
  if (row.leave != nullptr) row.leave();
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
