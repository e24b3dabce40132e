#include "plan/context.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

namespace intaglio::plan {

namespace {

std::size_t round_up(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// It is the shapes of this run that are too large, not this library that failed.
Result<Buffer> memory_for_shapes(std::size_t bytes, bool huge_pages) {
  auto buffer = Buffer::allocate(bytes, huge_pages);
  if (buffer) return buffer;
  return fail(ErrorCode::unsupported, "these shapes need more memory than the system gives: " + buffer.error().message,
              {}, "run smaller shapes, or fewer at once");
}

// Of all threads, of `most` that the arena left. The sizes come from the dims of a plan, which may be anything.
Result<std::size_t> scratch_bytes(const BoundPlan& bound, std::size_t most) {
  const auto threads = static_cast<std::size_t>(bound.threads);
  std::size_t total = 0;
  const bool small = bound.thread_scratch_bytes <= most && bound.shared_scratch_bytes <= most &&
                     !__builtin_mul_overflow(threads, round_up(bound.thread_scratch_bytes), &total) &&
                     !__builtin_add_overflow(total, round_up(bound.shared_scratch_bytes), &total) && total <= most;
  if (small) return total;
  return fail(ErrorCode::unsupported,
              fmt::format("these shapes need {} bytes of scratch for each of {} threads and {} "
                          "for all; the limit beside activations is {}",
                          bound.thread_scratch_bytes, threads, bound.shared_scratch_bytes, most));
}

// Ports are compared with the shapes of a binding without allocating.
bool same_shapes(const BoundPlan& bound, std::span<const InputView> inputs) {
  return std::equal(bound.input_shapes.begin(), bound.input_shapes.end(), inputs.begin(), inputs.end(),
                    [](const Shape& shape, const InputView& view) { return std::ranges::equal(shape, view.shape); });
}

std::int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

bool misaligned(const void* data, DType dtype) {
  return reinterpret_cast<std::uintptr_t>(data) % size_of(dtype) != 0;
}

}  // namespace

// What the threads of one run share.
struct Context::Region {
  const BoundPlan* bound;
  void* const* pointers;
  std::byte* thread_scratch;
  std::byte* shared_scratch;
  StepTime* times = nullptr;  // of all threads, or nullptr
  // The lowest step (its index + 1) that reported a data error; all steps run to the end, so threads stay in step.
  std::atomic<std::uint32_t> failed_step{0};

  void run(const threads::RegionThread& self) noexcept {
    StepTime* own = times + static_cast<std::size_t>(self.index) * (times != nullptr ? bound->steps.size() : 0);
    for (std::uint32_t i = 0; i < bound->steps.size(); ++i) {
      if (bound->steps[i].waits) self.barrier();
      if (times == nullptr) {
        run_step(i, self, [&] { self.barrier(); });
      } else {
        run_timed_step(i, self, own[i]);
      }
    }
  }

  // Calls next_phase() between two phases.
  template <class NextPhase>
  void run_step(std::uint32_t i, const threads::RegionThread& self, NextPhase&& next_phase) noexcept {
    const BoundStep& step = bound->steps[i];
    std::byte* scratch = thread_scratch + static_cast<std::size_t>(self.index) * round_up(bound->thread_scratch_bytes);
    const ops::RunArgs args{pointers + step.first_input, pointers + step.first_output, scratch, shared_scratch};
    for (int phase = 0; phase < step.binding->phases; ++phase) {
      if (phase != 0) next_phase();
      const ops::Worker worker{self.index, self.count, phase};
      if (step.op->run(*step.binding, args, worker) != ops::RunStatus::ok) {
        // Threads may be at different steps: the error names the first one of the plan, not of the clock.
        std::uint32_t seen = failed_step.load(std::memory_order_relaxed);
        while ((seen == 0 || i + 1 < seen) &&
               !failed_step.compare_exchange_weak(seen, i + 1, std::memory_order_relaxed)) {
        }
      }
    }
  }

