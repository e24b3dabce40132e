// What a Model and a Context hold. Included after api/rooms.h.
#pragma once

#include <mutex>

#include "api/rooms.h"

namespace intaglio {
inline namespace v1 {

struct Model::Impl {
  std::shared_ptr<const plan::Plan> plan;
  std::shared_ptr<threads::Pool> pool;
  std::vector<PortInfo> inputs, outputs;
  ModelFacts facts;
  std::size_t packs_when_made = 0;  // by the counter of the process

  // Contexts of run(): taken by one caller at a time, given back afterwards.
  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<plan::Context>> idle;
};

struct Context::Impl {
  std::unique_ptr<plan::Context> context;
  std::vector<plan::InputView> inputs;  // kept between runs, so that a run allocates nothing
  std::vector<plan::OutputView> outputs;
  std::optional<v1::Error> error;

  void set_views(std::span<const TensorView> in, std::span<const MutableView> out);
};

struct ModelAccess {
  static Model make(std::shared_ptr<const Model::Impl> impl) { return Model(std::move(impl)); }
};

}  // namespace v1

namespace internal {

// The ports of a plan with declared ranges and index limits.
void describe_ports(const plan::Plan& plan, std::vector<v1::PortInfo>& inputs, std::vector<v1::PortInfo>& outputs);

// Checks --require style lists, at the shapes of `bound` if there are any. Throws v1::Error: usage for an unknown word,
// requirement with the nodes that fall short.
void check_requirements(const plan::Plan& plan, const std::vector<std::string>& require,
                        const plan::BoundPlan* bound = nullptr);

// Measures the machine before and after timing `runs` >= 1 runs, and predicts what the steps should take on it.
void add_times(const v1::Model& model, const plan::Plan& plan, const plan::BoundPlan& bound,
               std::span<const v1::TensorView> inputs, int runs, v1::Explanation& out);

// The threads of the model, and no more memory than contexts may have.
plan::BindOptions bind_options(const v1::Model::Impl& impl);
std::unique_ptr<plan::Context> new_context(const v1::Model::Impl& impl);

// The rooms' options for these. Throws v1::Error (usage).
compile::CompileOptions to_rooms(const v1::CompileOptions& options);
// Shares the bytes with the caller's tensor.
ir::Tensor to_ir(const v1::Tensor& tensor);
// The inputs in the model's order; of the ports only the names matter. Throws v1::Error (usage): missing, unknown,
// twice.
std::vector<const v1::Tensor*> match_inputs(const std::vector<v1::PortInfo>& ports,
                                            const std::vector<v1::NamedTensor>& given);

}  // namespace internal
}  // namespace intaglio
