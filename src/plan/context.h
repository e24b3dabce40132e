// One caller's state for running a plan: bindings of recent shapes, the arena, scratch. One context per concurrent
// caller; contexts share the plan (weights once) and may share a pool.
#pragma once

#include <cstddef>
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
// Memory of the caller for one output; at least as large as the output (see Context::prepare); must not overlap inputs.
struct OutputView {
  void* data = nullptr;
  std::size_t bytes = 0;
};

struct ContextOptions {
  std::shared_ptr<threads::Pool> pool;  // required
  std::size_t cached_shapes = 32;       // bindings kept, least recently used first out
  std::size_t max_arena_bytes = std::size_t{64} << 30;
  bool huge_pages = true;  // for the arena; plain pages where refused
};

class Context {
 public:
  Context(std::shared_ptr<const Plan> plan, ContextOptions options);

  // Binds these input shapes (cached) and makes the arena large enough; after that, runs of these shapes allocate
  // nothing. The result lives until `cached_shapes` other shapes were used. Errors: as bind_dims; out of memory.
  Result<const BoundPlan*> prepare(std::span<const Shape> input_shapes);

  // Runs once; prepares first if the shapes are new. Inputs and outputs in the order of the plan's ports. Not thread
  // safe. Errors: usage (dtype, rank, dim, null or misaligned pointer, an output too small; names the port),
  // unsupported (a dim outside its range), data (an index out of range in a step; names the node; outputs are then
  // unspecified).
  Status run(std::span<const InputView> inputs, std::span<const OutputView> outputs);

  const Plan& plan() const { return *plan_; }
  std::size_t arena_bytes() const { return arena_.size() + scratch_.size(); }

 private:
  struct Region;
  Result<const BoundPlan*> find_or_bind(std::span<const InputView> inputs);
  Status check(const BoundPlan& bound, std::span<const InputView> inputs, std::span<const OutputView> outputs) const;
  Result<const BoundPlan*> front();
  Status grow(const BoundPlan& bound);
  void resolve(const BoundPlan& bound, std::span<const InputView> inputs, std::span<const OutputView> outputs);

  std::shared_ptr<const Plan> plan_;
  ContextOptions options_;
  std::list<std::shared_ptr<const BoundPlan>> bound_;  // most recently used first
  Buffer arena_, scratch_;
  std::vector<void*> pointers_;  // of BoundPlan::arguments, for the current run
};

}  // namespace intaglio::plan
