// An explanation as tables.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/explain.h"

namespace intaglio::cli {

namespace {

std::string count_text(double value) {
  if (value >= 1e9) return fmt::format("{:.2f} G", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.2f} M", value / 1e6);
  return value >= 1e3 ? fmt::format("{:.1f} k", value / 1e3) : fmt::format("{:.0f}", value);
}

// Names of many merged nodes are long: their end says most.
std::string shortened(const std::string& name, std::size_t most) {
  return name.size() <= most ? name : "..." + name.substr(name.size() - most + 3);
}

std::string time_text(const std::optional<double>& us) {
  return us ? fmt::format("{:.1f}", *us) : "";
}

std::string steps_text(const Explanation& e) {
  std::vector<std::vector<std::string>> rows;
  for (const ExplainedStep& step : e.steps) {
    const std::string threads = std::to_string(step.threads) + (step.split.empty() ? "" : ": " + step.split);
    rows.push_back({std::to_string(rows.size()), step.op, step.kernel, step.isa, step.epilogue, step.blocking, threads,
                    count_text(step.flops), count_text(step.bytes), time_text(step.predicted_us),
                    time_text(step.measured_us),
                    step.roofline_percent ? fmt::format("{:.0f}%", *step.roofline_percent) : "", step.roof,
                    shortened(step.node, 48)});
  }
  return table_text({">", "op", "kernel", "isa", "epilogue", "blocking", "threads", ">flops", ">bytes", ">predicted us",
                     ">measured us", ">roofline", "limit", "node"},
                    rows);
}

std::string layers_text(const Explanation& e) {
  std::vector<std::vector<std::string>> rows;
  for (const LayerTime& layer : layer_times(e)) {
    rows.push_back({layer.name.empty() ? "(no module)" : layer.name, std::to_string(layer.steps),
                    fmt::format("{:.1f}", layer.predicted_us), fmt::format("{:.1f}", layer.measured_us),
                    fmt::format("{:.1f}%", e.run_us > 0 ? 100 * layer.measured_us / e.run_us : 0.0)});
  }
  return "\n" + table_text({"layer", ">steps", ">predicted us", ">measured us", ">of the run"}, rows);
}

std::string machine_text(const Explanation& e) {
  std::string text;
  for (const DoctorMeasurement& m : e.machine)
    text += fmt::format("{}{} {:.0f} {}", text.empty() ? "" : ", ", m.name, m.value, m.unit);
  return "one core, measured: " + text + "\n";
}

std::string weights_text(const Explanation& e) {
  std::string text =
      fmt::format("\nweights {}: {} packed ({}); this process packed {}, and {} since", megabytes(e.weight_bytes),
                  e.packed_weights, megabytes(e.packed_bytes), e.packs, e.packs_since);
  if (e.huge_page_bytes != 0) text += fmt::format(", {} on huge pages", megabytes(e.huge_page_bytes));
  if (!e.huge_pages_refused.empty()) text += "; huge pages: " + e.huge_pages_refused;
  return text;
}

std::string reasons_text(const Explanation& e) {
  std::map<std::string, int> fired;
  for (const FiredFusion& fusion : e.fusions) ++fired[fusion.pattern];
  std::string text = fmt::format("\nfusions: {}\n", e.fusions.size());
  for (const auto& [pattern, count] : fired) text += fmt::format("  {:4} x {}\n", count, pattern);
  text += fmt::format("near misses: {}\n", e.near_misses.size());
  for (const NearMiss& miss : e.near_misses) {
    text += "  " + miss.pattern + " at " + miss.node + ": " + miss.reason;
    text += miss.cost_us ? fmt::format(" (costs about {:.1f} us)\n", *miss.cost_us) : "\n";
  }
  text += fmt::format("fallbacks: {}\n", e.fallbacks.size());
  for (const Fallback& fallback : e.fallbacks) text += "  " + fallback.node + ": " + fallback.reason + "\n";
  if (!e.kept_float.empty()) text += fmt::format("linears kept in floating point: {}\n", e.kept_float.size());
  for (const KeptFloat& kept : e.kept_float) text += "  " + kept.node + ": " + kept.rule + "\n";
  return text;
}

}  // namespace

std::vector<LayerTime> layer_times(const Explanation& explanation) {
  std::vector<LayerTime> layers;
  for (const ExplainedStep& step : explanation.steps) {
    auto found = std::ranges::find(layers, step.layer, &LayerTime::name);
    if (found == layers.end()) found = layers.insert(layers.end(), LayerTime{step.layer, 0, 0, 0});
    ++found->steps;
    found->predicted_us += step.predicted_us.value_or(0);
    found->measured_us += step.measured_us.value_or(0);
  }
  return layers;
}

std::string explain_text(const Explained& told) {
  const Explanation& e = told.explanation;
  std::string text = steps_text(e);
  if (e.runs > 0) text += layers_text(e);
  text += fmt::format("\n{}, quantize {}, {} thread{}", told.facts.dtype, told.facts.quantize, e.threads,
                      e.threads == 1 ? "" : "s");
  if (e.runs > 0) text += fmt::format("; a run takes {}, the median of {}", milliseconds(e.run_us / 1e3), e.runs);
  text += "\n";
  if (!e.machine.empty()) text += machine_text(e);
  text += fmt::format("{} steps of {} distinct bindings, {} barriers a run, arena {} (lower bound {})", e.steps.size(),
                      e.bindings, e.barriers, megabytes(e.arena_bytes), megabytes(e.arena_lower_bound_bytes));
  return text + weights_text(e) + "\n" + reasons_text(e);
}

}  // namespace intaglio::cli
