// intaglio explain: every step of a compiled model, and what was nearly better.
#include <fmt/format.h>

#include <memory>

#include "cli/inputs.h"
#include "cli/options.h"
#include "cli/report.h"

namespace intaglio::cli {

namespace {

struct ExplainOptions : ModelOptions {
  std::string format;
};

struct Explained {
  Explanation explanation;
  ModelFacts facts;
  std::vector<PortInfo> ports;
  std::vector<Shape> shapes;  // empty: without shapes
};

Json shapes_json(const Explained& told) {
  Json out = Json::object();
  for (std::size_t i = 0; i < told.shapes.size(); ++i) out[told.ports[i].name] = told.shapes[i];
  return out;
}

Json report_json(const ExplainOptions& options, const Explained& told) {
  const Explanation& e = told.explanation;
  const bool bound = !told.shapes.empty();
  Json json = {{"schema", "intaglio.explain/1"}, {"model", options.model}, {"shapes", shapes_json(told)}};
  json["steps"] = Json::array();
  for (const ExplainedStep& step : e.steps) {
    json["steps"].push_back({{"node", step.node},
                             {"origin", step.origin},
                             {"op", step.op},
                             {"kernel", step.kernel},
                             {"isa", step.isa},
                             {"blocking", step.blocking},
                             {"epilogue", step.epilogue},
                             {"threads", step.threads},
                             {"flops", bound ? Json(step.flops) : Json()},
                             {"bytes", bound ? Json(step.bytes) : Json()}});
  }
  json["fusions"] = Json::array();
  for (const FiredFusion& fusion : e.fusions)
    json["fusions"].push_back({{"pattern", fusion.pattern}, {"node", fusion.node}});
  json["near_misses"] = Json::array();
  for (const NearMiss& miss : e.near_misses)
    json["near_misses"].push_back({{"pattern", miss.pattern}, {"node", miss.node}, {"reason", miss.reason}});
  json["fallbacks"] = Json::array();
  for (const Fallback& fallback : e.fallbacks)
    json["fallbacks"].push_back({{"node", fallback.node}, {"reason", fallback.reason}});
  json["weight_bytes"] = e.weight_bytes;
  json["packing"] = {
      {"weights", e.packed_weights}, {"bytes", e.packed_bytes}, {"packs", e.packs}, {"packs_since", e.packs_since}};
  json["huge_pages"] = huge_pages_json(told.facts, options.huge_pages);
  json["bindings"] = bound ? Json(e.bindings) : Json();
  json["barriers"] = bound ? Json(e.barriers) : Json();
  json["arena_bytes"] = bound ? Json(e.arena_bytes) : Json();
  json["arena_lower_bound_bytes"] = bound ? Json(e.arena_lower_bound_bytes) : Json();
  return json;
}

std::string count_text(double value) {
  if (value >= 1e9) return fmt::format("{:.2f} G", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.2f} M", value / 1e6);
  return value >= 1e3 ? fmt::format("{:.1f} k", value / 1e3) : fmt::format("{:.0f}", value);
}

// Names of many merged nodes are long: their end says most.
std::string shortened(const std::string& name, std::size_t most) {
  return name.size() <= most ? name : "..." + name.substr(name.size() - most + 3);
}

std::string steps_text(const Explained& told) {
  std::vector<std::vector<std::string>> rows;
  for (const ExplainedStep& step : told.explanation.steps) {
    rows.push_back({std::to_string(rows.size()), step.op, step.kernel, step.isa, step.epilogue, step.blocking,
                    told.shapes.empty() ? "" : count_text(step.flops),
                    told.shapes.empty() ? "" : count_text(step.bytes), shortened(step.node, 48)});
  }
  return table_text({">", "op", "kernel", "isa", "epilogue", "blocking", ">flops", ">bytes", "node"}, rows);
}

std::string weights_text(const Explanation& e) {
  std::string text =
      fmt::format("\nweights {}: {} packed ({}); this process packed {}, and {} since", megabytes(e.weight_bytes),
                  e.packed_weights, megabytes(e.packed_bytes), e.packs, e.packs_since);
  if (e.huge_page_bytes != 0) text += fmt::format(", {} on huge pages", megabytes(e.huge_page_bytes));
  if (!e.huge_pages_refused.empty()) text += "; huge pages: " + e.huge_pages_refused;
  return text;
}

void report_text(const Explained& told) {
  const Explanation& e = told.explanation;
  print(steps_text(told));
  print(fmt::format("\n{} steps", e.steps.size()));
  if (!told.shapes.empty())
    print(fmt::format(" of {} distinct bindings, {} barriers a run, arena {} (lower bound {})", e.bindings, e.barriers,
                      megabytes(e.arena_bytes), megabytes(e.arena_lower_bound_bytes)));
  print(weights_text(e));
  std::map<std::string, int> fired;
  for (const FiredFusion& fusion : e.fusions) ++fired[fusion.pattern];
  print(fmt::format("\n\nfusions: {}\n", e.fusions.size()));
  for (const auto& [pattern, count] : fired) print(fmt::format("  {:4} x {}\n", count, pattern));
  print(fmt::format("near misses: {}\n", e.near_misses.size()));
  for (const NearMiss& miss : e.near_misses)
    print("  " + miss.pattern + " at " + miss.node + ": " + miss.reason + "\n");
  print(fmt::format("fallbacks: {}\n", e.fallbacks.size()));
  for (const Fallback& fallback : e.fallbacks) print("  " + fallback.node + ": " + fallback.reason + "\n");
}

bool wants_json(const ExplainOptions& options) {
  if (options.format.empty() || options.format == "text" || options.format == "json")
    return options.json || options.format == "json";
  const auto near = suggest(options.format, {"text", "json"});
  throw Error(ErrorCode::usage, "unknown format '" + options.format + "'", "--format",
              near ? "did you mean '" + *near + "'?" : "legal: text, json");
}

void run_explain(const ExplainOptions& options) {
  require_model(options.model, "explain");
  const bool json = wants_json(options);
  const NamedShapes given = parse_shapes(options.shapes);
  const Model model = open_model(options);
  Explained told{{}, model.facts(), model.inputs(), {}};
  const ResolvedShapes resolved = resolve_shapes(told.ports, given, "--shape");
  for (const std::string& text : resolved.notes) note(text);
  told.shapes = resolved.shapes;
  told.explanation = model.explain(told.shapes);
  if (json) return print_json(report_json(options, told));
  report_text(told);
}

}  // namespace

Command add_explain(CLI::App& tool) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* parser = tool.add_subcommand("explain", "show every step of a compiled model, and the reasons");
  add_model(*parser, *options, "a .onnx or .pt2 file, or a plan");
  add_shapes(*parser, *options);
  parser->add_option("--format", options->format, "text or json")->type_name("FORMAT");
  add_compiling(*parser, *options);
  add_huge_pages(*parser, *options);
  add_json(*parser, options->json);
  parser->footer(
      "Steps with kernel, instruction set, blocking, work and memory for these input shapes; which\n"
      "patterns were fused, which nearly were and why not, and which kernels were refused.\n\n"
      "Examples:\n"
      "  intaglio explain bert.onnx --shape input_ids=1x128\n"
      "  intaglio explain bert.plan --format json");
  return {parser, [options] { run_explain(*options); }};
}

}  // namespace intaglio::cli
