#include "compile/lower.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/alloc.h"

namespace intaglio::compile {

namespace {

// The family that runs each op.
LowerFunction function_for(ir::Op op) {
  switch (ir::schema(op).group) {
    case ir::OpGroup::unary:
    case ir::OpGroup::binary:
    case ir::OpGroup::compare:
    case ir::OpGroup::logical:
    case ir::OpGroup::ternary:
    case ir::OpGroup::cast:
      return lower_elementwise;
    case ir::OpGroup::create:
      return lower_create;
    case ir::OpGroup::norm:
      return lower_norm;
    case ir::OpGroup::attention:
      return op == ir::Op::rotary ? lower_rotary : lower_attention;
    case ir::OpGroup::quant:
      return op == ir::Op::norm_quantize ? lower_norm_quantize : lower_quantize;
    case ir::OpGroup::reduce:
      return op == ir::Op::softmax ? lower_softmax : lower_reduce;
    case ir::OpGroup::matmul:
      if (op == ir::Op::linear) return lower_linear;
      return op == ir::Op::quantized_linear ? lower_quantized_linear : lower_matmul;
    case ir::OpGroup::movement:
      break;
  }
  if (op == ir::Op::reshape) return lower_reshape;
  const bool indexed = op == ir::Op::gather || op == ir::Op::gather_elements || op == ir::Op::gather_nd;
  return indexed ? lower_gather : lower_copy;
}

std::string node_name(const ir::Node& node) {
  return node.origin().name.empty() ? "%" + node.output()->name() : node.origin().name;
}

// Larger constants stay where the model's file has them if their elements are aligned; kernels read those unaligned.
constexpr std::size_t kKeepMapped = std::size_t{1} << 20;

bool aligned(const ir::Tensor& tensor) {
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.data);
  return address % kAlignment == 0 || (tensor.bytes >= kKeepMapped && address % size_of(tensor.dtype) == 0);
}

}  // namespace

std::vector<ir::Value*> present_inputs(const ir::Node& node) {
  std::vector<ir::Value*> inputs;
  std::ranges::copy_if(node.inputs(), std::back_inserter(inputs),
                       [](const ir::Value* input) { return input != nullptr; });
  return inputs;
}

Lowering::Lowering(ir::Graph& graph, std::span<const ops::Candidate* const> candidates, const ops::Target& target,
                   const std::function<void(std::string_view, double)>& progress)
    : graph_(graph),
      candidates_(candidates),
      target_(target),
      progress_(progress),
      plan_(std::make_shared<plan::Plan>()) {}

Result<std::shared_ptr<plan::Plan>> Lowering::run() {
  plan_->symbols = graph_.symbols;
  for (const ir::DimGuard& guard : graph_.guards)
    plan_->guards.push_back({dim_id(guard.a), dim_id(guard.b), guard.origin});
  INTAGLIO_CHECK(add_ports());
  for (const ir::Value& value : graph_.values()) {
    if (value.is_constant()) uses_left_.emplace(&value, value.uses().size());
  }
  std::size_t done = 0;
  for (const ir::Node& node : graph_.nodes()) {
    if (auto lowered = function_for(node.op())(*this, node); !lowered) {
      return fail(std::move(lowered).error().at("node '" + node_name(node) + "' (" +
                                                std::string(ir::name_of(node.op())) + ")"));
    }
    drop_weights(node);
    if (progress_) progress_("pack", static_cast<double>(++done) / static_cast<double>(graph_.nodes().size()));
  }
  INTAGLIO_CHECK(add_outputs());
  plan::assign_bind_groups(*plan_);
  if (auto valid = plan::validate(*plan_); !valid) {
    Error error = std::move(valid).error();
    error.code = ErrorCode::internal;
    return fail(std::move(error).within("lowering"));
  }
  return plan_;
}

// Constants whose last user is lowered. Blobs of the plan hold what they point into themselves.
void Lowering::drop_weights(const ir::Node& lowered) {
  for (ir::Value* input : lowered.inputs()) {
    if (input == nullptr || !input->is_constant() || --uses_left_[input] != 0) continue;
    graph_.drop_bytes(input);
  }
}

Status Lowering::add_ports() {
  for (const ir::Port& port : graph_.inputs()) {
    const auto index = static_cast<std::uint32_t>(plan_->inputs.size());
    plan_->inputs.push_back({port.name, new_value(*port.value, plan::ValueKind::input, index)});
  }
  return {};
}

Status Lowering::add_outputs() {
  for (const ir::Port& port : graph_.outputs()) {
    INTAGLIO_TRY(const plan::ValueId id, value_id(port.value));
    plan_->outputs.push_back({port.name, id});
  }
  return {};
}

plan::DimId Lowering::dim_id(const Dim& dim) {
  const auto [position, inserted] = dim_ids_.emplace(dim, static_cast<plan::DimId>(plan_->dims.size()));
  if (inserted) plan_->dims.push_back(dim);
  return position->second;
}

plan::ValueId Lowering::new_value(const ir::Value& value, plan::ValueKind kind, std::uint32_t source) {
  const auto id = static_cast<plan::ValueId>(plan_->values.size());
  plan::PlanValue added{value.name(), value.dtype(), {}, kind, source};
  for (const Dim& dim : value.shape()) added.shape.push_back(dim_id(dim));
  plan_->values.push_back(std::move(added));
  value_ids_.emplace(&value, id);
  return id;
}

