#include "plan/binding.h"

#include <algorithm>
#include <limits>

#include "base/alloc.h"
#include "plan/barriers.h"

namespace intaglio::plan {

namespace {

// The work of one bind, in the order in which bind() tells it.
class Binder {
 public:
  Binder(const Plan& plan, const BindOptions& options)
      : plan_(plan), options_(options), bound_(std::make_shared<BoundPlan>()) {}

  Result<std::shared_ptr<const BoundPlan>> bind(std::span<const Shape> input_shapes) {
    bound_->input_shapes.assign(input_shapes.begin(), input_shapes.end());
    bound_->threads = options_.threads;
    INTAGLIO_TRY(dims_, bind_dims(plan_, input_shapes));
    INTAGLIO_CHECK(resolve_shapes());
    INTAGLIO_CHECK(bind_steps());
    place_fixed_values();
    assign_outputs();
    find_lifetimes();
    share_in_place();
    INTAGLIO_CHECK(lay_out_arena());
    place_barriers(*bound_, bytes_);
    bound_->dims = std::move(dims_);
    return std::shared_ptr<const BoundPlan>(std::move(bound_));
  }

 private:
  Status resolve_shapes() {
    bytes_.resize(plan_.values.size());
    root_.resize(plan_.values.size());
    Shape shape;  // reused: most of a bind would be allocations
    for (ValueId id = 0; id < plan_.values.size(); ++id) {
      const PlanValue& value = plan_.values[id];
      shape.clear();
      for (const DimId dim : value.shape) shape.push_back(dims_[dim]);
      auto bytes = byte_count(shape, value.dtype);
      if (!bytes) return fail(std::move(bytes).error().at("value '" + value.name + "'"));
      bytes_[id] = *bytes;
      root_[id] = value.kind == ValueKind::alias ? root_[value.source] : id;
      if (bytes_[id] != bytes_[root_[id]]) {
        return fail(ErrorCode::unsupported,
                    "cannot reshape " + to_string(operand(root_[id]).shape) + " to " + to_string(shape),
                    "value '" + value.name + "'");
      }
    }
    for (const Port& port : plan_.outputs) {
      bound_->output_shapes.push_back(operand(port.value).shape);
      bound_->output_bytes.push_back(bytes_[port.value]);
    }
    return {};
  }

  ops::Operand operand(ValueId id) const {
    ops::Operand out{plan_.values[id].dtype, {}};
    for (const DimId dim : plan_.values[id].shape) out.shape.push_back(dims_[dim]);
    return out;
  }

  Status bind_steps() {
    std::size_t arguments = 0;
    for (const Step& step : plan_.steps) arguments += step.inputs.size() + step.outputs.size();
    bound_->arguments.reserve(arguments);
    bound_->steps.reserve(plan_.steps.size());
    by_problem_.resize(plan_.steps.size());
    for (const Step& step : plan_.steps) {
      BoundStep bound;
      bound.op = step.prepared.get();
      bound.first_input = static_cast<std::uint32_t>(bound_->arguments.size());
      bound_->arguments.insert(bound_->arguments.end(), step.inputs.begin(), step.inputs.end());
      bound.first_output = static_cast<std::uint32_t>(bound_->arguments.size());
      bound_->arguments.insert(bound_->arguments.end(), step.outputs.begin(), step.outputs.end());
      INTAGLIO_TRY(bound.binding, bind_step(step));
      bound_->thread_scratch_bytes = std::max(bound_->thread_scratch_bytes, bound.binding->thread_scratch_bytes);
      bound_->shared_scratch_bytes = std::max(bound_->shared_scratch_bytes, bound.binding->shared_scratch_bytes);
      bound_->steps.push_back(std::move(bound));
    }
    bound_->distinct_bindings = shared_.size();
    return {};
  }

