// A compiled model against the float64 interpreter.
#include <algorithm>
#include <cmath>

#include "api/model_impl.h"

namespace intaglio {
inline namespace v1 {

namespace {

std::vector<ir::Tensor> graph_inputs(const ir::Graph& graph, const std::vector<NamedTensor>& given) {
  std::vector<PortInfo> ports;
  for (const ir::Port& port : graph.inputs()) ports.push_back({port.name, DType::f32, {}, 0});
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

AccuracyReport accuracy(const std::string& path, const CompileOptions& options, const std::vector<NamedTensor>& inputs,
                        const AccuracyOptions& wish) {
  if (plan::looks_like_plan(path)) {
    throw Error(ErrorCode::usage, "'" + path + "' is a plan, which does not hold the graph to compare with", path,
                "give the model file that it was made from");
  }
  compile::AccuracyOptions rooms{internal::to_rooms(options), wish.layers, wish.max_bytes};
  AccuracyReport out;
  out.model = path;
  out.format = internal::unwrap(frontend::format_of(path));
  ir::Graph graph = internal::unwrap(frontend::import_model(path, rooms.compile.import));
  const std::vector<ir::Tensor> ordered = graph_inputs(graph, inputs);
  const compile::Accuracy measured = internal::unwrap(compile::measure_accuracy(std::move(graph), ordered, rooms));
  out.steps = static_cast<std::int64_t>(measured.plan->steps.size());
  for (const compile::StepAccuracy& step : measured.steps) out.layers.push_back(to_public(*measured.plan, step));
  std::ranges::stable_sort(out.layers, worse);
  for (const compile::OutputAccuracy& output : measured.outputs)
    out.outputs.push_back({output.port, to_public(output.error)});
  out.compile_ms = measured.compile_ms;
  out.run_ms = measured.run_ms;
  out.reference_ms = measured.reference_ms;
  return out;
}

}  // namespace v1
}  // namespace intaglio
