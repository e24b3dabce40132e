// One caller's state for running a plan: bindings of recent shapes, the arena, scratch. One context per concurrent
// caller; contexts share the plan (weights once) and may share a pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include "base/alloc.h"
#include "plan/binding.h"
#include "plan/plan.h"
#include "threads/pool.h"

namespace intaglio::plan {

// A tensor of the caller: row-major, dense, aligned to its element size, alive and unchanged during the run.
struct InputView {
  const void* data = nullptr;
  DType dtype = DType::f32;
  std::span<const std::int64_t> shape;
};
// Memory of the caller for one output; at least as large as the output (see Context::prepare); must not overlap inputs
// or other outputs: threads are at different steps at one time.
struct OutputView {
  void* data = nullptr;
  std::size_t bytes = 0;
};

struct ContextOptions {
  std::shared_ptr<threads::Pool> pool;                  // required
  std::size_t cached_shapes = 32;                       // bindings kept, least recently used first out
  std::size_t max_arena_bytes = std::size_t{64} << 30;  // with the scratch of all threads; checked before allocating
  bool huge_pages = true;                               // for the arena; plain pages where refused
};

// One thread's part of one step, in nanoseconds of a monotonic clock (std::chrono::steady_clock). What lies between the
// end of a step and the begin of the next one is waiting for other threads, where the step waits (BoundStep::waits).
// All zero: the thread took no part.
struct StepTime {
  std::int64_t begin_ns = 0, end_ns = 0;
  std::int64_t waited_ns = 0;  // of end - begin: for the other threads between the phases of the step
};

// Told the index of the step that has just run; see Context::run_observed.
using StepObserver = std::function<void(std::uint32_t step)>;

class Context {
 public:
  Context(std::shared_ptr<const Plan> plan, ContextOptions options);

  // Binds these input shapes (cached) and makes the arena large enough; after that, runs of these shapes allocate
  // nothing. The result lives until `cached_shapes` other shapes were used. Errors: as bind_dims;
  // unsupported (more memory than the limit, or than the system gives).
  Result<const BoundPlan*> prepare(std::span<const Shape> input_shapes);

  // Runs once; prepares first if the shapes are new. Inputs and outputs in the order of the plan's ports. Not thread
  // safe. Errors: usage (dtype, rank, dim, null or misaligned pointer, an output too small; names the port),
  // unsupported (a dim outside its range), data (an index out of range in a step; names the node; outputs are then
  // unspecified).
  Status run(std::span<const InputView> inputs, std::span<const OutputView> outputs);

  // The same run, each step timed on each thread: times[thread * plan().steps.size() + step], `threads()` times as many
  // as there are steps (else usage). A run that finds the pool busy is alone: the other threads' times are then zero.
  // For prepared shapes nothing is allocated; a time costs two readings of the clock (some 50 ns).
  Status run_timed(std::span<const InputView> inputs, std::span<const OutputView> outputs, std::span<StepTime> times);

  // The same run on the calling thread alone, with the same bits; the observer is called after every step and may read
  // values through value_bytes(). What it throws ends the run and is passed on. A step with a data error ends the run
  // too, unobserved. Copies of outputs (BoundPlan::copies) are made after the last step.
  Status run_observed(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                      const StepObserver& observer);

  // The bytes of a value inside run_observed's observer: inputs, constants, and what a step has written and no later
  // one has overwritten yet (certain for the outputs of the step just run). Row-major, as large as the value. Empty
  // outside of run_observed.
  std::span<const std::byte> value_bytes(ValueId id) const;
  // The binding of the run under way or of the latest one; nullptr before the first.
  const BoundPlan* bound() const { return bound_.empty() ? nullptr : bound_.front().get(); }

  const Plan& plan() const { return *plan_; }
  int threads() const { return options_.pool->size(); }
  std::size_t arena_bytes() const { return arena_.size() + scratch_.size(); }

 private:
  struct Region;
  struct Observed;
  Result<const BoundPlan*> find_or_bind(std::span<const InputView> inputs);
  Status check(const BoundPlan& bound, std::span<const InputView> inputs, std::span<const OutputView> outputs) const;
  Result<const BoundPlan*> front();
  Status grow(const BoundPlan& bound);
  void resolve(const BoundPlan& bound, std::span<const InputView> inputs, std::span<const OutputView> outputs);
  Result<const BoundPlan*> begin(std::span<const InputView> inputs, std::span<const OutputView> outputs);
  Region region_of(const BoundPlan& bound);
  Status end(const Region& region, std::span<const InputView> inputs, std::span<const OutputView> outputs) const;

  std::shared_ptr<const Plan> plan_;
  ContextOptions options_;
  std::list<std::shared_ptr<const BoundPlan>> bound_;  // most recently used first
  Buffer arena_, scratch_;
  std::vector<void*> pointers_;  // of BoundPlan::arguments, for the current run
  const Observed* observed_ = nullptr;
};

}  // namespace intaglio::plan
