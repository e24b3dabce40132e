// What new shapes cost one plan: time to bind them, memory over many, allocations of runs (bench/README.md). Exit
// codes: 0; 1 an error; 2 wrong arguments.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "bench/binding/allocations.h"
#include "bench/binding/binding.h"

namespace intaglio::bench {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string plan;
  int threads = 1, rounds = 5;
  ShapeRange range;
  std::size_t shapes = 10000, runs = 100;
};

void check_inputs(const Model& model) {
  for (const PortInfo& port : model.inputs()) {
    if (port.dtype != DType::i64 || port.dims.size() != 2)
      throw Error(ErrorCode::usage, "only models whose inputs are all [batch, tokens] of i64 are measured",
                  "input '" + port.name + "'");
  }
}

double rounded(double value) {
  return std::round(value * 100) / 100;
}

Json figures(std::vector<double> values) {
  if (values.empty()) return nullptr;
  std::ranges::sort(values);
  const auto at = [&](std::size_t percent) { return rounded(values[(values.size() - 1) * percent / 100]); };
  return {{"shapes", values.size()}, {"p50", at(50)}, {"p90", at(90)}, {"p99", at(99)}, {"max", at(100)}};
}

Json report(const Options& options) {
  if (!allocations_are_seen())
    throw Error(ErrorCode::internal, "allocations are not seen, so their number means nothing", "binding_bench");
  LoadOptions loading;
  loading.threads = options.threads;
  const Model model = load(options.plan, loading);
  check_inputs(model);
  const auto bound = bind_times(model, options.range, options.rounds);
  const ManyShapes many = many_shapes(model, options.range, options.shapes, options.runs);
  Json json = {{"threads", model.threads()},
               {"most_batch", options.range.most_batch},
               {"most_tokens", options.range.most_tokens},
               {"bind_us", figures(bound)},
               {"bind_after_run_us", figures(many.bind_us)},
               {"shapes", many.shapes},
               {"runs", many.runs},
               {"allocations_of_runs", many.allocations},
               {"arena_mb", rounded(many.arena_mb)},
               {"largest_arena_mb", rounded(many.largest_arena_mb)},
               {"largest_rss_mb", rounded(many.largest_mb)}};
  json["rss_mb"] = Json::array();
  for (const double mb : many.resident_mb) json["rss_mb"].push_back(rounded(mb));
  return json;
}

int run_main(int argc, const char* const* argv) {
  Options options;
  CLI::App app("Binds and runs many shapes of a plan; JSON on stdout.", "binding_bench");
  app.add_option("plan", options.plan, "plan of an encoder")->required();
  app.add_option("--threads", options.threads, "of runs")->check(CLI::Range(1, 256));
  app.add_option("--rounds", options.rounds, "in which every shape is bound once")->check(CLI::Range(1, 1000));
  app.add_option("--shapes", options.shapes, "random shapes for the memory")->check(CLI::Range(10, 10'000'000));
  app.add_option("--runs", options.runs, "of these that are run as well")->check(CLI::Range(1, 1'000'000));
  app.add_option("--batch", options.range.most_batch, "the largest batch")->check(CLI::Range(1, 4096));
  app.add_option("--tokens", options.range.most_tokens, "most tokens")->check(CLI::Range(1, 65536));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    fmt::print("{}\n", report(options).dump(1));
  } catch (const std::exception& error) {
    fmt::print(stderr, "binding_bench: error: {}\n", error.what());
    return 1;
  }
  return 0;
}

}  // namespace

}  // namespace intaglio::bench

int main(int argc, char** argv) {
  return intaglio::bench::run_main(argc, argv);
}
