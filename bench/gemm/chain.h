// A linear and the passes around it, bound to one problem and a number of threads: what is timed.
#pragma once

#include <memory>
#include <vector>

#include "bench/gemm/layer.h"
#include "threads/pool.h"

namespace intaglio::bench {

class Chain {
 public:
  // The layer and the problem must outlive it. Errors: what the engine cannot bind (unsupported).
  static Result<Chain> bind(const Layer& layer, const Weights& weights, const Problem& problem, int threads, bool cold);

  // One run after the other on the calling thread, or on all threads of the pool; the weights take turns.
  void run(std::size_t iterations, threads::Pool* pool);

  // The result as a number, codes with their scales applied.
  double result(std::int64_t row, std::int64_t column) const;
  // Of the fixed scale of an 8-bit result: beyond it lies saturation. Infinity otherwise.
  double largest() const;
  // The largest distance from the samples, relative to their scale. Row maxima count as far off if they are smaller
  // than a sample or belong to no element.
  double error() const;
  double bind_microseconds() const { return bind_microseconds_; }

 private:
  struct Value {
    ops::Operand type;
    const std::byte* data = nullptr;
    Buffer own;
  };
  struct Step {
    std::unique_ptr<ops::PreparedOp> pass;       // or else
    std::vector<const ops::PreparedOp*> linear;  // in turn
    std::unique_ptr<const ops::Binding> binding;
    std::vector<std::size_t> from, to;  // values
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
  };
  Result<std::size_t> add_value(DType dtype, Shape shape);
  std::size_t add_outside(const ops::Operand& type, const std::byte* data);
  Status add_quantise(std::size_t& x, std::vector<std::size_t>& linear_inputs);
  Status add_linear(const Layer& layer, std::vector<std::size_t> inputs, bool cold);
  Status add_finish(const Layer& layer, const Weights& weights, std::optional<std::size_t> row_scale);
  Status add_requantise();
  Status bind_step(Step step, const ops::PreparedOp& op);
  Status allocate_scratch();
  void work(std::size_t iterations, const threads::RegionThread& thread) noexcept;

  const Problem* problem_ = nullptr;
  const Weights* weights_ = nullptr;
  int threads_ = 1;
  std::vector<std::unique_ptr<Value>> values_;
  std::vector<Step> steps_;
  std::vector<Buffer> scratch_;  // of each thread, then the shared one
  std::size_t y_ = 0;
  std::optional<std::size_t> row_scale_, row_max_;  // of an 8-bit result
  std::size_t turn_ = 0;
  double bind_microseconds_ = 0;
};

}  // namespace intaglio::bench
