// Prepared linears, one thread: the whole path of a layer (blocking, epilogue with bias), hot (one layer again and
// again) and cold (layers in turn, together larger than the last cache). "share" is the part of the register-only peak
// measured right before; "weights" the rate at which packed weights are consumed. Times are thread CPU time.
#include <benchmark/benchmark.h>
#include <ctime>

#include <algorithm>
#include <string>

#include "kernels/probe/table.h"
#include "ops/linear.h"
#include "ops/linear_loops.h"
#include "ops/linear_test_util.h"

namespace intaglio::ops {
namespace {

namespace probe = kernels::probe;

struct Shape3 {
  std::int64_t m, n, k;
};
constexpr Shape3 kShapes[] = {
    {1024, 1024, 1024}, {512, 3072, 768}, {1, 768, 768},    {8, 768, 768},    {8, 3072, 768},  {8, 768, 3072},
    {32, 768, 768},     {128, 768, 768},  {128, 3072, 768}, {128, 768, 3072}, {128, 384, 384}, {128, 1536, 384},
};

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

double peak_of(std::string_view isa, bool floats) {
  for (std::size_t i = 0; i < probe::kComputeProbeCount; ++i) {
    const probe::ComputeRow& p = probe::kComputeProbes[i];
    if (p.isa != isa || (p.quantity == probe::Quantity::fma_f32) != floats) continue;
    alignas(64) unsigned char sink[probe::kSinkBytes];
    double best = 0;
    for (int round = 0; round < 5; ++round) {
      const double start = cpu_seconds();
      p.kernel(200000, sink);
      best = std::max(best, p.operations * 200000 / (cpu_seconds() - start));
    }
    return best;
  }
  return 0;
}

// Layers of one shape with random weights, and the operands of a run.
struct Layers {
  Result<std::vector<TestTensor>> make(const Target& target, const Shape3& s, bool floats, bool cold) {
    TestRandom random(1);
    LinearDescriptor d;
    d.k = s.k;
    d.n = s.n;
    d.bias = true;
    const auto count = [](std::int64_t rows, std::int64_t columns) { return static_cast<std::size_t>(rows * columns); };
    const TestTensor bias = TestTensor::of(Shape{s.n}, random.floats(count(s.n, 1)));
    TestTensor w, x;
    if (floats) {
      w = TestTensor::of(Shape{s.n, s.k}, random.floats(count(s.n, s.k)));
      x = TestTensor::of(Shape{s.m, s.k}, random.floats(count(s.m, s.k)));
    } else {
      d.input = DType::u8;
      d.weight = DType::i8;
      d.input_zero = d.input_scale = d.weight_scale = true;
      w = TestTensor::of(Shape{s.n, s.k}, random.integers<std::int8_t>(count(s.n, s.k)));
      x = TestTensor::of(Shape{s.m, s.k}, random.integers<std::uint8_t>(count(s.m, s.k)));
    }
    weight_bytes = w.bytes.size();
    const std::vector<Constant> constants{w.constant(), {}, floats ? Constant{} : bias.constant(), bias.constant()};
    const Candidate& candidate = *find_candidate("intaglio.linear", own_candidates());
    const std::size_t layers = cold ? std::max<std::size_t>(2, (100u << 20) / weight_bytes) : 1;
    for (std::size_t i = 0; i < layers; ++i) {
      INTAGLIO_TRY(auto blobs, candidate.pack(d, constants, target));
      INTAGLIO_TRY(ops.emplace_back(), candidate.prepare(d, std::move(blobs), target));
    }
    std::vector<TestTensor> inputs{x};
    if (!floats) {
      inputs.push_back(TestTensor::of(Shape{}, std::vector<std::uint8_t>{7}));
      inputs.push_back(TestTensor::of(Shape{}, std::vector<float>{0.1f}));
    }
    return inputs;
  }
  std::vector<std::unique_ptr<PreparedOp>> ops;
  std::size_t weight_bytes = 0;
};

void run_linear(benchmark::State& state, const Target& target, const Shape3& s, bool floats, bool cold) {
  Layers layers;
  const auto inputs = layers.make(target, s, floats, cold);
  if (!inputs) return state.SkipWithError(inputs.error().to_string().c_str());
  std::vector<Operand> types;
  std::vector<const void*> in;
  for (const TestTensor& t : *inputs) {
    types.push_back(t.type);
    in.push_back(t.bytes.data());
  }
  const std::vector<Operand> outputs{{DType::f32, {s.m, s.n}}};
  BindRequest request;
  request.inputs = types;
  request.outputs = outputs;
  const auto binding = layers.ops[0]->bind(request);
  if (!binding) return state.SkipWithError(binding.error().to_string().c_str());
  const auto y = Buffer::allocate(static_cast<std::size_t>(s.m * s.n) * sizeof(float)),
             own = Buffer::allocate((*binding)->thread_scratch_bytes + 1),
             shared = Buffer::allocate((*binding)->shared_scratch_bytes + 1);
  if (!y || !own || !shared) return state.SkipWithError("out of memory");
  void* out[] = {y->data()};
  const RunArgs args{in.data(), out, own->data(), shared->data()};
  const PreparedOp::Facts facts = layers.ops[0]->facts();
  const double peak = peak_of(facts.isa, floats);
  std::size_t next = 0;
  const double start = cpu_seconds();
  for (auto _ : state) {
    for (int phase = 0; phase < (*binding)->phases; ++phase) {
      layers.ops[next]->run(**binding, args, Worker{0, 1, phase});
    }
    next = (next + 1) % layers.ops.size();
  }
  const double seconds = (cpu_seconds() - start) / static_cast<double>(state.iterations());
  state.counters["GOPS"] = (*binding)->flops / seconds / 1e9;
  if (peak > 0) state.counters["share"] = (*binding)->flops / seconds / peak;
  state.counters["weights_GBps"] = static_cast<double>(layers.weight_bytes) / seconds / 1e9;
  state.SetLabel(facts.kernel);
}

const bool registered = [] {
  for (const bool floats : {true, false}) {
    std::string last;
    for (const Target& target : test_targets()) {
      const auto types = floats ? kernels::gemm::Types::f32 : kernels::gemm::Types::u8s8i32;
      const std::string isa = choose_gemm(types, target.isa, kManyRows)->isa;
      if (!contains(target.isa, Isa::avx2) || isa == last) continue;  // below: minutes, and nobody's choice
      last = isa;
      for (const Shape3& s : kShapes) {
        for (const bool cold : {false, true}) {
          const std::string name = std::string(floats ? "linear_f32/" : "linear_u8i8/") + isa + "/" +
                                   std::to_string(s.m) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k) +
                                   (cold ? "/cold" : "/hot");
          benchmark::RegisterBenchmark(name.c_str(),
                                       [=](benchmark::State& state) { run_linear(state, target, s, floats, cold); });
        }
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace intaglio::ops
