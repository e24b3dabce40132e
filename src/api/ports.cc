// What users see of a plan's inputs and outputs.
#include "api/model_impl.h"

namespace intaglio::internal {

namespace {

v1::DimInfo describe_dim(const plan::Plan& plan, const Dim& dim) {
  v1::DimInfo info;
  info.text = dim.to_string();
  if (const auto constant = dim.constant()) {
    info.size = info.min = info.max = *constant;
    return info;
  }
  const SymbolRange range = dim.bounds(plan.symbols);
  info.min = range.min;
  info.max = range.max;
  info.symbol = dim.as_symbol().value_or("");
  return info;
}

v1::PortInfo describe_port(const plan::Plan& plan, const plan::Port& port) {
  const plan::PlanValue& value = plan.values[port.value];
  v1::PortInfo info{port.name, to_public(value.dtype), {}, 0};
  for (plan::DimId dim : value.shape) info.dims.push_back(describe_dim(plan, plan.dims[dim]));
  return info;
}

// An input that a gather reads as its indices must stay within the gathered dim.
void set_index_limits(const plan::Plan& plan, std::vector<v1::PortInfo>& inputs) {
  for (const plan::Step& step : plan.steps) {
    const auto* gather = dynamic_cast<const ops::GatherDescriptor*>(step.descriptor.get());
    if (gather == nullptr || gather->kind != ops::GatherKind::gather || step.inputs.size() != 2) continue;
    const plan::ValueId index = plan::root_of(plan, step.inputs[1]);
    if (plan.values[index].kind != plan::ValueKind::input) continue;
    const auto& shape = plan.values[step.inputs[0]].shape;
    const auto axis = static_cast<std::size_t>(gather->axis);
    const auto limit = axis < shape.size() ? plan.dims[shape[axis]].constant() : std::nullopt;
    if (!limit) continue;
    std::int64_t& known = inputs[plan.values[index].source].index_limit;
    known = known == 0 ? *limit : std::min(known, *limit);
  }
}

}  // namespace

void describe_ports(const plan::Plan& plan, std::vector<v1::PortInfo>& inputs, std::vector<v1::PortInfo>& outputs) {
  for (const plan::Port& port : plan.inputs) inputs.push_back(describe_port(plan, port));
  for (const plan::Port& port : plan.outputs) outputs.push_back(describe_port(plan, port));
  set_index_limits(plan, inputs);
}

}  // namespace intaglio::internal
