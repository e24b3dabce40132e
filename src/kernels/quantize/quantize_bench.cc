// Every row of the tables on 768 elements in L1; the row kernels also on 1 MiB of rows of 768 or 3072 elements in L2. A
// byte that is read or written counts once: of a row kernel what it reads in its first pass and writes. The read
// bandwidth of the machine is in the probe family of the same program.
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
  Args args;
  args.source = back ? static_cast<const void*>(bytes.data()) : floats.data();
  args.out = back ? static_cast<void*>(floats.data()) : bytes.data();
  args.count = kCount;
  args.scale = 0.03f;
  args.zero = 3;
  if (row.group == Group::extremes || row.group == Group::extremes_bf16) args.out = extremes;
  for (auto _ : state) {
    row.kernel(args);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kCount));
}

struct Shape {
  std::size_t rows, count;
};

void run_rows(benchmark::State& state, const RowKernelRow& row, Shape shape, Rule rule, bool sums) {
  if (!gemm::machine_has(row.isa)) return state.SkipWithError("this machine lacks the level");
  const std::size_t total = shape.rows * shape.count, size = row.source == DType::f32 ? 4 : 2;
  std::vector<std::uint8_t> source(total * size), bytes(total);
  for (std::size_t i = 0; i < total; ++i) {
    const float x = gemm::random_float(-4, 4);
    std::memcpy(source.data() + i * size, reinterpret_cast<const std::uint8_t*>(&x) + 4 - size, size);
  }
  float scale;
  std::int32_t zero, sum;
  RowArgs g;
  g.count = shape.count;
  g.rule = rule;
  g.plus128 = true;
  g.scale = &scale;
  g.zero = &zero;
  g.sums = sums ? &sum : nullptr;
  for (auto _ : state) {
    for (std::size_t i = 0; i < shape.rows; ++i) {
      g.source = source.data() + i * shape.count * size;
      g.out = bytes.data() + i * shape.count;
      row.kernel(g);
    }
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(total));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(total * (size + 1)));
}

[[maybe_unused]] const bool registered = [] {
  for (std::size_t i = 0; i < kKernelCount; ++i) {
    benchmark::RegisterBenchmark((std::string("quantize/") + kKernels[i].name).c_str(), run_row, kKernels[i]);
  }
  for (std::size_t i = 0; i < kRowKernelCount; ++i) {
    const std::string name = std::string("quantize/") + kRowKernels[i].name;
    const auto add = [&](const char* what, Shape shape, Rule rule, bool sums) {
      benchmark::RegisterBenchmark((name + what).c_str(), run_rows, kRowKernels[i], shape, rule, sums);
    };
    add("/768", {1, 768}, Rule::symmetric, false);
    add("/768/sums", {1, 768}, Rule::symmetric, true);
    add("/768/asymmetric", {1, 768}, Rule::asymmetric, false);
    add("/128x768", {128, 768}, Rule::symmetric, false);
    add("/64x3072", {64, 3072}, Rule::symmetric, false);
  }
  return true;
}();

}  // namespace
}  // namespace intaglio::kernels::quantize
