#include "bench/gemm/stateful.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "bench/gemm/contest.h"

namespace intaglio::bench {

namespace {

constexpr std::string_view kTypes = "s8xs8", kEpilogue = "rows quantised from f32, scales, bias, f32";
constexpr std::int64_t kTokens[] = {8, 16, 32, 64, 128, 256, 512};
constexpr double kPackSeconds = 2e-3;

constexpr Encoder kEncoders[] = {
    {"bert-base", 768, 3072},
    {"bert-large", 1024, 4096},
    {"roberta-base", 768, 3072},
    {"distilbert-base", 768, 3072},
};

// How often a linear of N x K is in a layer.
struct Part {
  std::int64_t n, k, count;
};

std::vector<Part> parts(const Encoder& model) {
  return {{model.hidden, model.hidden, 4}, {model.inner, model.hidden, 1}, {model.hidden, model.inner, 1}};
}

const Scenario* scenario() {
  const auto found =
      std::ranges::find_if(scenarios(), [](const Scenario& s) { return s.types == kTypes && s.epilogue == kEpilogue; });
  return found == scenarios().end() ? nullptr : &*found;
}

// One linear: seconds to pack it, and of runs by number of tokens.
struct Measured {
  double pack = 0;
  std::map<std::int64_t, double> run;
};

// Median seconds of pack() and prepare(); memory of the call before is there to be used again, as it would be.
Result<double> time_packing(const Engine& engine, const Weights& weights, int rounds) {
  std::vector<double> seconds;
  for (int round = 0; round <= rounds; ++round) {
    int calls = 0;
    const double start = thread_seconds();
    double spent = 0;
    do {
      INTAGLIO_TRY(const Layer layer, Layer::pack(engine, own_recipe(weights), weights));
      ++calls;
      spent = thread_seconds() - start;
    } while (spent < kPackSeconds);
    if (round > 0) seconds.push_back(spent / calls);  // the first warms
  }
  return median(std::move(seconds));
}

Result<Measured> measure_part(const Part& part, std::span<const std::int64_t> tokens, int rounds, RandomStore& store) {
  const Scenario* kind = scenario();
  if (kind == nullptr) return fail(ErrorCode::internal, "no scenario of dynamic int8 linears");
  INTAGLIO_TRY(const Weights weights, Weights::make(*kind, part.n, part.k, store));
  INTAGLIO_TRY(const Engine engine, own_engine(std::nullopt));
  Measured measured;
  INTAGLIO_TRY(measured.pack, time_packing(engine, weights, rounds));
  INTAGLIO_TRY(const Layer layer, Layer::pack(engine, own_recipe(weights), weights));
  INTAGLIO_TRY(Team team, Team::create(1));
  for (const std::int64_t m : tokens) {
    INTAGLIO_TRY(const Problem problem, Problem::make(weights, m));
    INTAGLIO_TRY(Chain chain, Chain::bind(layer, weights, problem, 1, false));
    chain.run(1, nullptr);
    if (const double error = chain.error(); error > tolerance(*kind, part.k)) {
      return fail(ErrorCode::internal, fmt::format("{} x {} x {}: off by {:.2g}", m, part.n, part.k, error));
    }
    std::vector<Contender> one = {{&chain, nullptr}};
    Plan plan;
    plan.rounds = rounds;
    measured.run[m] = median(measure(one, team, plan)[0].seconds);
  }
  return measured;
}

}  // namespace

std::span<const Encoder> encoders() {
  return kEncoders;
}

std::span<const std::int64_t> stateful_tokens() {
  return kTokens;
}

double StatefulReport::mean() const {
  double sum = 0;
  for (const StatefulRow& row : rows) sum += row.speed_up();
  return rows.empty() ? 0 : sum / static_cast<double>(rows.size());
}

double StatefulReport::geomean() const {
  double sum = 0;
  for (const StatefulRow& row : rows) sum += std::log(row.speed_up());
  return rows.empty() ? 0 : std::exp(sum / static_cast<double>(rows.size()));
}

Result<StatefulReport> measure_stateful(std::span<const Encoder> models, std::span<const std::int64_t> tokens,
                                        int rounds) {
  std::int64_t most = 1;
  for (const Encoder& model : models) most = std::max(most, model.inner * model.hidden);
  INTAGLIO_TRY(RandomStore store, RandomStore::create(static_cast<std::size_t>(most)));
  std::map<std::pair<std::int64_t, std::int64_t>, Measured> known;  // models share widths
  StatefulReport report;
  for (const Encoder& model : models) {
    for (const Part& part : parts(model)) {
      if (known.contains({part.n, part.k})) continue;
      INTAGLIO_TRY(Measured measured, measure_part(part, tokens, rounds, store));
      known.emplace(std::pair{part.n, part.k}, std::move(measured));
    }
    for (const std::int64_t m : tokens) {
      StatefulRow row{model.name, m};
      for (const Part& part : parts(model)) {
        const Measured& measured = known.at({part.n, part.k});
        row.run_us += 1e6 * static_cast<double>(part.count) * measured.run.at(m);
        row.pack_us += 1e6 * static_cast<double>(part.count) * measured.pack;
      }
      report.rows.push_back(row);
    }
  }
  return report;
}

std::string stateful_text(const StatefulReport& report) {
  std::string text = fmt::format("Prepared int8 linears of a layer over packing and summing columns in each call\n");
  text += fmt::format("  {:<16} {:>6} {:>10} {:>10} {:>8}\n", "model", "tokens", "run us", "pack us", "speed-up");
  for (const StatefulRow& row : report.rows) {
    text += fmt::format("  {:<16} {:>6} {:>10.0f} {:>10.0f} {:>8.2f}\n", row.model, row.tokens, row.run_us, row.pack_us,
                        row.speed_up());
  }
  return text + fmt::format("  mean {:.2f}, geometric mean {:.2f}\n", report.mean(), report.geomean());
}

std::string stateful_json(const StatefulReport& report) {
  const auto rounded = [](double value) { return std::round(value * 1e3) / 1e3; };
  nlohmann::ordered_json json = {{"schema", "intaglio.gemm/1"}};
  nlohmann::ordered_json& stateful = json["stateful"];
  stateful = {{"types", kTypes}, {"epilogue", kEpilogue}};
  stateful["mean"] = rounded(report.mean());
  stateful["geomean"] = rounded(report.geomean());
  stateful["rows"] = nlohmann::ordered_json::array();
  for (const StatefulRow& row : report.rows) {
    stateful["rows"].push_back({{"model", row.model},
                                {"tokens", row.tokens},
                                {"run_us", rounded(row.run_us)},
                                {"pack_us", rounded(row.pack_us)},
                                {"speed_up", rounded(row.speed_up())}});
  }
  return json.dump(1) + "\n";
}

}  // namespace intaglio::bench
