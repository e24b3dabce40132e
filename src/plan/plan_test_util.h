// Helpers of the tests of plan: small plans by hand over real families.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ops/candidate.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/linear.h"
#include "plan/context.h"
#include "plan/plan.h"
#include "threads/pool.h"

namespace intaglio::plan {

inline ops::Target test_target() {
  ops::Target target;
  target.isa = closure_of(Isa::sse42);  // every machine that runs the tests
  return target;
}

// The n-th of `count` values that are easy to tell apart.
inline std::vector<float> ramp(std::size_t count, float start = 0.25f, float step = 0.5f) {
  std::vector<float> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = start + step * static_cast<float>(i % 97);
  return out;
}

class PlanBuilder {
 public:
  Plan plan;

  DimId dim(const Dim& value) {
    for (DimId id = 0; id < plan.dims.size(); ++id) {
      if (plan.dims[id] == value) return id;
    }
    plan.dims.push_back(value);
    return static_cast<DimId>(plan.dims.size() - 1);
  }
  std::vector<DimId> dims(const Dims& shape) {
    std::vector<DimId> out;
    for (const Dim& d : shape) out.push_back(dim(d));
    return out;
  }
  ValueId value(std::string name, DType dtype, const Dims& shape, ValueKind kind, std::uint32_t source = 0) {
    plan.values.push_back({std::move(name), dtype, dims(shape), kind, source});
    return static_cast<ValueId>(plan.values.size() - 1);
  }
  ValueId input(const std::string& name, const Dims& shape, DType dtype = DType::f32) {
    const ValueId id = value(name, dtype, shape, ValueKind::input, static_cast<std::uint32_t>(plan.inputs.size()));
    plan.inputs.push_back({name, id});
    return id;
  }
  ValueId temporary(const std::string& name, const Dims& shape, DType dtype = DType::f32) {
    return value(name, dtype, shape, ValueKind::temporary);
  }
  ValueId alias(const std::string& name, ValueId of, const Dims& shape) {
    return value(name, plan.values[of].dtype, shape, ValueKind::alias, of);
  }
  template <class T>
  ValueId constant(const std::string& name, const Shape& shape, const std::vector<T>& data) {
    auto buffer = std::make_shared<Buffer>(*Buffer::allocate(data.size() * sizeof(T)));
    if (!data.empty()) std::memcpy(buffer->data(), data.data(), buffer->size());
    const std::byte* bytes = buffer->data();
    plan.blobs.push_back({"row_major", bytes, buffer->size(), buffer});
    return value(name, kDTypeOf<T>, constant_dims(shape), ValueKind::constant,
                 static_cast<std::uint32_t>(plan.blobs.size() - 1));
  }
  void output(const std::string& name, ValueId id) { plan.outputs.push_back({name, id}); }

  // Adds a step; the constants are packed here, as the compiler does.
  void step(const std::string& node, const ops::Descriptor& descriptor, std::vector<ValueId> inputs,
            std::vector<ValueId> outputs, const Dims& params = {}, const std::vector<ops::Constant>& constants = {}) {
    Step step;
    step.node = node;
    step.op = std::string(descriptor.family());
    step.candidate = "intaglio." + step.op;
    step.descriptor = descriptor.clone();
    const ops::Candidate* candidate = ops::find_candidate(step.candidate, ops::own_candidates());
    ASSERT_NE(candidate, nullptr) << step.candidate;
    auto blobs = candidate->pack(descriptor, constants, test_target());
    ASSERT_TRUE(blobs.has_value()) << blobs.error().to_string();
    for (const ops::Blob& blob : *blobs) {
      step.blobs.push_back(static_cast<std::uint32_t>(plan.blobs.size()));
      plan.blobs.push_back(blob);
    }
    auto prepared = candidate->prepare(descriptor, *blobs, test_target());
    ASSERT_TRUE(prepared.has_value()) << prepared.error().to_string();
    step.prepared = *std::move(prepared);
    step.inputs = std::move(inputs);
    step.outputs = std::move(outputs);
    step.params = dims(params);
    plan.steps.push_back(std::move(step));
  }

  // y = op(a, b ...) on f32.
  ValueId elementwise(const std::string& node, std::string_view op, std::vector<ValueId> inputs, const Dims& shape) {
    std::vector<DType> types;
    for (ValueId id : inputs) types.push_back(plan.values[id].dtype);
    const auto parsed = ops::parse_elementwise_op(op);
    EXPECT_TRUE(parsed.has_value()) << op;
    const auto descriptor = ops::single_elementwise(parsed.value(), types);
    const ValueId out = temporary(node, shape, descriptor.result_type());
    step(node, descriptor, std::move(inputs), {out});
    return out;
  }
  // y = x W with W [k, n] of ramp values.
  ValueId linear(const std::string& node, ValueId x, std::int64_t k, std::int64_t n, const Dims& shape) {
    ops::LinearDescriptor descriptor;
    descriptor.k = k;
    descriptor.n = n;
    descriptor.weight_nk = false;
    const std::vector<float> weight = ramp(static_cast<std::size_t>(k * n), -1.0f, 0.125f);
    const ValueId out = temporary(node, shape);
    step(node, descriptor, {x}, {out}, {},
         {{DType::f32, {k, n}, reinterpret_cast<const std::byte*>(weight.data()), weight.size() * 4}, {}, {}, {}});
    return out;
  }
  ValueId transpose(const std::string& node, ValueId x, const std::vector<std::int64_t>& perm, const Dims& shape) {
    ops::CopyDescriptor descriptor;
    descriptor.kind = ops::CopyKind::transpose;
    descriptor.perm = perm;
    const ValueId out = temporary(node, shape, plan.values[x].dtype);
    step(node, descriptor, {x}, {out});
    return out;
  }
  ValueId gather(const std::string& node, ValueId data, ValueId indices, const Dims& shape) {
    const ValueId out = temporary(node, shape, plan.values[data].dtype);
    step(node, ops::GatherDescriptor(), {data, indices}, {out});
    return out;
  }

