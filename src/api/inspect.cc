// What a file holds, without compiling it.
#include "api/model_impl.h"

namespace intaglio {
inline namespace v1 {

namespace {

Inspection inspect_model(const std::string& path) {
  frontend::ModelSummary summary = internal::unwrap(frontend::summarise_model(path));
  Inspection out;
  out.format = std::move(summary.format);
  out.version = std::move(summary.version);
  out.producer = std::move(summary.producer);
  for (auto& port : summary.inputs)
    out.inputs.push_back({std::move(port.name), std::move(port.dtype), std::move(port.shape)});
  for (auto& port : summary.outputs)
    out.outputs.push_back({std::move(port.name), std::move(port.dtype), std::move(port.shape)});
  out.ops = std::move(summary.ops);
  out.dtypes = std::move(summary.dtypes);
  out.parameters = summary.parameters;
  out.weight_bytes = summary.weight_bytes;
  for (auto& op : summary.unsupported) out.unsupported.push_back({std::move(op.op), std::move(op.nodes)});
  return out;
}

std::vector<InspectedPort> inspect_ports(const std::vector<PortInfo>& ports) {
  std::vector<InspectedPort> out;
  for (const PortInfo& port : ports) {
    out.push_back({port.name, std::string(v1::name_of(port.dtype)), {}});
    for (const DimInfo& dim : port.dims) out.back().shape.push_back(dim.text);
  }
  return out;
}

Inspection inspect_plan(const std::string& path, bool verify) {
  const EnvOptions environment = internal::unwrap(read_environment());
  const ops::Target target = internal::unwrap(ops::host_target());
  const auto plan = internal::unwrap(plan::load(path, ops::own_candidates(), target, {verify || environment.verify}));
  Inspection out;
  out.format = "plan";
  out.version = "plan " + std::to_string(plan::kPlanVersion);
  out.producer = "intaglio, from " + plan->report.model;
  std::vector<PortInfo> inputs;
  std::vector<PortInfo> outputs;
  internal::describe_ports(*plan, inputs, outputs);
  out.inputs = inspect_ports(inputs);
  out.outputs = inspect_ports(outputs);
  for (const plan::Step& step : plan->steps) ++out.ops[step.op];
  for (const ops::Blob& blob : plan->blobs) out.dtypes[blob.layout] += static_cast<std::int64_t>(blob.bytes);
  out.weight_bytes = plan->weight_bytes();
  return out;
}

}  // namespace

Inspection inspect(const std::string& path, bool verify) {
  return plan::looks_like_plan(path) ? inspect_plan(path, verify) : inspect_model(path);
}

}  // namespace v1
}  // namespace intaglio
