// Binding a plan to concrete input shapes: symbols → dims → per-step bindings → arena. Done once per distinct shape and
// kept in a context's LRU; a bound run allocates nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/shape.h"
#include "plan/arena.h"
#include "plan/plan.h"

namespace intaglio::plan {

// Values of all symbols and then of all dims of the plan for these input shapes (in the order of plan.inputs).
// Errors: usage (wrong number of inputs, wrong rank, a fixed dim that differs; names the input and the dim),
// unsupported (a symbol outside its declared range; a guard that does not hold).
Result<std::vector<std::int64_t>> bind_dims(const Plan& plan, std::span<const Shape> input_shapes);

// Where the bytes of a value live during a run.
enum class Home : std::uint8_t { input, constant, arena, output };
struct Location {
  Home home = Home::arena;
  std::uint32_t index = 0;          // of the input or output port
  std::size_t offset = 0;           // into the arena
  const std::byte* data = nullptr;  // constants
};

// Copies that remain: outputs which are inputs, constants, or the same bytes as another output.
struct OutputCopy {
  ValueId from = 0;
  std::uint32_t output = 0;
  std::size_t bytes = 0;
};

struct BoundStep {
  const ops::PreparedOp* op = nullptr;
  std::shared_ptr<const ops::Binding> binding;
  std::uint32_t first_input = 0;  // into BoundPlan::arguments
  std::uint32_t first_output = 0;
  bool waits = false;  // all threads wait for each other before the step
};

struct BoundPlan {
  std::vector<Shape> input_shapes;  // the key
  std::vector<std::int64_t> dims;   // values of Plan::dims
  int threads = 1;
  std::vector<Shape> output_shapes;
  std::vector<std::size_t> output_bytes;
  std::vector<BoundStep> steps;
  std::size_t barriers = 0;           // of one run: before steps and between phases
  std::size_t distinct_bindings = 0;  // how many problems the steps are: bind() of an op was called so often
  std::vector<ValueId> arguments;     // operands of all steps, inputs then outputs
  std::vector<Location> locations;    // of every value
  std::vector<OutputCopy> copies;
  std::vector<Lifetime> buffers;  // of the arena
  std::size_t arena_bytes = 0;
  std::size_t arena_lower_bound = 0;  // the most bytes alive at once
  std::size_t thread_scratch_bytes = 0;
  std::size_t shared_scratch_bytes = 0;
};

struct BindOptions {
  int threads = 1;
  std::size_t max_arena_bytes = std::size_t{64} << 30;  // checked before allocating
};

// Bindings shared between equal problems (BoundStep::binding points to the same object).
Result<std::shared_ptr<const BoundPlan>> bind(const Plan& plan, std::span<const Shape> input_shapes,
                                              const BindOptions& options);

// The shape of a value under a binding of its plan.
Shape shape_of(const Plan& plan, const BoundPlan& bound, ValueId id);

// Bytes of the arena that hold something at each step, scratch not counted: one number per step.
std::vector<std::size_t> live_bytes(const BoundPlan& bound);

}  // namespace intaglio::plan
