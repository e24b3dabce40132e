// Layer norm of 128 x 768 with gamma and beta, one thread: alone, with the dynamic quantisation of its rows in the same
// op, and followed by it as an op of its own.
#include <benchmark/benchmark.h>

#include "ops/linear_test_util.h"
#include "ops/norm.h"

namespace intaglio::ops {
namespace {

enum class How : std::uint8_t { alone, fused, fused_without_float, apart };

struct Op {
  std::unique_ptr<PreparedOp> prepared;
  std::unique_ptr<const Binding> binding;
  Buffer scratch;

  Op(const char* candidate, const Descriptor& d, const std::vector<Operand>& inputs,
     const std::vector<Operand>& outputs) {
    prepared = *find_candidate(candidate, own_candidates())->prepare(d, {}, test_targets().back());
    binding = *prepared->bind({inputs, outputs, {}, 1});
    scratch = *Buffer::allocate(binding->thread_scratch_bytes + 64);
  }
  void run(std::initializer_list<const void*> inputs, std::initializer_list<void*> outputs) const {
    prepared->run(*binding, {inputs.begin(), outputs.begin(), scratch.data(), nullptr}, {});
  }
};

void norm(benchmark::State& state, How how) {
  const Shape shape{128, 768};
  TestRandom random(1);
  const std::vector<float> x = random.floats(128 * 768, -3, 3), gamma = random.floats(768), beta = random.floats(768);
  std::vector<float> y(x.size()), scale(128);
  std::vector<std::uint8_t> q(x.size());
  const Operand f{DType::f32, shape}, v{DType::f32, {768}}, bytes{DType::u8, shape}, rows{DType::f32, {128}};
  NormDescriptor d;
  d.axis = 1;
  d.gamma = d.beta = true;
  const Op plain("intaglio.norm", d, {f, v, v}, {f});
  d.quantize = NormQuantize::symmetric;
  const Op fused("intaglio.norm", d, {f, v, v}, {f, bytes, rows});
  d.keep_float = false;
  const Op narrow("intaglio.norm", d, {f, v, v}, {bytes, rows});
  QuantizeDescriptor quantize;
  quantize.kind = QuantizeKind::rows_symmetric;
  const Op apart("intaglio.quantize", quantize, {f}, {bytes, rows});
  for (auto _ : state) {
    if (how == How::alone || how == How::apart) plain.run({x.data(), gamma.data(), beta.data()}, {y.data()});
    if (how == How::apart) apart.run({y.data()}, {q.data(), scale.data()});
    if (how == How::fused) fused.run({x.data(), gamma.data(), beta.data()}, {y.data(), q.data(), scale.data()});
    if (how == How::fused_without_float) narrow.run({x.data(), gamma.data(), beta.data()}, {q.data(), scale.data()});
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * 128 * 768);
}

BENCHMARK_CAPTURE(norm, alone, How::alone);
BENCHMARK_CAPTURE(norm, quantized, How::fused);
BENCHMARK_CAPTURE(norm, quantized_without_float, How::fused_without_float);
BENCHMARK_CAPTURE(norm, quantized_apart, How::apart);

}  // namespace
}  // namespace intaglio::ops
