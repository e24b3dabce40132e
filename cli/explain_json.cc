// intaglio.explain/1.
#include "cli/explain.h"

namespace intaglio::cli {

namespace {

Json number(const std::optional<double>& value) {
  return value ? Json(*value) : Json();
}

Json shapes_json(const Explained& told) {
  Json out = Json::object();
  for (std::size_t i = 0; i < told.shapes.size(); ++i) out[told.ports[i].name] = told.shapes[i];
  return out;
}

Json steps_json(const Explanation& e) {
  Json out = Json::array();
  for (const ExplainedStep& step : e.steps) {
    out.push_back({{"node", step.node},
                   {"origin", step.origin},
                   {"op", step.op},
                   {"kernel", step.kernel},
                   {"isa", step.isa},
                   {"blocking", step.blocking},
                   {"epilogue", step.epilogue},
                   {"threads", step.threads},
                   {"predicted_us", number(step.predicted_us)},
                   {"measured_us", number(step.measured_us)},
                   {"roofline_percent", number(step.roofline_percent)},
                   {"roof", step.roof},
                   {"products", step.products},
                   {"split", step.split},
                   {"layer", step.layer},
                   {"flops", step.flops},
                   {"bytes", step.bytes},
                   {"arena_bytes", step.arena_bytes}});
  }
  return out;
}

Json layers_json(const Explanation& e) {
  Json out = Json::array();
  for (const LayerTime& layer : layer_times(e)) {
    out.push_back({{"layer", layer.name},
                   {"steps", layer.steps},
                   {"predicted_us", layer.predicted_us},
                   {"measured_us", e.runs > 0 ? Json(layer.measured_us) : Json()}});
  }
  return out;
}

void add_reasons(const Explanation& e, Json& json) {
  json["fusions"] = Json::array();
  for (const FiredFusion& fusion : e.fusions)
    json["fusions"].push_back({{"pattern", fusion.pattern}, {"node", fusion.node}});
  json["near_misses"] = Json::array();
  for (const NearMiss& miss : e.near_misses) {
    json["near_misses"].push_back(
        {{"pattern", miss.pattern}, {"node", miss.node}, {"reason", miss.reason}, {"cost_us", number(miss.cost_us)}});
  }
  json["fallbacks"] = Json::array();
  for (const Fallback& fallback : e.fallbacks)
    json["fallbacks"].push_back({{"node", fallback.node}, {"reason", fallback.reason}});
  json["kept_float"] = kept_float_json(e.kept_float);
}

}  // namespace

Json explain_json(const Explained& told) {
  const Explanation& e = told.explanation;
  Json json = {{"schema", "intaglio.explain/1"},
               {"model", told.model},
               {"dtype", told.facts.dtype},
               {"quantize", told.facts.quantize},
               {"threads", e.threads},
               {"shapes", shapes_json(told)},
               {"runs", e.runs},
               {"run_us", e.runs > 0 ? Json(e.run_us) : Json()}};
  json["steps"] = steps_json(e);
  json["layers"] = layers_json(e);
  add_reasons(e, json);
  json["machine"] = Json::array();
  for (const DoctorMeasurement& m : e.machine)
    json["machine"].push_back({{"name", m.name}, {"value", m.value}, {"unit", m.unit}});
  json["weight_bytes"] = e.weight_bytes;
  json["packing"] = {
      {"weights", e.packed_weights}, {"bytes", e.packed_bytes}, {"packs", e.packs}, {"packs_since", e.packs_since}};
  json["huge_pages"] = huge_pages_json(told.facts, told.huge_pages);
  json["bindings"] = e.bindings;
  json["barriers"] = e.barriers;
  json["arena_bytes"] = e.arena_bytes;
  json["arena_lower_bound_bytes"] = e.arena_lower_bound_bytes;
  return json;
}

}  // namespace intaglio::cli
