#include "cli/session.h"

#include <chrono>

namespace intaglio::cli {

Session::Session(Model model) : model_(std::move(model)), context_(model_.make_context()) {}

void Session::set_inputs(std::vector<Tensor> inputs) {
  const auto& ports = model_.inputs();
  std::vector<Shape> shapes;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (inputs[i].dtype() != ports[i].dtype) {
      throw Error(ErrorCode::usage,
                  "its dtype is " + std::string(name_of(inputs[i].dtype())) + ", the model wants " +
                      std::string(name_of(ports[i].dtype)),
                  "input '" + ports[i].name + "'");
    }
    shapes.push_back(inputs[i].shape());
  }
  const std::vector<Shape> made = context_.prepare(shapes);
  std::vector<NamedTensor> outputs;
  for (std::size_t i = 0; i < made.size(); ++i) {
    const PortInfo& port = model_.outputs()[i];
    outputs.push_back({port.name, Tensor::zeros(port.dtype, made[i])});
  }
  inputs_ = std::move(inputs);
  outputs_ = std::move(outputs);
  input_views_.clear();
  for (const Tensor& tensor : inputs_) input_views_.push_back({tensor.data(), tensor.dtype(), tensor.shape()});
  output_views_.clear();
  for (const NamedTensor& named : outputs_) output_views_.push_back({named.tensor.data(), named.tensor.byte_count()});
  has_inputs_ = true;
  has_outputs_ = false;
}

std::int64_t Session::run() {
  const auto start = std::chrono::steady_clock::now();
  const Error* error = context_.run_into(input_views_, output_views_);
  const auto spent = std::chrono::steady_clock::now() - start;
  if (error != nullptr) throw *error;
  has_outputs_ = true;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count();
}

void require_holds(const Session& session, const ModelOptions& options) {
  std::vector<Shape> shapes;
  for (const Tensor& tensor : session.inputs()) shapes.push_back(tensor.shape());
  session.model().require(split_lists(options.require), shapes);
}

}  // namespace intaglio::cli
