// intaglio bench: latency, throughput and memory, of models one after the other; with peers in turns.
#include "cli/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/peer.h"
#include "cli/report.h"

namespace intaglio::cli {

namespace {

constexpr std::int64_t kMostIterations = 1000000;

struct BenchOptions : ModelOptions {
  std::vector<std::string> models;
  std::string iterations = "500", warmup = "30";
  std::vector<std::string> against;
  bool worker = false;
};

struct Measured {
  std::vector<BenchResult> results;  // of one model with one number of threads
  Json huge_pages;                   // of ours
  Json shapes;
};

Json result_json(const BenchResult& result, const Measured& measured) {
  const Latency latency = summarise(result.nanoseconds);
  Json json = {{"model", result.model},
               {"engine", result.engine},
               {"version", result.version},
               {"dtype", result.dtype},
               {"threads", result.threads},
               {"shapes", measured.shapes},
               {"compile_ms", result.compile_ms},
               {"load_ms", result.load_ms},
               {"latency_ms", latency_json(latency)},
               {"throughput", 1e3 / latency.mean},
               {"iterations", result.nanoseconds.size()},
               {"peak_rss_mb", result.peak_rss_mb},
               {"ratio_to_best_peer", result.ratio > 0 ? Json(result.ratio) : Json()}};
  if (result.ours) json["huge_pages"] = measured.huge_pages;
  if (result.compared) {
    json["error"] = {
        {"max_abs", result.error.max_abs}, {"rel_l2", result.error.rel_l2}, {"cosine", result.error.cosine}};
  }
  return json;
}

Json report_json(const std::vector<Measured>& all) {
  const Diagnosis machine = diagnose(false);
  Json json = {{"schema", "intaglio.bench/1"}};
  json["environment"] = {
      {"cpu", machine.cpu}, {"isa", machine.isa}, {"threads", machine.intra_op}, {"version", version()}};
  json["results"] = Json::array();
  for (const Measured& measured : all) {
    for (const BenchResult& result : measured.results) json["results"].push_back(result_json(result, measured));
  }
  return json;
}

void report_text(const std::vector<Measured>& all) {
  std::vector<std::vector<std::string>> rows;
  const auto number = [](double value) { return fmt::format("{:.3f}", value); };
  for (const Measured& measured : all) {
    for (const BenchResult& result : measured.results) {
      const Latency l = summarise(result.nanoseconds);
      rows.push_back({result.model, result.engine + " " + result.version, std::to_string(result.threads), number(l.min),
                      number(l.p50), number(l.p90), number(l.p99), number(l.mean), fmt::format("{:.1f}", 1e3 / l.mean),
                      fmt::format("{:.1f}", result.peak_rss_mb),
                      result.ratio > 0 ? fmt::format("{:.2f}", result.ratio) : "",
                      result.compared ? fmt::format("{:.2e}", result.error.max_abs) : ""});
    }
  }
  const bool peers = std::ranges::any_of(all, [](const Measured& measured) { return measured.results.size() > 1; });
  std::vector<std::string> headings = {"model", "engine", ">threads", ">min ms", ">p50",
                                       ">p90",  ">p99",   ">mean",    ">runs/s", ">peak MB"};
  if (peers) headings.insert(headings.end(), {">ratio", ">max difference"});
  for (auto& row : rows) row.resize(headings.size());
  print(table_text(headings, rows));
  if (peers)
    print(
        "\nratio: the fastest peer's p50 over ours (above 1: we are faster); peak MB of ours includes the tool's own "
        "work\n");
}

void check_against(const BenchOptions& options) {
  const auto& legal = peer_engines();
  for (const std::string& name : split_lists(options.against)) {
    if (std::ranges::find(legal, name) != legal.end()) continue;
    const auto near = suggest(name, legal);
    std::string list;
    for (const std::string& engine : legal) list += (list.empty() ? "" : ", ") + engine;
    throw Error(ErrorCode::usage, "unknown engine '" + name + "'", "--against",
                (near ? "did you mean '" + *near + "'? " : std::string()) + "legal: " + list);
  }
  for (const std::string& model : options.models) {
    if (options.against.empty() || model.ends_with(".onnx")) continue;
    throw Error(ErrorCode::usage, "the peers read .onnx files, not '" + model + "'", "--against",
                "give the .onnx file that it was made from");
  }
}

Measured bench_one(const BenchOptions& options, const InputChoice& inputs, const BenchPlan& plan) {
  Session session(open_model(options));
  const auto& ports = session.model().inputs();
  session.set_inputs(make_inputs(session.model(), inputs));
  require_holds(session, options);
  Measured measured{measure(session, plan), huge_pages_json(session.model().facts(), options.huge_pages),
                    Json::object()};
  for (std::size_t i = 0; i < ports.size(); ++i) measured.shapes[ports[i].name] = session.inputs()[i].shape();
  return measured;
}

void run_bench(BenchOptions options) {
  if (options.models.empty()) require_model("", "bench");
  if (options.worker) {
    if (options.models.size() != 1) throw Error(ErrorCode::usage, "a worker serves one model", "--worker");
    options.model = options.models[0];
    return serve(options);
  }
  check_against(options);
  const InputChoice inputs = choose_inputs(options);
  BenchPlan plan;
  plan.iterations = parse_integer("--iterations", options.iterations, 1, kMostIterations);
  plan.warmup = parse_integer("--warmup", options.warmup, 0, kMostIterations);
  plan.peers = split_lists(options.against);
  const auto threads = options.threads.empty() ? std::vector<std::string>{""} : split_lists({options.threads});
  for (const std::string& count : threads) {
    if (count.empty() && !options.threads.empty())
      throw Error(ErrorCode::usage, "'" + options.threads + "' is not a list of numbers", "--threads");
    parse_threads(count);  // all of them, before any work
  }
  std::vector<Measured> all;
  for (const std::string& model : options.models) {
    for (const std::string& count : threads) {
      options.model = plan.model = model;
      options.threads = count;
      all.push_back(bench_one(options, inputs, plan));
    }
  }
  if (options.json) return print_json(report_json(all));
  report_text(all);
}

}  // namespace

Command add_bench(CLI::App& tool) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* parser = tool.add_subcommand("bench", "measure latency, throughput and memory");
  parser->add_option("MODEL", options->models, "one or more .onnx or .pt2 files, or plans");
  add_shapes(*parser, *options);
  add_inputs(*parser, *options);
  parser->add_option("--iterations", options->iterations, "timed runs (default 500)")->type_name("N");
  parser->add_option("--warmup", options->warmup, "runs before (default 30)")->type_name("N");
  parser->add_option("--against", options->against, "peers to take turns with: onnxruntime")
      ->allow_extra_args(false)
      ->type_name("LIST");
  parser->add_flag("--worker", options->worker, "serve bench requests on stdin and stdout");
  add_compiling(*parser, *options);
  add_huge_pages(*parser, *options);
  add_json(*parser, options->json);
  parser->footer(
      "--threads takes a list here. Peers run in a Python process (INTAGLIO_PYTHON, else python3) on the\n"
      "same inputs, in turns with ours. Inputs are random unless given, as in 'intaglio run'.\n\n"
      "Examples:\n"
      "  intaglio bench bert.plan --shape input_ids=1x128 --threads 1,2\n"
      "  intaglio bench bert.onnx --iterations 100 --against onnxruntime --json");
  return {parser, [options] { run_bench(*options); }};
}

}  // namespace intaglio::cli
