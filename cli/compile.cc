// intaglio compile: a model file becomes a plan file.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <memory>

#include "cli/options.h"
#include "cli/report.h"

namespace intaglio::cli {

namespace {

struct PlanOptions : ModelOptions {
  std::string output;
};

bool is_plan(const std::string& path) {
  try {
    return inspect(path).format == "plan";
  } catch (const Error&) {
    return false;
  }
}

std::size_t size_of_file(const std::string& path) {
  std::error_code ignored;
  const auto size = std::filesystem::file_size(path, ignored);
  return ignored ? 0 : static_cast<std::size_t>(size);
}

// A plan is no model file; that is said rather than what is wrong with it as one.
Model compile_file(const PlanOptions& options) {
  try {
    return compile(options.model, compile_options(options));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::file || !is_plan(options.model)) throw;
    throw Error(ErrorCode::usage, "'" + options.model + "' is a plan already", "intaglio compile",
                "give the model file that it was made from");
  }
}

Json report_json(const PlanOptions& options, const Model& model, double save_ms) {
  const ModelFacts facts = model.facts();
  const Explanation explanation = model.explain();
  return {{"schema", "intaglio.compile/1"},
          {"model", options.model},
          {"format", facts.format},
          {"plan", options.output},
          {"dtype", facts.dtype},
          {"quantize", facts.quantize},
          {"threads", model.threads()},
          {"plan_bytes", size_of_file(options.output)},
          {"weight_bytes", facts.weight_bytes},
          {"model_nodes", facts.model_nodes},
          {"steps", facts.steps},
          {"fused", facts.fused},
          {"kept_float", kept_float_json(explanation.kept_float)},
          {"near_misses", explanation.near_misses.size()},
          {"fallbacks", explanation.fallbacks.size()},
          {"packs", facts.packs},
          {"packed_weights", facts.packed_weights},
          {"packed_bytes", facts.packed_bytes},
          {"compile_ms", facts.compile_ms},
          {"import_ms", facts.import_ms},
          {"passes_ms", facts.passes_ms},
          {"pack_ms", facts.lower_ms},
          {"save_ms", save_ms},
          {"peak_rss_mb", static_cast<double>(process_bytes("VmHWM")) / 1e6}};
}

void report_text(const PlanOptions& options, const Model& model, double save_ms) {
  const ModelFacts facts = model.facts();
  const Explanation explanation = model.explain();
  print(fmt::format("{}: {} of {} (weights {})\n", options.output, megabytes(size_of_file(options.output)),
                    options.model, megabytes(facts.weight_bytes)));
  print(fmt::format("{} nodes became {} steps; {} fusions, {} near misses, {} fallbacks\n", facts.model_nodes,
                    facts.steps, facts.fused, explanation.near_misses.size(), explanation.fallbacks.size()));
  if (facts.dtype != "f32" || facts.quantize != "none")
    print(fmt::format("arithmetic {}, quantisation {}\n", facts.dtype, facts.quantize));
  print(fmt::format("{} weights packed ({}), once each\n", facts.packs, megabytes(facts.packed_bytes)));
  print(fmt::format("import {}, passes {}, packing {}, saving {}\n", milliseconds(facts.import_ms),
                    milliseconds(facts.passes_ms), milliseconds(facts.lower_ms), milliseconds(save_ms)));
  for (const KeptFloat& kept : explanation.kept_float) print("not quantised: " + kept.node + ": " + kept.rule + "\n");
  if (!explanation.near_misses.empty() || !explanation.fallbacks.empty())
    print("'intaglio explain " + options.output + "' tells the reasons\n");
}

void compile_to_plan(const PlanOptions& options) {
  require_model(options.model, "compile");
  if (options.output.empty())
    throw Error(ErrorCode::usage, "the plan has no name", "--output", "give it with -o model.plan");
  require_folder(options.output);
  const Model model = compile_file(options);
  const auto start = std::chrono::steady_clock::now();
  model.save(options.output);
  const double save_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (options.json) return print_json(report_json(options, model, save_ms));
  report_text(options, model, save_ms);
}

}  // namespace

Command add_compile(CLI::App& tool) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App* parser = tool.add_subcommand("compile", "compile a model file to a plan");
  add_model(*parser, *options, "a .onnx or .pt2 file");
  parser->add_option("-o,--output", options->output, "the plan file to write (as a whole or not at all)")
      ->type_name("FILE");
  add_compiling(*parser, *options);
  add_json(*parser, options->json);
  parser->footer(
      "The plan holds the weights packed for this machine's kernels, and loads within milliseconds.\n\n"
      "Examples:\n"
      "  intaglio compile bert.onnx -o bert.plan\n"
      "  intaglio compile bert.pt2 -o bert.plan --require fused,no-fallback --json");
  return {parser, [options] { compile_to_plan(*options); }};
}

}  // namespace intaglio::cli
