#include "bench/gemm/contest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "cpu/machine.h"
#ifdef INTAGLIO_BENCH_ONEDNN
#include "vendor/onednn/onednn.h"
#endif

namespace intaglio::bench {

namespace {

void refuse(Report& report, const std::string& line) {
  if (std::ranges::find(report.refused, line) == report.refused.end()) report.refused.push_back(line);
}

// Errors that say "this engine cannot" rather than that something is broken.
bool is_refusal(const Error& error) {
  return error.code == ErrorCode::unsupported;
}

}  // namespace

std::optional<Engine> peer_engine() {
#ifdef INTAGLIO_BENCH_ONEDNN
  if (!peer_runs_on_our_threads()) {
    const char* count = std::getenv("OMP_NUM_THREADS");  // read by the OpenMP library before main()
    if (count == nullptr || std::string_view(count) != "1") return std::nullopt;
  }
  const auto target = ops::host_target();
  const ops::Candidate* candidate = ops::find_candidate("onednn.linear", vendor::onednn::candidates());
  if (target && candidate != nullptr) return Engine{kPeerName, candidate, *target};
#endif
  return std::nullopt;
}

std::string peer_description() {
#ifdef INTAGLIO_BENCH_ONEDNN
  return vendor::onednn::description();
#else
  return {};
#endif
}

bool peer_runs_on_our_threads() {
  return peer_description().find("threadpool") != std::string::npos;
}

Result<Engine> own_engine(std::optional<Isa> level) {
  INTAGLIO_TRY(ops::Target target, ops::host_target());
  if (level) target.isa = intersect(target.isa, closure_of(*level));
  const ops::Candidate* candidate = ops::find_candidate("intaglio.linear", ops::own_candidates());
  if (candidate == nullptr) return fail(ErrorCode::internal, "there is no candidate intaglio.linear");
  return Engine{kOwnName, candidate, target};
}

Result<Contest> Contest::prepare(const Scenario& scenario, std::int64_t n, std::int64_t k, const Options& options,
                                 bool lower, RandomStore& store, Report& report) {
  Contest contest;
  INTAGLIO_TRY(Weights weights, Weights::make(scenario, n, k, store));
  contest.weights_ = std::make_unique<Weights>(std::move(weights));
  INTAGLIO_CHECK(contest.add_own(options, lower, report));
  INTAGLIO_CHECK(contest.add_peer(report));
  return contest;
}

Status Contest::add_own(const Options& options, bool lower, Report& report) {
  std::vector<std::optional<Isa>> levels;
  if (lower || options.levels_given) levels.assign(options.levels.begin(), options.levels.end());
  if (!options.levels_given) levels.push_back(std::nullopt);
  for (const auto& level : levels) {
    INTAGLIO_TRY(const Engine engine, own_engine(level));
    auto layer = Layer::pack(engine, own_recipe(*weights_), *weights_);
    if (!layer) {
      if (!is_refusal(layer.error())) return fail(std::move(layer).error());
      refuse(report, fmt::format("{}: {}: {}", kOwnName, weights_->scenario.name(), layer.error().message));
      continue;
    }
    const ops::PreparedOp::Facts facts = layer->facts();
    // A level without kernels of its own runs those of a lower one.
    std::erase_if(entrants_, [&](const Entrant& e) { return e.layers[0].facts().kernel == facts.kernel; });
    for (Entrant& entrant : entrants_) entrant.best = false;
    const Isa isa = parse_isa(facts.isa).value_or(Isa::scalar);
    Entrant entrant{engine, {}, true, probe_of_kernel(facts.kernel, isa), probe_of_kernel(facts.kernel, isa, true)};
    entrant.layers.push_back(std::move(*layer));
    entrants_.push_back(std::move(entrant));
  }
  return {};
}

Status Contest::add_peer(Report& report) {
  const auto engine = peer_engine();
  if (!engine || entrants_.empty()) return {};
  Entrant entrant{*engine, {}, true, entrants_.back().probe, entrants_.back().fed};
  for (const Recipe& recipe : peer_recipes(*weights_)) {
    auto layer = Layer::pack(*engine, recipe, *weights_);
    if (layer) {
      entrant.layers.push_back(std::move(*layer));
    } else if (is_refusal(layer.error())) {
      const char* form = recipe.finish ? " (scales of rows, bias and activation in a pass)" : "";
      refuse(report, fmt::format("{}: {}{}: {}", kPeerName, weights_->scenario.name(), form, layer.error().message));
    } else {
      return fail(std::move(layer).error());
    }
  }
  if (!entrant.layers.empty()) entrants_.push_back(std::move(entrant));
  return {};
}

std::size_t Contest::packed_bytes() const {
  std::size_t most = 0;
  for (const Entrant& entrant : entrants_) {
    for (const Layer& layer : entrant.layers) most = std::max(most, layer.packed_bytes());
  }
  return most;
}

Status Contest::make_cold(std::vector<Arena>& arenas, std::size_t bytes) {
  const std::size_t needed = std::max(bytes, packed_bytes()) + packed_bytes();
  std::size_t next = 0;
  for (Entrant& entrant : entrants_) {
    if (!entrant.best) continue;
    if (arenas.size() == next) arenas.emplace_back();
    Arena& arena = arenas[next++];
    if (arena.memory().size() < needed) {
      arena = Arena();  // gives the old room back before the new one is asked for
      INTAGLIO_TRY(arena, Arena::create(needed));
    }
    // Of several forms the first that binds is used, which is not known yet; they hold the same amount of weights.
    for (Layer& layer : entrant.layers) layer.drop_copies();
    INTAGLIO_CHECK(entrant.layers[0].make_copies(arena, bytes));
  }
  return {};
}

Result<std::vector<Contest::Bound>> Contest::bind(const Cell& cell, Team& team, Report& report) const {
  std::vector<Bound> all;
  for (const Entrant& entrant : entrants_) {
    if (!entrant.best && !cell.lower) continue;
    if (cell.threads > 1 && entrant.engine.name == kPeerName && !peer_runs_on_our_threads()) continue;
    std::string reason;
    for (const Layer& layer : entrant.layers) {
      if (cell.cold && layer.turns(true).empty()) continue;
      auto chain = Chain::bind(layer, *weights_, *cell.problem, cell.threads, cell.cold);
      if (chain) {
        all.push_back({&entrant, &layer, std::make_unique<Chain>(std::move(*chain))});
        reason.clear();
        break;
      }
      if (!is_refusal(chain.error())) return fail(std::move(chain).error());
      reason = chain.error().message;
    }
    if (!reason.empty())
      refuse(report, fmt::format("{}: {}: {}", entrant.engine.name, weights_->scenario.name(), reason));
  }
  const double limit = tolerance(weights_->scenario, cell.problem->shape.k);
  for (Bound& bound : all) {
    team.time(*bound.chain, 1);
    bound.error = bound.chain->error();
    if (bound.error <= limit) continue;
    report.failures.push_back(fmt::format(
        "{} {}: {} {} threads: off by {:.2g}, at most {:.2g}", bound.entrant->engine.name, bound.layer->facts().isa,
        weights_->scenario.name() + " " + to_string(cell.problem->shape), cell.threads, bound.error, limit));
  }
  return all;
}

// Elements spread over the whole result, of all engines against the first.
void Contest::compare(const std::vector<Bound>& bound, const Cell& cell, Report& report) const {
  constexpr std::int64_t kElements = 20011;
  const Product& s = cell.problem->shape;
  const std::int64_t step = std::max<std::int64_t>(1, s.m * s.n / kElements);
  const double limit = 2 * tolerance(weights_->scenario, s.k);
  for (std::size_t i = 1; i < bound.size(); ++i) {
    const Chain &one = *bound[0].chain, &other = *bound[i].chain;
    const double largest = std::min(one.largest(), other.largest());
    double off = 0;
    for (std::int64_t at = 0; at < s.m * s.n; at += step) {
      const auto value = [&](const Chain& chain) {
        return std::clamp(chain.result(at / s.n, at % s.n), -largest, largest);
      };
      const double difference = std::abs(value(one) - value(other)) / cell.problem->scale;
      off = std::isnan(difference) ? difference : std::max(off, difference);
    }
    if (off <= limit) continue;
    report.failures.push_back(fmt::format("{} {} and {} {}: {} {}: {:.2g} apart, at most {:.2g}",
                                          bound[0].entrant->engine.name, bound[0].layer->facts().isa,
                                          bound[i].entrant->engine.name, bound[i].layer->facts().isa,
                                          weights_->scenario.name(), to_string(s), off, limit));
  }
}

Row Contest::row_of(const Bound& bound, const Timing& timing, const Cell& cell, const Report& report) const {
  const ops::PreparedOp::Facts facts = bound.layer->facts();
  Row row;
  row.shape = cell.problem->shape;
  row.types = weights_->scenario.types;
  row.epilogue = weights_->scenario.epilogue;
  row.isa = facts.isa;
  row.kernel = facts.kernel;
  row.engine = bound.entrant->engine.name;
  row.threads = cell.threads;
  row.cold = cell.cold;
  row.held = cell.held;
  row.best = bound.entrant->best;
  row.seconds = median(timing.seconds);
  row.gops = row.shape.operations() / row.seconds / 1e9;
  // The best of the bursts: what disturbs one of them does not make a share larger.
  const double most = timing.peak.empty() ? 0 : *std::ranges::max_element(timing.peak);
  const double peak = most * cell.threads / 1e9;
  row.percent_of_peak = peak > 0 ? 100 * row.gops / peak : 0;
  if (const auto* fed = bound.entrant->fed) {
    const auto found = report.peaks.find(fed->name);
    if (found != report.peaks.end()) row.percent_of_fed = 100 * row.gops / (found->second * cell.threads);
  }
  row.weights_gbps = static_cast<double>(bound.layer->packed_bytes()) / row.seconds / 1e9;
  row.read_gbps = cell.read_gbps;
  row.error = bound.error;
  row.bind_us = bound.chain->bind_microseconds();
  return row;
}

Result<std::vector<Row>> Contest::measure(const Cell& cell, Team& team, Report& report) {
  const std::size_t failures = report.failures.size();
  INTAGLIO_TRY(const auto bound, bind(cell, team, report));
  compare(bound, cell, report);
  if (bound.empty() || report.failures.size() != failures) return std::vector<Row>();
  std::vector<Contender> contenders;
  for (const Bound& one : bound) contenders.push_back({one.chain.get(), one.entrant->probe});
  Plan plan;
  plan.rounds = cell.rounds;
  if (cell.cold) plan.batch_seconds = 4e-3;
  const auto timings = bench::measure(contenders, team, plan);
  std::vector<Row> rows;
  for (std::size_t i = 0; i < bound.size(); ++i) rows.push_back(row_of(bound[i], timings[i], cell, report));
  return rows;
}

}  // namespace intaglio::bench