Result<plan::ValueId> Lowering::value_id(const ir::Value* value) {
  if (const auto found = value_ids_.find(value); found != value_ids_.end()) return found->second;
  if (!value->is_constant())
    return fail(ErrorCode::internal, "value %" + value->name() + " is used before it is defined");
  INTAGLIO_TRY(const std::uint32_t blob, constant_blob(value->constant()));
  return new_value(*value, plan::ValueKind::constant, blob);
}

Result<std::uint32_t> Lowering::constant_blob(const ir::Tensor& tensor) {
  const auto next = static_cast<std::uint32_t>(plan_->blobs.size());
  if (const auto found = constant_blobs_.find(tensor.data); found != constant_blobs_.end() && tensor.bytes != 0) {
    if (plan_->blobs[found->second].bytes >= tensor.bytes) return found->second;
  }
  ops::Blob blob{"constant", tensor.data, tensor.bytes, tensor.owner};
  if (!aligned(tensor)) {
    INTAGLIO_TRY(Buffer buffer, Buffer::allocate(tensor.bytes));
    if (tensor.bytes != 0) std::memcpy(buffer.data(), tensor.data, tensor.bytes);
    auto owner = std::make_shared<Buffer>(std::move(buffer));
    blob.data = owner->data();
    blob.owner = std::move(owner);
  }
  constant_blobs_[tensor.data] = next;
  plan_->blobs.push_back(std::move(blob));
  return next;
}

Result<std::vector<std::uint32_t>> Lowering::packed_blobs(const ops::Candidate& candidate,
                                                          const ops::Descriptor& descriptor,
                                                          std::span<ir::Value* const> constants) {
  std::string key = std::string(candidate.name()) + " " + ops::to_string(descriptor);
  std::vector<ops::Constant> operands;
  for (const ir::Value* value : constants) {
    if (value == nullptr) {
      operands.push_back({});
      key += " -";
      continue;
    }
    const ir::Tensor& tensor = value->constant();
    operands.push_back({tensor.dtype, tensor.shape, tensor.data, tensor.bytes});
    key += fmt::format(" {}", fmt::ptr(tensor.data));
  }
  if (const auto found = packed_.find(key); found != packed_.end()) return found->second;
  INTAGLIO_TRY(auto blobs, candidate.pack(descriptor, operands, target_));
  for (const ir::Value* value : constants) {
    if (value != nullptr) graph_.release_pages(value->constant());
  }
  std::vector<std::uint32_t> ids;
  for (ops::Blob& blob : blobs) {
    ids.push_back(static_cast<std::uint32_t>(plan_->blobs.size()));
    plan_->blobs.push_back(std::move(blob));
  }
  packed_.emplace(std::move(key), ids);
  return ids;
}

Status Lowering::add_step(const ir::Node& node, StepSpec spec) {
  if (auto valid = spec.descriptor->validate(); !valid) {
    // A descriptor that lowering made breaks the family's rules only if the model asks for what the family cannot do.
    Error error = std::move(valid).error();
    error.code = ErrorCode::unsupported;
    return fail(std::move(error));
  }
  std::string refusals;
  for (const ops::Candidate* candidate : candidates_) {
    if (candidate->family() != spec.descriptor->family()) continue;
    if (const auto why = candidate->refuses(*spec.descriptor, target_)) {
      refusals += fmt::format("{}{}: {}", refusals.empty() ? "" : "; ", candidate->name(), *why);
      continue;
    }
    plan::Step step;
    step.node = node_name(node);
    step.source = node.origin().source;
    step.op = ir::name_of(node.op());
    step.candidate = candidate->name();
    INTAGLIO_TRY(step.blobs, packed_blobs(*candidate, *spec.descriptor, spec.constants));
    std::vector<ops::Blob> blobs;
    for (std::uint32_t id : step.blobs) blobs.push_back(plan_->blobs[id]);
    INTAGLIO_TRY(step.prepared, candidate->prepare(*spec.descriptor, std::move(blobs), target_));
    for (const ir::Value* input : spec.inputs) {
      INTAGLIO_TRY(const plan::ValueId id, value_id(input));
      step.inputs.push_back(id);
    }
    if (spec.outputs.empty()) spec.outputs.assign(node.outputs().begin(), node.outputs().end());
    for (const ir::Value* output : spec.outputs)
      step.outputs.push_back(new_value(*output, plan::ValueKind::temporary, 0));
    for (const Dim& dim : spec.params) step.params.push_back(dim_id(dim));
    step.descriptor = std::move(spec.descriptor);
    if (!refusals.empty()) plan_->report.fallbacks.push_back({step.node, refusals});
    plan_->steps.push_back(std::move(step));
    return {};
  }
  return fail(ErrorCode::unsupported, refusals.empty() ? fmt::format("no candidate of family '{}' exists in this build",
                                                                     spec.descriptor->family())
                                                       : "no kernel takes it: " + refusals);
}

Status Lowering::add_alias(const ir::Node& node, const ir::Value* source) {
  INTAGLIO_TRY(const plan::ValueId id, value_id(source));
  new_value(*node.output(), plan::ValueKind::alias, id);
  return {};
}

}  // namespace intaglio::compile
