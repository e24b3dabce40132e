// Prepared attention, 2 x 12 heads of 64 (uneven: 1 x 3), as f32, bf16 and with 8-bit products, on one and two threads
// of a pool, the best level of this machine (INTAGLIO_MAX_ISA caps it). Masks:
//   none, causal, uneven (causal too)
//   right, left    the second sequence is half as long as the first and padded behind or before it; bool [2, 1, 1, S]
//   causal_left    both
//   decoder        both as exporters of decoders write them: added, [2, 1, S, S], the lowest f32
// "us" is the processor time of the thread that takes longest, the least of all runs: what a run would take on cores of
// its own.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <ctime>
#include <limits>
#include <string>

#include "base/half.h"
#include "ops/attention.h"
#include "ops/linear_test_util.h"
#include "threads/pool.h"

namespace intaglio::ops {
namespace {

constexpr std::int64_t kDepth = 64;

struct Case {
  std::string name;
  DType type;
  AttentionCompute compute;
  std::string mask;
  std::int64_t length;
  int threads;

  std::int64_t batch() const { return mask == "uneven" ? 1 : 2; }
  std::int64_t heads() const { return mask == "uneven" ? 3 : 12; }
};

TestTensor operand(const Case& c, TestRandom& random) {
  const Shape shape{c.batch(), c.heads(), c.length, kDepth};
  const std::vector<float> values = random.floats(static_cast<std::size_t>(*element_count(shape)), -2, 2);
  if (c.type == DType::f32) return TestTensor::of(shape, values);
  std::vector<std::uint16_t> narrow;
  for (const float x : values) narrow.push_back(to_bfloat16(x).bits);
  TestTensor out = TestTensor::of(shape, narrow);
  out.type.dtype = c.type;
  return out;
}

// Does the second sequence have key j?
bool is_key(const Case& c, std::int64_t j) {
  return c.mask == "right" ? j < c.length / 2 : j >= c.length / 2;
}

TestTensor mask_of(const Case& c) {
  const std::int64_t s = c.length;
  if (c.mask == "decoder") {
    std::vector<float> added;
    for (std::int64_t at = 0; at < c.batch() * s * s; ++at) {
      const std::int64_t j = at % s, i = at / s % s;
      added.push_back(j <= i && (at < s * s || is_key(c, j)) ? 0.0f : std::numeric_limits<float>::lowest());
    }
    return TestTensor::of(Shape{c.batch(), 1, s, s}, added);
  }
  std::vector<std::uint8_t> kept;
  for (std::int64_t at = 0; at < c.batch() * s; ++at) kept.push_back(at < s || is_key(c, at % s) ? 1 : 0);
  TestTensor out = TestTensor::of(Shape{c.batch(), 1, 1, s}, kept);
  out.type.dtype = DType::boolean;
  return out;
}

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

struct Region {
  const PreparedOp* op = nullptr;
  const Binding* binding = nullptr;
  RunArgs args;
  Buffer* own = nullptr;
  double* seconds = nullptr;  // of each thread, without waiting

  void run(const threads::RegionThread& self) const noexcept {
    RunArgs mine = args;
    mine.thread_scratch = own[self.index].data();
    seconds[self.index] = 0;
    for (int phase = 0; phase < binding->phases; ++phase) {
      if (phase != 0) self.barrier();
      const double start = cpu_seconds();
      op->run(*binding, mine, Worker{self.index, self.count, phase});
      seconds[self.index] += cpu_seconds() - start;
    }
  }
};

void run_attention(benchmark::State& state, const Case& c) {
  AttentionDescriptor d;
  d.dtype = c.type;
  d.compute = c.compute;
  d.scale = 0.125;
  d.causal = c.mask.starts_with("causal") || c.mask == "uneven";
  const bool masked = c.mask != "none" && c.mask != "causal" && c.mask != "uneven";
  d.mask = !masked ? AttentionMask::none : c.mask == "decoder" ? AttentionMask::added : AttentionMask::kept;
  const auto target = host_target();
  if (!target) return state.SkipWithError(target.error().to_string().c_str());
  const auto op = find_candidate("intaglio.attention", own_candidates())->prepare(d, {}, *target);
  if (!op) return state.SkipWithError(op.error().to_string().c_str());
  TestRandom random(1);
  const TestTensor q = operand(c, random), k = operand(c, random), v = operand(c, random), mask = mask_of(c);
  std::vector<Operand> types{q.type, k.type, v.type};
  std::vector<const void*> in{q.bytes.data(), k.bytes.data(), v.bytes.data()};
  if (masked) {
    types.push_back(mask.type);
    in.push_back(mask.bytes.data());
  }
  const Operand result[] = {q.type};
  const auto binding = (*op)->bind({types, result, {}, c.threads});
  if (!binding) return state.SkipWithError(binding.error().to_string().c_str());
  std::vector<std::byte> y(q.bytes.size());
  void* out[] = {y.data()};
  std::vector<Buffer> own;
  for (int i = 0; i < c.threads; ++i) own.push_back(*Buffer::allocate((*binding)->thread_scratch_bytes + 64));
  Buffer shared = *Buffer::allocate((*binding)->shared_scratch_bytes + 64);
  const auto pool = threads::Pool::create(c.threads);
  if (!pool) return state.SkipWithError(pool.error().to_string().c_str());
  std::vector<double> seconds(static_cast<std::size_t>(c.threads));
  Region region{op->get(), binding->get(), {in.data(), out, nullptr, shared.data()}, own.data(), seconds.data()};
  double least = std::numeric_limits<double>::infinity();
  for (auto _ : state) {
    (*pool)->run(region);
    least = std::min(least, std::ranges::max(seconds));
  }
  state.counters["us"] = least * 1e6;
  state.SetLabel((*binding)->blocking_text());
}

const bool registered = [] {
  const struct {
    const char* name;
    DType type;
    AttentionCompute compute;
  } forms[] = {{"f32", DType::f32, AttentionCompute::plain},
               {"bf16", DType::bf16, AttentionCompute::plain},
               {"int8", DType::f32, AttentionCompute::int8},
               {"bf16_int8", DType::bf16, AttentionCompute::int8}};
  for (const auto& form : forms) {
    for (const char* mask : {"none", "causal", "uneven", "right", "left", "causal_left", "decoder"}) {
      for (const std::int64_t length : {128, 512, 1024}) {
        for (const int threads : {1, 2}) {
          const std::string name = std::string("attention/") + form.name + "/" + mask + "/" + std::to_string(length) +
                                   "/threads:" + std::to_string(threads);
          const Case c{name, form.type, form.compute, mask, length, threads};
          benchmark::RegisterBenchmark(name.c_str(), [c](benchmark::State& state) {
            run_attention(state, c);
          })->UseRealTime();
        }
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace intaglio::ops
