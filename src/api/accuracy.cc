// A compiled model against the float64 interpreter.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "api/model_impl.h"

namespace intaglio {
inline namespace v1 {

namespace {

// The plan's inputs are the graph's, in the same order.
std::vector<ir::Tensor> inputs_of(const plan::Plan& plan, const MakeInputs& make) {
  std::vector<PortInfo> ports;
  std::vector<PortInfo> outputs;
  internal::describe_ports(plan, ports, outputs);
  const std::vector<NamedTensor> given = make(ports);
  std::vector<ir::Tensor> inputs;
  for (const Tensor* tensor : internal::match_inputs(ports, given)) inputs.push_back(internal::to_ir(*tensor));
  return inputs;
}

ErrorFigures to_public(const compile::ErrorFigures& error) {
  return {error.max_abs, error.rmse, error.rel_l2, error.cosine, error.odd};
}

LayerAccuracy to_public(const plan::Plan& plan, const compile::StepAccuracy& result) {
  const plan::Step& step = plan.steps[result.step];
  LayerAccuracy out;
  out.step = result.step;
  out.node = step.node;
  out.op = step.op;
  out.kernel = step.prepared->facts().kernel;
  out.dtype = internal::room_name_of(result.dtype);
  out.shape = result.shape;
  out.compared_with = result.sources;
  out.not_compared = result.not_compared;
  out.error = to_public(result.error);
  out.input_rel_l2 = result.input_rel_l2;
  return out;
}

bool worse(const LayerAccuracy& a, const LayerAccuracy& b) {
  if (a.not_compared.empty() != b.not_compared.empty()) return a.not_compared.empty();
  return a.error.rel_l2 > b.error.rel_l2;
}

}  // namespace

AccuracyReport accuracy(const std::string& path, const CompileOptions& options, const MakeInputs& make_inputs,
                        const AccuracyOptions& wish) {
  if (plan::looks_like_plan(path)) {
    throw Error(ErrorCode::usage, "'" + path + "' is a plan, which does not hold the graph to compare with", path,
                "give the model file that it was made from");
  }
  internal::unwrap(set_log_level(internal::unwrap(read_environment()).log_level));
  const compile::CompileOptions compiling = internal::to_rooms(options);
  AccuracyReport out;
  out.model = path;
  out.format = internal::unwrap(frontend::format_of(path));
  auto compiled = compile::compile_traced(internal::unwrap(frontend::import_model(path, compiling.import)),
                                          std::filesystem::path(path).filename().string(), compiling);
  if (!compiled) throw internal::to_public(std::move(compiled).error().within(path));
  const plan::Plan& plan = *compiled->plan;
  internal::check_requirements(plan, options.require);
  const std::vector<ir::Tensor> inputs = inputs_of(plan, make_inputs);
  const compile::Accuracy measured =
      internal::unwrap(compile::measure_accuracy(*compiled, inputs, {wish.layers, wish.max_bytes}));
  out.steps = static_cast<std::int64_t>(plan.steps.size());
  for (const compile::StepAccuracy& step : measured.steps) out.layers.push_back(to_public(plan, step));
  std::ranges::stable_sort(out.layers, worse);
  for (const compile::OutputAccuracy& output : measured.outputs)
    out.outputs.push_back({output.port, to_public(output.error)});
  out.compile_ms = compiled->compile_ms;
  out.run_ms = measured.run_ms;
  out.reference_ms = measured.reference_ms;
  return out;
}

}  // namespace v1
}  // namespace intaglio
