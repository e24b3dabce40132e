// intaglio run: compile or load, run once, tell or write the outputs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "cli/inputs.h"
#include "cli/npy.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/session.h"

namespace intaglio::cli {

namespace {

struct RunOptions : ModelOptions {
  std::string output;
};

void check_output_name(const std::string& path) {
  if (path.empty()) return;
  require_folder(path);
  if (path.ends_with(".npz") || path.ends_with(".npy")) return;
  throw Error(ErrorCode::usage, "'" + path + "' ends neither in .npz nor in .npy", "--output");
}

template <class T>
std::string range_of(const Tensor& tensor) {
  const auto values = tensor.values<T>();
  if (values.empty()) return "empty";
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  const bool nan = std::any_of(values.begin(), values.end(), [](T value) { return value != value; });
  return fmt::format("from {} to {}{}", *least, *most, nan ? ", some NaN" : "");
}

std::string range_text(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::f32:
      return range_of<float>(tensor);
    case DType::f64:
      return range_of<double>(tensor);
    case DType::i32:
      return range_of<std::int32_t>(tensor);
    case DType::i64:
      return range_of<std::int64_t>(tensor);
    default:
      return "";
  }
}

Json report_json(const RunOptions& options, const Session& session, bool random, double run_ms) {
  const ModelFacts facts = session.model().facts();
  Json json = {{"schema", "intaglio.run/1"},     {"model", options.model},     {"from_plan", facts.from_plan},
               {"dtype", facts.dtype},           {"quantize", facts.quantize}, {"threads", session.model().threads()},
               {"compile_ms", facts.compile_ms}, {"load_ms", facts.load_ms},   {"run_ms", run_ms}};
  json["inputs"] = Json::array();
  for (std::size_t i = 0; i < session.inputs().size(); ++i) {
    json["inputs"].push_back(tensor_json(session.model().inputs()[i].name, session.inputs()[i]));
    json["inputs"].back()["source"] = random ? "random" : "file";
  }
  json["outputs"] = Json::array();
  for (const NamedTensor& named : session.outputs()) {
    json["outputs"].push_back(tensor_json(named.name, named.tensor));
    json["outputs"].back()["path"] = options.output.empty() ? Json() : Json(options.output);
  }
  json["arena_bytes"] = session.arena_bytes();
  json["weight_bytes"] = facts.weight_bytes;
  json["huge_pages"] = huge_pages_json(facts, options.huge_pages);
  json["peak_rss_mb"] = static_cast<double>(process_bytes("VmHWM")) / 1e6;
  return json;
}

void report_text(const RunOptions& options, const Session& session, double run_ms) {
  const ModelFacts facts = session.model().facts();
  std::vector<std::vector<std::string>> rows;
  for (const NamedTensor& named : session.outputs()) {
    rows.push_back({named.name, std::string(name_of(named.tensor.dtype())), shape_text(named.tensor.shape()),
                    range_text(named.tensor)});
  }
  print(table_text({"output", "dtype", "shape", "values"}, rows));
  const std::string ready =
      facts.from_plan ? "loaded in " + milliseconds(facts.load_ms) : "compiled in " + milliseconds(facts.compile_ms);
  print(fmt::format("{}, first run in {} with {} thread{}\n", ready, milliseconds(run_ms), session.model().threads(),
                    session.model().threads() == 1 ? "" : "s"));
  if (!options.output.empty()) print("outputs written to " + options.output + "\n");
}

void run(const RunOptions& options) {
  require_model(options.model, "run");
  check_output_name(options.output);
  const InputChoice inputs = choose_inputs(options);
  const bool random = inputs.paths.empty();
  Session session(open_model(options));
  session.set_inputs(make_inputs(session.model(), inputs));
  require_holds(session, options);
  const double run_ms = static_cast<double>(session.run()) / 1e6;
  if (!options.output.empty()) write_outputs(options.output, session.outputs());
  if (options.json) return print_json(report_json(options, session, random, run_ms));
  report_text(options, session, run_ms);
}

}  // namespace

Command add_run(CLI::App& tool) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* parser = tool.add_subcommand("run", "run a model or a plan once");
  add_model(*parser, *options, "a .onnx or .pt2 file, or a plan");
  add_inputs(*parser, *options);
  add_shapes(*parser, *options);
  parser->add_option("-o,--output", options->output, "where outputs go: .npz, or .npy for one output")
      ->type_name("FILE");
  add_compiling(*parser, *options);
  add_huge_pages(*parser, *options);
  add_json(*parser, options->json);
  parser->footer(
      "Without --input the inputs are random, seeded by their names: floats in [-1, 1), indices within\n"
      "their table, other integers 0 to 9, masks ones, token types zeros.\n\n"
      "Examples:\n"
      "  intaglio run bert.onnx --shape input_ids=1x128\n"
      "  intaglio run bert.plan --input input_ids=ids.npy --input attention_mask=mask.npy --output out.npz");
  return {parser, [options] { run(*options); }};
}

}  // namespace intaglio::cli