  void run_timed_step(std::uint32_t i, const threads::RegionThread& self, StepTime& time) noexcept {
    time = {now_ns(), 0, 0};
    run_step(i, self, [&] {
      const std::int64_t since = now_ns();
      self.barrier();
      time.waited_ns += now_ns() - since;
    });
    time.end_ns = now_ns();
  }
};

// What value_bytes() needs while an observer is called.
struct Context::Observed {
  std::span<const InputView> inputs;
  std::span<const OutputView> outputs;
};

Context::Context(std::shared_ptr<const Plan> plan, ContextOptions options)
    : plan_(std::move(plan)), options_(std::move(options)) {}

Result<const BoundPlan*> Context::prepare(std::span<const Shape> input_shapes) {
  for (auto position = bound_.begin(); position != bound_.end(); ++position) {
    if (!std::ranges::equal((*position)->input_shapes, input_shapes)) continue;
    bound_.splice(bound_.begin(), bound_, position);
    return front();
  }
  INTAGLIO_TRY(auto bound, bind(*plan_, input_shapes, {options_.pool->size(), options_.max_arena_bytes}));
  INTAGLIO_CHECK(grow(*bound));
  bound_.push_front(std::move(bound));
  if (bound_.size() > std::max<std::size_t>(options_.cached_shapes, 1)) bound_.pop_back();
  return bound_.front().get();
}

Result<const BoundPlan*> Context::find_or_bind(std::span<const InputView> inputs) {
  for (auto position = bound_.begin(); position != bound_.end(); ++position) {
    if (!same_shapes(**position, inputs)) continue;
    bound_.splice(bound_.begin(), bound_, position);
    return front();
  }
  std::vector<Shape> shapes;
  for (const InputView& input : inputs) shapes.emplace_back(input.shape.begin(), input.shape.end());
  return prepare(shapes);
}

// Memory that an earlier failure to grow gave up is obtained again: a no-op otherwise.
Result<const BoundPlan*> Context::front() {
  INTAGLIO_CHECK(grow(*bound_.front()));
  return bound_.front().get();
}

Status Context::grow(const BoundPlan& bound) {
  // The old memory goes first: nothing of an earlier run is kept, and the two must not be held at once.
  if (bound.arena_bytes > arena_.size()) {
    arena_ = Buffer();
    INTAGLIO_TRY(arena_, memory_for_shapes(bound.arena_bytes, options_.huge_pages));
  }
  INTAGLIO_TRY(const std::size_t scratch, scratch_bytes(bound, options_.max_arena_bytes - bound.arena_bytes));
  if (scratch > scratch_.size()) {
    scratch_ = Buffer();
    INTAGLIO_TRY(scratch_, memory_for_shapes(scratch, false));
  }
  pointers_.resize(std::max(pointers_.size(), bound.arguments.size()));
  return {};
}

Status Context::check(const BoundPlan& bound, std::span<const InputView> inputs,
                      std::span<const OutputView> outputs) const {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Port& port = plan_->inputs[i];
    const DType declared = plan_->values[port.value].dtype;
    if (inputs[i].dtype != declared) {
      return fail(ErrorCode::usage,
                  fmt::format("the dtype is {}; the model wants {}", name_of(inputs[i].dtype), name_of(declared)),
                  "input '" + port.name + "'");
    }
    const bool empty = std::ranges::find(inputs[i].shape, 0) != inputs[i].shape.end();
    if ((inputs[i].data == nullptr && !empty) || misaligned(inputs[i].data, declared)) {
      return fail(
          ErrorCode::usage,
          inputs[i].data == nullptr ? "the data pointer is null" : "the data is not aligned to its element size",
          "input '" + port.name + "'");
    }
  }
  if (outputs.size() != plan_->outputs.size()) {
    return fail(ErrorCode::usage,
                fmt::format("{} outputs were given; the model has {}", outputs.size(), plan_->outputs.size()));
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Port& port = plan_->outputs[i];
    if (outputs[i].bytes < bound.output_bytes[i]) {
      return fail(ErrorCode::usage,
                  fmt::format("the memory has {} bytes; {} are needed", outputs[i].bytes, bound.output_bytes[i]),
                  "output '" + port.name + "'");
    }
    if ((outputs[i].data == nullptr && bound.output_bytes[i] != 0) ||
        misaligned(outputs[i].data, plan_->values[port.value].dtype)) {
      return fail(ErrorCode::usage, "the data pointer is null or not aligned to the element size",
                  "output '" + port.name + "'");
    }
  }
  return {};
}

namespace {

void* address(const Location& location, const std::byte* arena, std::span<const InputView> inputs,
              std::span<const OutputView> outputs) {
  switch (location.home) {
    case Home::input:
      return const_cast<void*>(inputs[location.index].data);
    case Home::constant:
      return const_cast<std::byte*>(location.data);
    case Home::output:
      return outputs[location.index].data;
    case Home::arena:
      break;
  }
  return const_cast<std::byte*>(arena) + location.offset;
}

}  // namespace

void Context::resolve(const BoundPlan& bound, std::span<const InputView> inputs, std::span<const OutputView> outputs) {
  for (std::size_t i = 0; i < bound.arguments.size(); ++i) {
    pointers_[i] = address(bound.locations[bound.arguments[i]], arena_.data(), inputs, outputs);
  }
}

// What every kind of run does before its first step ...
Result<const BoundPlan*> Context::begin(std::span<const InputView> inputs, std::span<const OutputView> outputs) {
  if (inputs.size() != plan_->inputs.size()) {
    return fail(ErrorCode::usage,
                fmt::format("{} inputs were given; the model has {}", inputs.size(), plan_->inputs.size()));
  }
  INTAGLIO_TRY(const BoundPlan* bound, find_or_bind(inputs));
  INTAGLIO_CHECK(check(*bound, inputs, outputs));
  resolve(*bound, inputs, outputs);
  return bound;
}

Context::Region Context::region_of(const BoundPlan& bound) {
  std::byte* scratch = scratch_.data();
  return {&bound, pointers_.data(), scratch + round_up(bound.shared_scratch_bytes), scratch};
}

// ... and after its last.
Status Context::end(const Region& region, std::span<const InputView> inputs,
                    std::span<const OutputView> outputs) const {
  if (const std::uint32_t failed = region.failed_step.load(); failed != 0) {
    const Step& step = plan_->steps[failed - 1];
    return fail(ErrorCode::data, "an index is out of range in the data of this run",
                "node '" + step.node + "' (" + step.op + ")", "check the values of the integer inputs");
  }
  for (const OutputCopy& copy : region.bound->copies) {
    if (copy.bytes == 0) continue;
    std::memcpy(outputs[copy.output].data, address(region.bound->locations[copy.from], arena_.data(), inputs, outputs),
                copy.bytes);
  }
  return {};
}

Status Context::run(std::span<const InputView> inputs, std::span<const OutputView> outputs) {
  INTAGLIO_TRY(const BoundPlan* bound, begin(inputs, outputs));
  Region region = region_of(*bound);
  options_.pool->run(region);
  return end(region, inputs, outputs);
}

Status Context::run_timed(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                          std::span<StepTime> times) {
  const std::size_t needed = static_cast<std::size_t>(threads()) * plan_->steps.size();
  if (times.size() != needed) {
    return fail(ErrorCode::usage, fmt::format("room for {} times was given; {} are needed", times.size(), needed));
  }
  INTAGLIO_TRY(const BoundPlan* bound, begin(inputs, outputs));
  std::ranges::fill(times, StepTime());
  Region region = region_of(*bound);
  region.times = times.data();
  options_.pool->run(region);
  return end(region, inputs, outputs);
}

Status Context::run_observed(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                             const StepObserver& observer) {
  INTAGLIO_TRY(const BoundPlan* bound, begin(inputs, outputs));
  Region region = region_of(*bound);
  const Observed observed{inputs, outputs};
  // Also when the observer throws.
  const std::unique_ptr<const Observed*, void (*)(const Observed**)> forget(
      &observed_, [](const Observed** pointer) { *pointer = nullptr; });
  observed_ = &observed;
  for (std::uint32_t i = 0; i < bound->steps.size() && region.failed_step.load() == 0; ++i) {
    region.run_step(i, threads::RegionThread(), [] {});
    if (region.failed_step.load() == 0) observer(i);
  }
  return end(region, inputs, outputs);
}

std::span<const std::byte> Context::value_bytes(ValueId id) const {
  if (observed_ == nullptr) return {};
  const BoundPlan& bound = *bound_.front();
  const PlanValue& value = plan_->values[id];
  std::size_t bytes = size_of(value.dtype);  // the product was checked when the plan was bound
  for (const DimId dim : value.shape) bytes *= static_cast<std::size_t>(bound.dims[dim]);
  const void* data = address(bound.locations[id], arena_.data(), observed_->inputs, observed_->outputs);
  return {static_cast<const std::byte*>(data), bytes};
}

}  // namespace intaglio::plan
