// A model with inputs, ready to run again and again: what `run`, `bench` and the worker share.
#pragma once

#include <cstdint>
#include <vector>

#include "cli/options.h"
#include "intaglio/intaglio.h"

namespace intaglio::cli {

class Session {
 public:
  explicit Session(Model model);
  const Model& model() const { return model_; }
  bool has_inputs() const { return has_inputs_; }
  bool has_outputs() const { return has_outputs_; }

  // Inputs in the model's order. Checks dtypes, ranks and dims, and allocates the outputs; if that throws Error (usage,
  // unsupported), the inputs before stay.
  void set_inputs(std::vector<Tensor> inputs);

  // Runs once and returns the nanoseconds from before the call to after its outputs are complete. Allocates nothing.
  // Throws Error.
  std::int64_t run();
  // Runs `runs` times with the times of every step; see Context::profile. Throws Error.
  Profile profile(int runs) { return context_.profile(input_views_, output_views_, runs); }
  // Those of the latest run.
  const std::vector<NamedTensor>& outputs() const { return outputs_; }
  const std::vector<Tensor>& inputs() const { return inputs_; }
  std::size_t arena_bytes() const { return context_.arena_bytes(); }

 private:
  Model model_;
  Context context_;
  std::vector<Tensor> inputs_;
  std::vector<NamedTensor> outputs_;
  std::vector<TensorView> input_views_;
  std::vector<MutableView> output_views_;
  bool has_inputs_ = false, has_outputs_ = false;
};

// --require, for the kernels that the session's inputs get. Throws Error (requirement).
void require_holds(const Session& session, const ModelOptions& options);

}  // namespace intaglio::cli
