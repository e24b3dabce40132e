// intaglio inspect: what a file holds, without compiling it.
#include <fmt/format.h>

#include <memory>

#include "cli/options.h"
#include "cli/report.h"

namespace intaglio::cli {

namespace {

struct InspectOptions {
  std::string model;
  bool verify = false, json = false;
};

Json report_json(const InspectOptions& options, const Inspection& found) {
  Json unsupported = Json::array();
  for (const UnsupportedOp& op : found.unsupported) unsupported.push_back({{"op", op.op}, {"nodes", op.nodes}});
  return {{"schema", "intaglio.inspect/1"},
          {"model", options.model},
          {"format", found.format},
          {"version", found.version},
          {"producer", found.producer},
          {"inputs", ports_json(found.inputs)},
          {"outputs", ports_json(found.outputs)},
          {"ops", Json(found.ops)},
          {"dtypes", Json(found.dtypes)},
          {"parameters", found.parameters},
          {"weight_bytes", found.weight_bytes},
          {"unsupported", unsupported},
          {"verified", options.verify}};
}

std::string ports_text(const char* title, const std::vector<InspectedPort>& ports) {
  std::vector<std::vector<std::string>> rows;
  for (const InspectedPort& port : ports) {
    std::string shape;
    for (const std::string& dim : port.shape) shape += (shape.empty() ? "[" : ", ") + dim;
    rows.push_back({port.name, port.dtype, shape.empty() ? "scalar" : shape + "]"});
  }
  return table_text({title, "dtype", "shape"}, rows) + "\n";
}

std::string counts_text(const char* title, const char* counted, const std::map<std::string, std::int64_t>& counts) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, count] : counts) rows.push_back({name, std::to_string(count)});
  return table_text({title, std::string(">") + counted}, rows) + "\n";
}

void report_text(const InspectOptions& options, const Inspection& found) {
  const bool plan = found.format == "plan";
  print(fmt::format("{}: {} ({}{}{}), weights {}\n\n", options.model, found.format, found.version,
                    found.producer.empty() ? "" : ", ", found.producer, megabytes(found.weight_bytes)));
  print(ports_text("input", found.inputs) + ports_text("output", found.outputs));
  print(counts_text(plan ? "step" : "op", "count", found.ops) +
        counts_text(plan ? "weight layout" : "weight dtype", plan ? "bytes" : "parameters", found.dtypes));
  if (options.verify) print("all checksums are right\n");
  if (plan) return;
  print(found.unsupported.empty() ? "every op is supported\n" : "unsupported ops:\n");
  for (const UnsupportedOp& op : found.unsupported) {
    std::string nodes;
    for (const std::string& node : op.nodes) nodes += (nodes.empty() ? "" : ", ") + node;
    print("  " + op.op + ": " + nodes + "\n");
  }
}

void run_inspect(const InspectOptions& options) {
  require_model(options.model, "inspect");
  const Inspection found = inspect(options.model, options.verify);
  if (options.verify && found.format != "plan") {
    throw Error(ErrorCode::usage, "'" + options.model + "' is no plan, and only plans carry checksums", "--verify");
  }
  if (options.json) return print_json(report_json(options, found));
  report_text(options, found);
}

}  // namespace

Command add_inspect(CLI::App& tool) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* parser = tool.add_subcommand("inspect", "list what a model or plan holds, without compiling it");
  parser->add_option("MODEL", options->model, "a .onnx or .pt2 file, or a plan");
  parser->add_flag("--verify", options->verify, "check every checksum of a plan");
  add_json(*parser, options->json);
  parser->footer(
      "Inputs, outputs, ops, parameters, and the ops that are not supported with their nodes.\n\n"
      "Examples:\n"
      "  intaglio inspect bert.onnx\n"
      "  intaglio inspect bert.plan --verify");
  return {parser, [options] { run_inspect(*options); }};
}

}  // namespace intaglio::cli
