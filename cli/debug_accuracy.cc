// intaglio debug accuracy: where a compiled model's error comes from, step by step.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "cli/inputs.h"
#include "cli/options.h"
#include "cli/report.h"

namespace intaglio::cli {

namespace {

constexpr std::int64_t kMostLayers = 1'000'000;

struct AccuracyArguments : ModelOptions {
  std::string layers;
  std::string top;
};

// JSON has no infinity.
Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

Json error_json(const ErrorFigures& error) {
  return {{"max_abs", error.max_abs},
          {"rmse", error.rmse},
          {"rel_l2", number(error.rel_l2)},
          {"cosine", error.cosine},
          {"not_finite", error.odd}};
}

// How many times the error of what the step read; 0 if that was exact.
double growth(const LayerAccuracy& layer) {
  return layer.input_rel_l2 == 0 ? 0 : layer.error.rel_l2 / layer.input_rel_l2;
}

Json layer_json(const LayerAccuracy& layer) {
  const bool compared = layer.not_compared.empty();
  return {{"step", layer.step},
          {"node", layer.node},
          {"op", layer.op},
          {"kernel", layer.kernel},
          {"dtype", layer.dtype},
          {"shape", layer.shape},
          {"compared_with", layer.compared_with},
          {"not_compared", compared ? Json() : Json(layer.not_compared)},
          {"error", compared ? error_json(layer.error) : Json()},
          {"input_rel_l2", number(layer.input_rel_l2)},
          {"growth", compared && layer.input_rel_l2 != 0 ? number(growth(layer)) : Json()}};
}

Json report_json(const AccuracyArguments& options, const AccuracyReport& report, std::size_t shown) {
  Json json = {{"schema", "intaglio.accuracy/1"},
               {"model", report.model},
               {"format", report.format},
               {"reference", "float64 interpreter on the imported graph"},
               {"layers_asked", options.layers.empty() ? Json() : Json(options.layers)},
               {"steps", report.steps},
               {"layers_found", report.layers.size()},
               {"compile_ms", report.compile_ms},
               {"run_ms", report.run_ms},
               {"reference_ms", report.reference_ms}};
  json["outputs"] = Json::array();
  for (const OutputAccuracy& output : report.outputs)
    json["outputs"].push_back({{"name", output.name}, {"error", error_json(output.error)}});
  json["layers"] = Json::array();
  for (std::size_t i = 0; i < shown; ++i) json["layers"].push_back(layer_json(report.layers[i]));
  return json;
}

std::string shortened(const std::string& name, std::size_t most) {
  return name.size() <= most ? name : "..." + name.substr(name.size() - most + 3);
}

std::vector<std::string> figure_cells(const ErrorFigures& error) {
  return {fmt::format("{:.2e}", error.rel_l2), fmt::format("{:.2e}", error.max_abs),
          fmt::format("{:.9f}", error.cosine)};
}

void report_text(const AccuracyReport& report, std::size_t shown) {
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < shown; ++i) {
    const LayerAccuracy& layer = report.layers[i];
    std::vector<std::string> row = {std::to_string(layer.step), layer.op, layer.kernel, layer.dtype,
                                    shape_text(layer.shape)};
    if (layer.not_compared.empty()) {
      for (std::string& cell : figure_cells(layer.error)) row.push_back(std::move(cell));
      row.push_back(layer.input_rel_l2 == 0 ? "from 0" : fmt::format("x{:.2f}", growth(layer)));
      row.push_back(shortened(layer.node, 48));
    } else {
      row.insert(row.end(), {"", "", "", "", shortened(layer.node, 48) + ": not compared: " + layer.not_compared});
    }
    rows.push_back(std::move(row));
  }
  print(table_text({">step", "op", "kernel", "dtype", "shape", ">rel L2", ">largest", ">cosine", ">growth", "node"},
                   rows));
  if (shown < report.layers.size())
    print(fmt::format("... and {} more; --top 0 shows all\n", report.layers.size() - shown));
  rows.clear();
  for (const OutputAccuracy& output : report.outputs) {
    rows.push_back({output.name});
    for (std::string& cell : figure_cells(output.error)) rows.back().push_back(std::move(cell));
    if (output.error.odd != 0) rows.back()[0] += fmt::format(" ({} not finite)", output.error.odd);
  }
  print("\n" + table_text({"output", ">rel L2", ">largest", ">cosine"}, rows));
  const auto left = std::ranges::count_if(report.layers, [](const auto& layer) { return !layer.not_compared.empty(); });
  print(fmt::format("\n{} values of {} steps, {} of them not compared; reference in {}\n", report.layers.size(),
                    report.steps, left, milliseconds(report.reference_ms)));
  print("largest relative error first; growth: times the error of what the step read\n");
}

void run_accuracy(const AccuracyArguments& options) {
  require_model(options.model, "debug accuracy");
  const auto top = static_cast<std::size_t>(parse_integer("--top", options.top, 0, kMostLayers));
  const InputChoice choice = choose_inputs(options);
  const auto named_inputs = [&](const std::vector<PortInfo>& ports) {
    std::vector<Tensor> tensors = make_inputs(ports, choice);
    std::vector<NamedTensor> inputs;
    for (std::size_t i = 0; i < tensors.size(); ++i) inputs.push_back({ports[i].name, std::move(tensors[i])});
    return inputs;
  };
  const AccuracyReport report =
      accuracy(options.model, compile_options(options), named_inputs, {.layers = options.layers});
  const std::size_t shown = top == 0 ? report.layers.size() : std::min(top, report.layers.size());
  if (options.json) return print_json(report_json(options, report, shown));
  report_text(report, shown);
}

}  // namespace

Command add_debug_accuracy(CLI::App& debug) {
  auto options = std::make_shared<AccuracyArguments>();
  options->top = "20";
  CLI::App* parser = debug.add_subcommand("accuracy", "compare every step of a compiled model with float64");
  add_model(*parser, *options, "a .onnx or .pt2 file");
  add_inputs(*parser, *options);
  add_shapes(*parser, *options);
  parser
      ->add_option("--layers", options->layers, "only steps whose node or op this names: a part, or a pattern with * ?")
      ->type_name("PATTERN");
  parser->add_option("--top", options->top, "how many are shown (default 20; 0: all)")->type_name("N");
  add_compiling(*parser, *options);
  add_json(*parser, options->json);
  parser->footer(
      "The model's graph, before any optimisation, is interpreted in float64, thousands of times slower than\n"
      "a run; every value that a step of the compiled model writes is compared with the graph's value that it\n"
      "computes. Steps that compute nothing the graph has are listed last, with the reason.\n\n"
      "Examples:\n"
      "  intaglio debug accuracy bert.onnx --shape input_ids=1x16\n"
      "  intaglio debug accuracy bert.pt2 --layers layer_norm --top 0 --json");
  return {parser, [options] { run_accuracy(*options); }};
}

}  // namespace intaglio::cli