  // Equal problems (group, shapes, parameters) get one binding: a transformer binds a handful, not one per layer.
  Result<std::shared_ptr<const ops::Binding>> bind_step(const Step& step) {
    const bool numbered = step.problem < by_problem_.size();
    if (numbered && by_problem_[step.problem] != nullptr) return by_problem_[step.problem];
    INTAGLIO_TRY(auto binding, bind_by_shapes(step));
    if (numbered) by_problem_[step.problem] = binding;
    return binding;
  }

  // Different dims may have equal values.
  Result<std::shared_ptr<const ops::Binding>> bind_by_shapes(const Step& step) {
    std::vector<ops::Operand> inputs;
    std::vector<ops::Operand> outputs;
    std::vector<std::int64_t> params;
    for (ValueId id : step.inputs) inputs.push_back(operand(id));
    for (ValueId id : step.outputs) outputs.push_back(operand(id));
    for (DimId dim : step.params) params.push_back(dims_[dim]);
    std::vector<std::int64_t> key = {step.bind_group};
    for (const auto* list : {&inputs, &outputs}) {
      for (const ops::Operand& operand : *list) {
        key.push_back(-1 -
                      static_cast<std::int64_t>(operand.dtype));  // also separates the shapes: dims are not negative
        key.insert(key.end(), operand.shape.begin(), operand.shape.end());
      }
      key.push_back(std::numeric_limits<std::int64_t>::min());
    }
    key.insert(key.end(), params.begin(), params.end());
    if (const auto found = shared_.find(key); found != shared_.end()) return found->second;
    auto binding = step.prepared->bind({inputs, outputs, params, options_.threads});
    if (!binding) return fail(std::move(binding).error().at("node '" + step.node + "'"));
    std::shared_ptr<const ops::Binding> shared = *std::move(binding);
    shared_.emplace(std::move(key), shared);
    return shared;
  }

  void place_fixed_values() {
    bound_->locations.resize(plan_.values.size());
    for (ValueId id = 0; id < plan_.values.size(); ++id) {
      const PlanValue& value = plan_.values[id];
      if (value.kind == ValueKind::input) bound_->locations[id] = {Home::input, value.source, 0, nullptr};
      if (value.kind == ValueKind::constant) {
        bound_->locations[id] = {Home::constant, 0, 0, plan_.blobs[value.source].data};
      }
    }
  }

  // A temporary that becomes an output is written straight into the caller's memory; what cannot be is copied at the
  // end.
  void assign_outputs() {
    for (std::uint32_t i = 0; i < plan_.outputs.size(); ++i) {
      const ValueId root = root_[plan_.outputs[i].value];
      Location& location = bound_->locations[root];
      if (plan_.values[root].kind == ValueKind::temporary && location.home == Home::arena) {
        location = {Home::output, i, 0, nullptr};
      } else {
        bound_->copies.push_back({plan_.outputs[i].value, i, bytes_[root]});
      }
    }
  }

  bool in_arena(ValueId root) const {
    return plan_.values[root].kind == ValueKind::temporary && bound_->locations[root].home == Home::arena;
  }

  void find_lifetimes() {
    buffer_.resize(plan_.values.size());
    lifetimes_.resize(plan_.values.size());
    for (ValueId id = 0; id < plan_.values.size(); ++id) {
      buffer_[id] = id;
      lifetimes_[id] = {bytes_[id], std::numeric_limits<int>::max(), -1};
    }
    for (int i = 0; i < static_cast<int>(plan_.steps.size()); ++i) {
      const Step& step = plan_.steps[static_cast<std::size_t>(i)];
      for (const auto* list : {&step.inputs, &step.outputs}) {
        for (ValueId id : *list) {
          Lifetime& lifetime = lifetimes_[root_[id]];
          lifetime.first = std::min(lifetime.first, i);
          lifetime.last = std::max(lifetime.last, i);
        }
      }
    }
  }

