// intaglio explain: every step of a compiled model with its times, and what was nearly better.
#include "cli/explain.h"

#include <algorithm>
#include <memory>

#include "cli/atomic_write.h"
#include "cli/inputs.h"
#include "cli/options.h"

namespace intaglio::cli {

namespace {

constexpr std::int64_t kMostRuns = 100000;

struct ExplainOptions : ModelOptions {
  std::string format, output, runs = "30";
};

// "text", "json" or "html".
std::string format_of(const ExplainOptions& options) {
  if (options.format.empty()) return options.json ? "json" : "text";
  const std::vector<std::string> legal{"text", "json", "html"};
  if (std::ranges::find(legal, options.format) == legal.end()) {
    const auto near = suggest(options.format, legal);
    throw Error(ErrorCode::usage, "unknown format '" + options.format + "'", "--format",
                near ? "did you mean '" + *near + "'?" : "legal: text, json, html");
  }
  if (options.json && options.format != "json")
    throw Error(ErrorCode::usage, "--json with --format " + options.format, "--format", "give one of them");
  return options.format;
}

std::string written(const Explained& told, const std::string& format) {
  if (format == "html") return explain_html(told);
  return format == "json" ? explain_json(told).dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                          : explain_text(told);
}

// Of random inputs, as in `intaglio run`, if they are to be timed.
Explanation explain_model(const Model& model, const Explained& told, int runs) {
  if (runs == 0) return model.explain(told.shapes);
  const std::vector<Tensor> inputs = random_inputs(model, told.shapes);
  std::vector<TensorView> views;
  for (const Tensor& tensor : inputs) views.push_back({tensor.data(), tensor.dtype(), tensor.shape()});
  return model.explain(views, runs);
}

void run_explain(const ExplainOptions& options) {
  require_model(options.model, "explain");
  const std::string format = format_of(options);
  const NamedShapes given = parse_shapes(options.shapes);
  const auto runs = static_cast<int>(parse_integer("--runs", options.runs, 0, kMostRuns));
  const Model model = open_model(options);
  Explained told{options.model, options.huge_pages, {}, model.facts(), model.inputs(), {}};
  const ResolvedShapes resolved = resolve_shapes(told.ports, given, "--shape");
  for (const std::string& text : resolved.notes) note(text);
  told.shapes = resolved.shapes;
  model.require(split_lists(options.require), told.shapes);
  told.explanation = explain_model(model, told, runs);
  const std::string text = written(told, format);
  if (options.output.empty()) return print(text);
  atomic_write(options.output, {text});
}

}  // namespace

Command add_explain(CLI::App& tool) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* parser = tool.add_subcommand("explain", "show every step of a compiled model, and the reasons");
  add_model(*parser, *options, "a .onnx or .pt2 file, or a plan");
  add_shapes(*parser, *options);
  parser->add_option("--format", options->format, "text, json or html")->type_name("FORMAT");
  parser->add_option("-o,--output", options->output, "file to write instead of stdout")->type_name("FILE");
  parser->add_option("--runs", options->runs, "timed runs (default 30, fewer of slow models; 0: no times)")
      ->type_name("N");
  add_compiling(*parser, *options);
  add_huge_pages(*parser, *options);
  add_json(*parser, options->json);
  parser->footer(
      "Steps with kernel, instruction set, blocking, threads, work and memory for these input shapes;\n"
      "the time that the machine's measured peaks and bandwidths predict, and the time that random inputs\n"
      "took; which patterns were fused, which nearly were and why not, and which kernels were refused.\n\n"
      "Examples:\n"
      "  intaglio explain bert.onnx --shape input_ids=1x128\n"
      "  intaglio explain bert.plan --format json\n"
      "  intaglio explain bert.onnx --format html -o bert.html");
  return {parser, [options] { run_explain(*options); }};
}

}  // namespace intaglio::cli
