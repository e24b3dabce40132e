#include "bench/gemm/worker.h"

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/gemm/contest.h"

namespace intaglio::bench {

namespace {

using Json = nlohmann::ordered_json;

// A linear of ours, ready to run.
struct Loaded {
  std::unique_ptr<RandomStore> store;
  std::unique_ptr<Weights> weights;
  std::unique_ptr<Problem> problem;
  std::unique_ptr<Layer> layer;
  std::unique_ptr<Chain> chain;
};

constexpr std::int64_t kMostIterations = 1'000'000;

// Empty if there is none, or it is not a text.
std::string text_field(const Json& request, const char* name) {
  if (!request.is_object()) return {};
  const auto found = request.find(name);
  return found != request.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<std::int64_t> size_field(const Json& request, const char* name, std::int64_t most) {
  const auto found = request.find(name);
  if (found == request.end() || !found->is_number_integer() || *found < 1 || *found > most) {
    return fail(ErrorCode::usage, std::string(name) + " is missing or not a number from 1 to " + std::to_string(most));
  }
  return found->get<std::int64_t>();
}

Result<const Scenario*> scenario_field(const Json& request) {
  const std::string types = text_field(request, "types"), epilogue = text_field(request, "epilogue");
  for (const Scenario& scenario : scenarios()) {
    if (scenario.types == types && scenario.epilogue == epilogue) return &scenario;
  }
  return fail(ErrorCode::usage, "no scenario '" + types + " | " + epilogue + "'");
}

Result<Json> load(const Json& request, Loaded& loaded) {
  INTAGLIO_TRY(const Scenario* scenario, scenario_field(request));
  INTAGLIO_TRY(const std::int64_t m, size_field(request, "m", kMostRows));
  INTAGLIO_TRY(const std::int64_t n, size_field(request, "n", kMostRows));
  INTAGLIO_TRY(const std::int64_t k, size_field(request, "k", kMostRows));
  loaded = {};
  const auto keep = [](auto& place, auto result) -> Status {
    if (!result) return fail(std::move(result).error());
    place = std::make_unique<typename decltype(result)::value_type>(std::move(*result));
    return {};
  };
  INTAGLIO_CHECK(keep(loaded.store, RandomStore::create(static_cast<std::size_t>(n * k))));
  INTAGLIO_CHECK(keep(loaded.weights, Weights::make(*scenario, n, k, *loaded.store)));
  INTAGLIO_CHECK(keep(loaded.problem, Problem::make(*loaded.weights, m)));
  INTAGLIO_TRY(const Engine engine, own_engine(std::nullopt));
  INTAGLIO_CHECK(keep(loaded.layer, Layer::pack(engine, own_recipe(*loaded.weights), *loaded.weights)));
  INTAGLIO_CHECK(keep(loaded.chain, Chain::bind(*loaded.layer, *loaded.weights, *loaded.problem, 1, false)));
  loaded.chain->run(1, nullptr);
  const double error = loaded.chain->error();
  if (error > tolerance(*scenario, k)) {
    return fail(ErrorCode::internal, "the answer is off by " + std::to_string(error));
  }
  return Json{{"kernel", loaded.layer->facts().kernel}, {"isa", loaded.layer->facts().isa}, {"error", error}};
}

Result<Json> run(const Json& request, Loaded& loaded) {
  if (!loaded.chain) return fail(ErrorCode::usage, "run before load");
  INTAGLIO_TRY(const std::int64_t iterations, size_field(request, "iterations", kMostIterations));
  Json latencies = Json::array();
  for (std::int64_t i = 0; i < iterations; ++i) {
    const auto start = std::chrono::steady_clock::now();
    loaded.chain->run(1, nullptr);
    latencies.push_back((std::chrono::steady_clock::now() - start).count());
  }
  return Json{{"iterations", iterations}, {"latency_ns", latencies}};
}

void answer(const Result<Json>& result) {
  Json line = {{"ok", result.has_value()}};
  if (result)
    line.update(*result);
  else
    line["error"] = {{"code", "bad_input"}, {"message", result.error().to_string()}, {"hint", result.error().hint}};
  std::cout << line.dump() << std::endl;
}

}  // namespace

int serve() {
  answer(Json{{"event", "ready"}, {"engine", kOwnName}});
  Loaded loaded;
  for (std::string line; std::getline(std::cin, line);) {
    const Json request = Json::parse(line, nullptr, false);
    const std::string command = text_field(request, "cmd");
    if (command == "quit") break;
    if (command == "load")
      answer(load(request, loaded));
    else if (command == "run")
      answer(run(request, loaded));
    else
      answer(fail(ErrorCode::usage, "expected an object with cmd load, run or quit"));
  }
  answer(Json{{"event", "bye"}});
  return 0;
}

}  // namespace intaglio::bench