  // Output 0 takes over the buffer of an input that dies at the step, where the op allows it and the sizes agree.
  void share_in_place() {
    for (int i = 0; i < static_cast<int>(plan_.steps.size()); ++i) {
      const Step& step = plan_.steps[static_cast<std::size_t>(i)];
      const ValueId out = step.outputs[0];
      if (!in_arena(out) || bytes_[out] == 0) continue;
      for (std::size_t k = 0; k < step.inputs.size(); ++k) {
        const ValueId in = root_[step.inputs[k]];
        if (!in_arena(in) || bytes_[in] != bytes_[out] || !step.prepared->may_run_in_place(k)) continue;
        const ValueId buffer = buffer_[in];
        if (lifetimes_[buffer].last != i || read_twice(step, in)) continue;
        buffer_[out] = buffer;
        lifetimes_[buffer].last = std::max(lifetimes_[buffer].last, lifetimes_[out].last);
        break;
      }
    }
  }

  bool read_twice(const Step& step, ValueId root) const {
    return std::count_if(step.inputs.begin(), step.inputs.end(), [&](ValueId id) { return root_[id] == root; }) > 1;
  }

  Status lay_out_arena() {
    std::vector<ValueId> owners;
    std::vector<Lifetime> lifetimes;
    for (ValueId id = 0; id < plan_.values.size(); ++id) {
      if (!in_arena(id) || root_[id] != id || buffer_[id] != id || lifetimes_[id].last < 0) continue;
      owners.push_back(id);
      lifetimes.push_back(lifetimes_[id]);
    }
    const ArenaLayout layout = lay_out(lifetimes);
    bound_->arena_bytes = layout.bytes;
    bound_->arena_lower_bound = layout.peak_live;
    bound_->buffers = std::move(lifetimes);
    if (layout.bytes == kUnlayable || layout.bytes > options_.max_arena_bytes) {
      const std::string need = layout.bytes == kUnlayable ? "more than 2^63" : std::to_string(layout.bytes);
      return fail(ErrorCode::unsupported, "these shapes need " + need + " bytes of activation memory; the limit is " +
                                              std::to_string(options_.max_arena_bytes));
    }
    for (std::size_t i = 0; i < owners.size(); ++i) bound_->locations[owners[i]].offset = layout.offsets[i];
    for (ValueId id = 0; id < plan_.values.size(); ++id) {
      const ValueId root = root_[id];
      if (in_arena(root))
        bound_->locations[id] = bound_->locations[buffer_[root]];
      else if (root != id)
        bound_->locations[id] = bound_->locations[root];
    }
    return {};
  }

  const Plan& plan_;
  const BindOptions& options_;
  std::shared_ptr<BoundPlan> bound_;
  std::vector<std::int64_t> dims_;
  std::vector<std::size_t> bytes_;
  std::vector<ValueId> root_;    // alias chains resolved
  std::vector<ValueId> buffer_;  // in-place chains resolved: the value whose buffer a root uses
  std::vector<Lifetime> lifetimes_;
  std::map<std::vector<std::int64_t>, std::shared_ptr<const ops::Binding>> shared_;
  std::vector<std::shared_ptr<const ops::Binding>> by_problem_;  // of steps that were bound before
};

}  // namespace

Result<std::shared_ptr<const BoundPlan>> bind(const Plan& plan, std::span<const Shape> input_shapes,
                                              const BindOptions& options) {
  return Binder(plan, options).bind(input_shapes);
}

Shape shape_of(const Plan& plan, const BoundPlan& bound, ValueId id) {
  Shape shape;
  for (const DimId dim : plan.values[id].shape) shape.push_back(bound.dims[dim]);
  return shape;
}

std::vector<std::size_t> live_bytes(const BoundPlan& bound) {
  std::vector<std::size_t> live(bound.steps.size() + 1);
  for (const Lifetime& buffer : bound.buffers) {
    const std::size_t bytes = (buffer.bytes + kAlignment - 1) / kAlignment * kAlignment;
    live[static_cast<std::size_t>(buffer.first)] += bytes;
    live[static_cast<std::size_t>(buffer.last) + 1] -= bytes;  // wraps; the sums do not
  }
  for (std::size_t i = 1; i < live.size(); ++i) live[i] += live[i - 1];
  live.pop_back();
  return live;
}

}  // namespace intaglio::plan