  std::shared_ptr<const Plan> finish() {
    assign_bind_groups(plan);
    const Status valid = validate(plan);
    EXPECT_TRUE(valid.has_value()) << valid.error().to_string();
    return std::make_shared<const Plan>(plan);
  }
};

// A little model that uses everything: an embedding, a linear, elementwise steps, an alias, a transpose, a slice with
// symbolic bounds, two outputs of which one is also read by a later step.
//   ids [batch, seq] i64, bias [8] -> rows [batch*seq, 4], turned [4, batch*seq], tail [1, 8]
inline PlanBuilder small_model() {
  PlanBuilder b;
  const Dim batch = Dim::symbol("batch"), seq = Dim::symbol("seq");
  b.plan.symbols["batch"] = {0, 64};
  b.plan.symbols["seq"] = {1, 4096};
  b.plan.report.model = "small.onnx";
  b.plan.report.format = "onnx";
  b.plan.report.fusions.push_back({"pattern", "node"});
  const ValueId ids = b.input("ids", {batch, seq}, DType::i64);
  const ValueId bias = b.input("bias", {Dim(8)});
  const ValueId table = b.constant("table", {10, 8}, ramp(80));
  const ValueId embedded = b.gather("embed", table, ids, {batch, seq, 8});
  const ValueId moved = b.elementwise("add", "add", {embedded, bias}, {batch, seq, 8});
  const ValueId active = b.elementwise("tanh", "tanh", {moved}, {batch, seq, 8});
  const ValueId flat = b.alias("flat", active, {batch * seq, 8});
  const ValueId rows = b.linear("project", flat, 8, 4, {batch * seq, 4});
  const ValueId turned = b.transpose("turn", rows, {1, 0}, {4, batch * seq});
  ops::CopyDescriptor slice;
  slice.kind = ops::CopyKind::slice;
  slice.axes = {0};
  slice.steps = {1};
  const ValueId tail = b.temporary("tail", {Dim::min(batch * seq, Dim(1)), Dim(8)});
  b.step("cut", slice, {flat}, {tail}, {batch * seq - Dim::min(batch * seq, Dim(1)), batch * seq});
  b.output("rows", rows);
  b.output("turned", turned);
  b.output("tail", tail);
  return b;
}

// Runs with owned outputs; every output byte starts as 0xA5.
class Runner {
 public:
  explicit Runner(std::shared_ptr<const Plan> plan, int threads = 1, ContextOptions options = {}) {
    options.pool = *threads::Pool::create({.threads = threads, .idle = threads::IdlePolicy::shared});
    context_ = std::make_unique<Context>(std::move(plan), options);
  }
  Context& context() { return *context_; }
  void drop_context() { context_.reset(); }

  template <class T>
  void add(const Shape& shape, const std::vector<T>& data) {
    auto& entry = inputs_.emplace_back();
    entry.shape = shape;
    entry.dtype = kDTypeOf<T>;
    const auto bytes = std::as_bytes(std::span(data));
    entry.bytes.assign(bytes.begin(), bytes.end());
  }
  void clear() { inputs_.clear(); }

  Status run() {
    std::vector<Shape> shapes;
    std::vector<InputView> in;
    for (const auto& entry : inputs_) {
      shapes.push_back(entry.shape);
      in.push_back({entry.bytes.data(), entry.dtype, entry.shape});
    }
    INTAGLIO_TRY(const BoundPlan* bound, context_->prepare(shapes));
    outputs_.clear();
    std::vector<OutputView> out;
    for (std::size_t bytes : bound->output_bytes) outputs_.emplace_back(bytes, std::byte{0xA5});
    for (auto& bytes : outputs_) out.push_back({bytes.data(), bytes.size()});
    return context_->run(in, out);
  }
  template <class T>
  std::vector<T> output(std::size_t index) const {
    std::vector<T> values(outputs_[index].size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), outputs_[index].data(), outputs_[index].size());
    return values;
  }
  const std::vector<std::vector<std::byte>>& outputs() const { return outputs_; }

 private:
  struct Entry {
    Shape shape;
    DType dtype = DType::f32;
    std::vector<std::byte> bytes;
  };
  std::unique_ptr<Context> context_;
  std::vector<Entry> inputs_;
  std::vector<std::vector<std::byte>> outputs_;
};

}  // namespace intaglio::plan
