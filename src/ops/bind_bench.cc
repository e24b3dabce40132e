// Binding: what a shape never seen before costs before it runs. Every iteration binds another number of rows, as a
// server does that pads nothing; the memory of the binding is obtained and released in the loop. One figure per
// family of a transformer's layer, at BERT-base's sizes. The aim is 5 microseconds a problem.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ops/attention.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/linear.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/softmax.h"

namespace intaglio::ops {
namespace {

constexpr std::int64_t kBatch = 1, kHeads = 12, kDepth = 64, kWidth = 768, kInner = 3072;
constexpr std::int64_t kMostRows = 4096;
constexpr int kThreads = 2;

// A prepared op, and its operands for a number of rows: each dim that is kRows stands for it.
constexpr std::int64_t kRows = -1;
struct Case {
  std::unique_ptr<Descriptor> descriptor;
  std::vector<Shape> inputs;
  Shape output;
  std::vector<Shape> constants = {};  // f32, zeros
};

template <class D>
std::unique_ptr<D> make() {
  return std::make_unique<D>();
}

Case linear_case(std::int64_t k, std::int64_t n, bool residual) {
  auto d = make<LinearDescriptor>();
  d->k = k;
  d->n = n;
  d->bias = true;
  d->residual = residual;
  if (n == kInner) d->activation = Activation::gelu_erf;
  Case c{nullptr, {{kBatch, kRows, k}}, {kBatch, kRows, n}, {{n, k}, {}, {}, {n}}};
  if (residual) c.inputs.push_back(c.output);
  c.descriptor = std::move(d);
  return c;
}

Case matmul_case() {
  auto d = make<MatmulDescriptor>();
  return {
      std::move(d), {{kBatch, kHeads, kRows, kDepth}, {kBatch, kHeads, kDepth, kRows}}, {kBatch, kHeads, kRows, kRows}};
}

Case attention_case() {
  auto d = make<AttentionDescriptor>();
  const Shape heads{kBatch, kHeads, kRows, kDepth};
  return {std::move(d), {heads, heads, heads}, heads};
}

Case norm_case() {
  auto d = make<NormDescriptor>();
  d->axis = 2;
  d->gamma = d->beta = true;
  return {std::move(d), {{kBatch, kRows, kWidth}, {kWidth}, {kWidth}}, {kBatch, kRows, kWidth}};
}

Case softmax_case() {
  auto d = make<SoftmaxDescriptor>();
  d->axis = 3;
  return {std::move(d), {{kBatch, kHeads, kRows, kRows}}, {kBatch, kHeads, kRows, kRows}};
}

Case add_case() {
  const Shape rows{kBatch, kRows, kWidth};
  return {std::make_unique<ElementwiseDescriptor>(
              single_elementwise(*parse_elementwise_op("add"), std::vector{DType::f32, DType::f32})),
          {rows, {kWidth}},
          rows};
}

Case transpose_case() {
  auto d = make<CopyDescriptor>();
  d->kind = CopyKind::transpose;
  d->perm = {0, 2, 1, 3};
  return {std::move(d), {{kBatch, kRows, kHeads, kDepth}}, {kBatch, kHeads, kRows, kDepth}};
}

Result<std::unique_ptr<PreparedOp>> prepare(const Case& c) {
  INTAGLIO_TRY(const Target target, host_target());
  std::vector<std::vector<float>> bytes;
  std::vector<Constant> constants;
  for (const Shape& shape : c.constants) {
    if (shape.empty()) {
      constants.push_back({});
      continue;
    }
    bytes.emplace_back(static_cast<std::size_t>(*element_count(shape)), 0.0f);
    constants.push_back({DType::f32, shape, reinterpret_cast<const std::byte*>(bytes.back().data()),
                         bytes.back().size() * sizeof(float)});
  }
  for (const Candidate* candidate : own_candidates()) {
    if (candidate->family() != c.descriptor->family() || candidate->refuses(*c.descriptor, target)) continue;
    INTAGLIO_TRY(auto blobs, candidate->pack(*c.descriptor, constants, target));
    return candidate->prepare(*c.descriptor, std::move(blobs), target);
  }
  return fail(ErrorCode::internal, "no candidate takes the case");
}

void bind_ever_new(benchmark::State& state, const Case& c) {
  const auto op = prepare(c);
  if (!op) return state.SkipWithError(op.error().to_string().c_str());
  std::vector<Operand> inputs, outputs{{DType::f32, c.output}};
  for (const Shape& shape : c.inputs) inputs.push_back({DType::f32, shape});
  std::vector<std::int64_t*> rows;
  for (std::vector<Operand>* list : {&inputs, &outputs}) {
    for (Operand& operand : *list) {
      for (std::int64_t& dim : operand.shape) {
        if (dim == kRows) rows.push_back(&dim);
      }
    }
  }
  const BindRequest request{inputs, outputs, {}, kThreads};
  std::int64_t count = 0;
  for (auto _ : state) {
    count = count % kMostRows + 1;
    for (std::int64_t* dim : rows) *dim = count;
    const auto binding = (*op)->bind(request);
    if (!binding) return state.SkipWithError(binding.error().to_string().c_str());
    benchmark::DoNotOptimize(binding->get());
  }
}

const bool registered = [] {
  const auto add = [](const char* name, Case (*make_case)()) {
    benchmark::RegisterBenchmark(name, [make_case](benchmark::State& state) { bind_ever_new(state, make_case()); });
  };
  add("bind/linear_768x768_residual", [] { return linear_case(kWidth, kWidth, true); });
  add("bind/linear_768x3072_gelu", [] { return linear_case(kWidth, kInner, false); });
  add("bind/linear_3072x768_residual", [] { return linear_case(kInner, kWidth, true); });
  add("bind/matmul", matmul_case);
  add("bind/attention", attention_case);
  add("bind/norm", norm_case);
  add("bind/softmax", softmax_case);
  add("bind/elementwise_add", add_case);
  add("bind/copy_transpose", transpose_case);
  return true;
}();

}  // namespace
}  // namespace intaglio::ops
