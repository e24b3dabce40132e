// Prepared products of two run-time operands, one thread, the best level of this machine (INTAGLIO_MAX_ISA caps it): a
// dense layer's 768 x 768, rows 4 KiB apart, and the products of 12 attention heads, from one row on; M x N x K. "GOPS"
// and "us" come from thread CPU time. Operands are the same in every run: a matrix that fits the caches comes from
// them.
#include <benchmark/benchmark.h>
#include <ctime>

#include <string>

#include "base/half.h"
#include "ops/linear_test_util.h"
#include "ops/matmul.h"

namespace intaglio::ops {
namespace {

struct Case {
  std::string name;
  std::int64_t batch, m, n, k;
  DType type;  // of a and b; 8-bit: u8 x i8
  bool transpose_a = false, transpose_b = false;
};

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// Small integers or floats: no denormals in any type.
TestTensor operand(DType type, Shape shape, TestRandom& random) {
  TestTensor t{{type, shape}, std::vector<std::byte>(*byte_count(shape, type))};
  const auto fill = [&]<class T>(auto convert) {
    auto* to = reinterpret_cast<T*>(t.bytes.data());
    for (std::size_t i = 0; i < t.bytes.size() / sizeof(T); ++i) to[i] = convert(random.size(0, 63));
  };
  const auto real = [](std::size_t x) { return static_cast<float>(x) * 0.125f - 4.0f; };
  switch (type) {
    case DType::f32:
      fill.template operator()<float>(real);
      break;
    case DType::f16:
      fill.template operator()<Float16>([&](std::size_t x) { return to_float16(real(x)); });
      break;
    case DType::bf16:
      fill.template operator()<BFloat16>([&](std::size_t x) { return to_bfloat16(real(x)); });
      break;
    default:
      fill.template operator()<std::uint8_t>([](std::size_t x) { return static_cast<std::uint8_t>(x); });
  }
  return t;
}

Result<std::unique_ptr<PreparedOp>> prepare(const MatmulDescriptor& d, const Target& target) {
  for (const Candidate* candidate : own_candidates()) {
    if (candidate->family() == d.family() && !candidate->refuses(d, target)) return candidate->prepare(d, {}, target);
  }
  return fail(ErrorCode::unsupported, "no candidate accepts");
}

void run_matmul(benchmark::State& state, const Case& c) {
  MatmulDescriptor d;
  d.a = c.type;
  d.b = c.type == DType::u8 ? DType::i8 : c.type;
  d.output = c.type == DType::u8 ? DType::i32 : c.type;
  d.transpose_a = c.transpose_a;
  d.transpose_b = c.transpose_b;
  const auto stacked = [&](std::int64_t rows, std::int64_t columns, bool transposed) {
    if (transposed) std::swap(rows, columns);
    return c.batch == 1 ? Shape{rows, columns} : Shape{c.batch, rows, columns};
  };
  const auto target = host_target();
  if (!target) return state.SkipWithError(target.error().to_string().c_str());
  const auto op = prepare(d, *target);
  if (!op) return state.SkipWithError(op.error().to_string().c_str());
  TestRandom random(1);
  const TestTensor a = operand(d.a, stacked(c.m, c.k, c.transpose_a), random);
  const TestTensor b = operand(d.b, stacked(c.k, c.n, c.transpose_b), random);
  const Operand types[] = {a.type, b.type}, y_type[] = {{d.output, stacked(c.m, c.n, false)}};
  BindRequest request;
  request.inputs = types;
  request.outputs = y_type;
  const auto binding = (*op)->bind(request);
  if (!binding) return state.SkipWithError(binding.error().to_string().c_str());
  const auto y = Buffer::allocate(static_cast<std::size_t>(c.batch * c.m * c.n) * sizeof(float)),
             own = Buffer::allocate((*binding)->thread_scratch_bytes + 1),
             shared = Buffer::allocate((*binding)->shared_scratch_bytes + 1);
  if (!y || !own || !shared) return state.SkipWithError("out of memory");
  const void* in[] = {a.bytes.data(), b.bytes.data()};
  void* out[] = {y->data()};
  const RunArgs args{in, out, own->data(), shared->data()};
  const double start = cpu_seconds();
  for (auto _ : state) {
    for (int phase = 0; phase < (*binding)->phases; ++phase) (*op)->run(**binding, args, Worker{0, 1, phase});
  }
  const double seconds = (cpu_seconds() - start) / static_cast<double>(state.iterations());
  state.counters["GOPS"] = (*binding)->flops / seconds / 1e9;
  state.counters["us"] = seconds * 1e6;
  state.SetLabel((*binding)->blocking_text());
}

const bool registered = [] {
  for (const DType type : {DType::f32, DType::bf16, DType::f16, DType::u8}) {
    for (const bool transposed : {false, true}) {
      for (const std::int64_t m : {1, 2, 4, 8, 16, 32, 64, 128}) {
        const std::string rows =
            "matmul/" + std::string(name_of(type)) + (transposed ? "/bT/" : "/b/") + std::to_string(m);
        for (const Case& c : {Case{rows + "x768x768", 1, m, 768, 768, type, false, transposed},
                              Case{rows + "x1024x1024", 1, m, 1024, 1024, type, false, transposed},
                              Case{rows + "x64x512/12", 12, m, 64, 512, type, false, transposed},
                              Case{rows + "x512x64/12", 12, m, 512, 64, type, false, transposed}}) {
          benchmark::RegisterBenchmark(c.name.c_str(), [c](benchmark::State& state) { run_matmul(state, c); });
        }
      }
    }
    const Case tall{"matmul/" + std::string(name_of(type)) + "/aT/384x64x768", 1, 384, 64, 768, type, true, false};
    benchmark::RegisterBenchmark(tall.name.c_str(), [tall](benchmark::State& state) { run_matmul(state, tall); });
  }
  const Case column{"matmul/f32/b/768x1x768", 1, 768, 1, 768, DType::f32};
  benchmark::RegisterBenchmark(column.name.c_str(), [column](benchmark::State& state) { run_matmul(state, column); });
  return true;
}();

}  // namespace
}  // namespace intaglio::ops
