#include "bench/gemm/chain.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "ops/elementwise.h"
#include "ops/quantize.h"

namespace intaglio::bench {

namespace {

Result<std::unique_ptr<ops::PreparedOp>> prepare_pass(const ops::Descriptor& descriptor) {
  INTAGLIO_TRY(const ops::Target target, ops::host_target());
  const std::string name = "intaglio." + std::string(descriptor.family());
  const ops::Candidate* candidate = ops::find_candidate(name, ops::own_candidates());
  if (candidate == nullptr) return fail(ErrorCode::internal, "no candidate " + name);
  if (const auto why = candidate->refuses(descriptor, target)) return fail(ErrorCode::unsupported, *why);
  return candidate->prepare(descriptor, {}, target);
}

// ((y * row_scale) + bias), activated.
ops::ElementwiseDescriptor finish_program(bool row_scale, ops::Activation activation) {
  ops::ElementwiseDescriptor d;
  std::int64_t y = d.add_operand(DType::f32);
  const std::int64_t scale = row_scale ? d.add_operand(DType::f32) : -1;
  const std::int64_t bias = d.add_operand(DType::f32);
  const auto add = [&](const char* token, std::int64_t with) {
    ops::ElementwiseInstruction instruction;
    instruction.op = ops::parse_elementwise_op(token).value();
    instruction.source[0] = y;
    instruction.source[1] = with;
    y = d.add_instruction(instruction);
  };
  if (row_scale) add("mul", scale);
  add("add", bias);
  if (activation == ops::Activation::gelu_erf) add("gelu", -1);
  return d;
}

}  // namespace

Result<std::size_t> Chain::add_value(DType dtype, Shape shape) {
  INTAGLIO_TRY(Tensor tensor, Tensor::allocate(dtype, std::move(shape)));
  auto value = std::make_unique<Value>(Value{tensor.type, tensor.bytes.data(), {}});
  value->own = std::move(tensor.bytes);
  values_.push_back(std::move(value));
  return values_.size() - 1;
}

std::size_t Chain::add_outside(const ops::Operand& type, const std::byte* data) {
  values_.push_back(std::make_unique<Value>(Value{type, data, {}}));
  return values_.size() - 1;
}

Status Chain::bind_step(Step step, const ops::PreparedOp& op) {
  std::vector<ops::Operand> inputs, outputs;
  for (const std::size_t i : step.from) {
    inputs.push_back(values_[i]->type);
    step.inputs.push_back(values_[i]->data);
  }
  for (const std::size_t i : step.to) {
    outputs.push_back(values_[i]->type);
    step.outputs.push_back(values_[i]->own.data());
  }
  ops::BindRequest request;
  request.inputs = inputs;
  request.outputs = outputs;
  request.threads = threads_;
  const auto start = std::chrono::steady_clock::now();
  INTAGLIO_TRY(step.binding, op.bind(request));
  bind_microseconds_ += std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
  steps_.push_back(std::move(step));
  return {};
}

Status Chain::add_quantise(std::size_t& x, std::vector<std::size_t>& linear_inputs) {
  const bool token = weights_->scenario.dynamic == ops::Dynamic::token_symmetric;
  ops::QuantizeDescriptor d;
  d.kind = token ? ops::QuantizeKind::rows_symmetric : ops::QuantizeKind::dynamic;
  d.output = token ? DType::i8 : DType::u8;
  const Product& s = problem_->shape;
  Step step;
  step.from = {x};
  INTAGLIO_TRY(x, add_value(d.output, {s.m, s.k}));
  INTAGLIO_TRY(const std::size_t scale, add_value(DType::f32, token ? Shape{s.m, 1} : Shape{}));
  step.to = {x, scale};
  if (!token) {
    INTAGLIO_TRY(const std::size_t zero, add_value(DType::u8, {}));
    step.to.push_back(zero);
    linear_inputs.push_back(zero);
  }
  linear_inputs.push_back(scale);
  INTAGLIO_TRY(step.pass, prepare_pass(d));
  const ops::PreparedOp& op = *step.pass;
  return bind_step(std::move(step), op);
}

Status Chain::add_linear(const Layer& layer, std::vector<std::size_t> inputs, bool cold) {
  const Product& s = problem_->shape;
  const ops::LinearDescriptor& d = layer.recipe().linear;
  Step step;
  step.from = std::move(inputs);
  INTAGLIO_TRY(y_, add_value(d.output, {s.m, s.n}));
  step.to = {y_};
  if (d.row_max) {
    INTAGLIO_TRY(row_max_, add_value(DType::f32, {s.m, 1}));
    step.to.push_back(*row_max_);
  }
  step.linear = layer.turns(cold);
  const ops::PreparedOp& op = *step.linear.front();
  return bind_step(std::move(step), op);
}

Status Chain::add_finish(const Layer&, const Weights& weights, std::optional<std::size_t> row_scale) {
  const Product& s = problem_->shape;
  Step step;
  step.from = {y_};
  if (row_scale) step.from.push_back(*row_scale);
  step.from.push_back(add_outside({DType::f32, {s.n}}, reinterpret_cast<const std::byte*>(weights.bias.data())));
  INTAGLIO_TRY(y_, add_value(DType::f32, {s.m, s.n}));
  step.to = {y_};
  INTAGLIO_TRY(step.pass, prepare_pass(finish_program(row_scale.has_value(), weights.scenario.activation)));
  const ops::PreparedOp& op = *step.pass;
  return bind_step(std::move(step), op);
}

Status Chain::add_requantise() {
  const Product& s = problem_->shape;
  ops::QuantizeDescriptor d;
  d.kind = ops::QuantizeKind::rows_symmetric;
  d.output = DType::i8;
  Step step;
  step.from = {y_};
  INTAGLIO_TRY(y_, add_value(DType::i8, {s.m, s.n}));
  INTAGLIO_TRY(row_scale_, add_value(DType::f32, {s.m, 1}));
  step.to = {y_, *row_scale_};
  INTAGLIO_TRY(step.pass, prepare_pass(d));
  const ops::PreparedOp& op = *step.pass;
  return bind_step(std::move(step), op);
}

Status Chain::allocate_scratch() {
  std::size_t own = 1, shared = 1;
  for (const Step& step : steps_) {
    own = std::max(own, step.binding->thread_scratch_bytes);
    shared = std::max(shared, step.binding->shared_scratch_bytes);
  }
  for (int i = 0; i <= threads_; ++i) {
    INTAGLIO_TRY(scratch_.emplace_back(), Buffer::allocate_zeroed(i < threads_ ? own : shared));
  }
  return {};
}

Result<Chain> Chain::bind(const Layer& layer, const Weights& weights, const Problem& problem, int threads, bool cold) {
  Chain chain;
  chain.problem_ = &problem;
  chain.weights_ = &weights;
  chain.threads_ = threads;
  const Recipe& recipe = layer.recipe();
  std::vector<std::size_t> inputs;
  for (const Tensor& tensor : problem.inputs) inputs.push_back(chain.add_outside(tensor.type, tensor.bytes.data()));
  if (recipe.quantise_first) {
    std::size_t x = inputs[0];
    std::vector<std::size_t> more;
    INTAGLIO_CHECK(chain.add_quantise(x, more));
    inputs = {x};
    inputs.insert(inputs.end(), more.begin(), more.end());
  }
  std::optional<std::size_t> row_scale;
  if (recipe.finish) {
    row_scale = inputs.back();
    inputs.pop_back();
  }
  INTAGLIO_CHECK(chain.add_linear(layer, std::move(inputs), cold));
  if (recipe.finish) INTAGLIO_CHECK(chain.add_finish(layer, weights, row_scale));
  if (recipe.requantise) INTAGLIO_CHECK(chain.add_requantise());
  INTAGLIO_CHECK(chain.allocate_scratch());
  return chain;
}

void Chain::work(std::size_t iterations, const threads::RegionThread& thread) noexcept {
  std::byte* own = scratch_[static_cast<std::size_t>(thread.index)].data();
  std::byte* shared = scratch_.back().data();
  for (std::size_t i = 0; i < iterations; ++i) {
    for (const Step& step : steps_) {
      const ops::PreparedOp* op = step.pass.get();
      if (op == nullptr) op = step.linear[(turn_ + i) % step.linear.size()];
      const ops::RunArgs args{step.inputs.data(), step.outputs.data(), own, shared};
      for (int phase = 0; phase < step.binding->phases; ++phase) {
        op->run(*step.binding, args, ops::Worker{thread.index, thread.count, phase});
        thread.barrier();
      }
    }
  }
}

void Chain::run(std::size_t iterations, threads::Pool* pool) {
  if (pool == nullptr) {
    work(iterations, threads::RegionThread{});
  } else {
    const auto region = [&](const threads::RegionThread& thread) noexcept { work(iterations, thread); };
    pool->run(region);
  }
  turn_ += iterations;
}

double Chain::result(std::int64_t row, std::int64_t column) const {
  const Value& y = *values_[y_];
  const auto index = static_cast<std::size_t>(row * problem_->shape.n + column);
  const double value = element(y.type.dtype, y.data, index);
  if (y.type.dtype != DType::i8) return value;
  if (!row_scale_) return value * kOutputScale;
  return value * element(DType::f32, values_[*row_scale_]->data, static_cast<std::size_t>(row));
}

double Chain::largest() const {
  const bool fixed = values_[y_]->type.dtype == DType::i8 && !row_scale_;
  return fixed ? 127 * kOutputScale : std::numeric_limits<double>::infinity();
}

double Chain::error() const {
  double worst = 0;
  for (const Sample& sample : problem_->samples) {
    const double expected = std::clamp(sample.value, -largest(), largest());
    const double off = std::abs(result(sample.row, sample.column) - expected);
    worst = std::max(worst, std::isnan(off) ? std::numeric_limits<double>::infinity() : off);
    if (row_max_) {
      const double most = element(DType::f32, values_[*row_max_]->data, static_cast<std::size_t>(sample.row));
      worst = std::max(worst, std::abs(sample.value) - most);
    }
  }
  if (row_max_) {
    // The largest code of a row is the row's maximum rounded, unless it is saturated.
    for (std::int64_t row = 0; row < problem_->shape.m; ++row) {
      double seen = 0;
      for (std::int64_t column = 0; column < problem_->shape.n; ++column)
        seen = std::max(seen, std::abs(result(row, column)));
      const double most = element(DType::f32, values_[*row_max_]->data, static_cast<std::size_t>(row));
      worst = std::max(worst, std::abs(std::min(most, largest()) - seen));
    }
  }
  return worst / problem_->scale;
}

}  // namespace intaglio::bench
