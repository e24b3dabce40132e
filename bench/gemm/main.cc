// Prepared linears beside oneDNN's: all measuring in one process (bench/README.md). Exit codes: 0; 1 wrong answers or
// an error; 2 wrong arguments.
#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "bench/gemm/contest.h"
#include "bench/gemm/stateful.h"
#include "bench/gemm/worker.h"
#include "cpu/machine.h"

namespace intaglio::bench {

namespace {

constexpr double kThreadedOperations = 100e6;  // smaller products are not worth a second thread
constexpr std::int64_t kColdRows = 8;          // up to here weights are what a product waits for
constexpr std::size_t kColdBytes = std::size_t{512} << 20;

// Of each engine's copies: 512 MB, or twice the last cache when memory is short.
std::size_t cold_bytes() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  for (std::size_t value = 0; file >> name >> value;) {
    std::getline(file, unit);
    if (name == "MemAvailable:" && value * 1024 < 8 * kColdBytes)
      return std::max(2 * cpu::detect().caches.l3, std::size_t{64} << 20);
  }
  return kColdBytes;
}

class Bench {
 public:
  Bench(const Options& options, ShapeList shapes) : options_(options), shapes_(std::move(shapes)) {}

  Result<Report> run() {
    report_.machine = cpu::summary(cpu::detect());
    if (peer_engine())
      report_.peer = peer_description();
    else if (!peer_description().empty())
      report_.refused.push_back(peer_description() + ": only with OMP_NUM_THREADS=1");
    for (const auto* row : compute_probes()) report_.peaks[row->name] = measure_compute(*row, 0.02) / 1e9;
    std::int64_t most = 1;
    for (const Product& s : shapes_.all) most = std::max(most, s.n * s.k);
    INTAGLIO_TRY(store_, RandomStore::create(static_cast<std::size_t>(most)));
    for (const int threads : options_.threads) {
      INTAGLIO_TRY(teams_.emplace_back(), Team::create(threads));
    }
    pin();
    report_.cold_bytes = cold_bytes();
    for (const Scenario& scenario : scenarios()) {
      if (options_.types.empty() || std::ranges::count(options_.types, scenario.kind()) != 0)
        INTAGLIO_CHECK(run_scenario(scenario));
    }
    return std::move(report_);
  }

 private:
  // The calling thread, after the pools, whose threads have CPUs of their own.
  static void pin() {
    const auto& cpus = cpu::detect().allowed_cpus;
    if (cpus.empty()) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpus[0], &set);
    sched_setaffinity(0, sizeof(set), &set);
  }

  bool held(const Product& s) const { return std::ranges::find(shapes_.held, s) != shapes_.held.end(); }

  bool wanted(const Scenario& scenario, const Product& s) const {
    switch (scenario.range) {
      case Range::all:
        return true;
      case Range::small_m:
        return s.m <= 32;
      case Range::held:
        return held(s) || options_.levels_given;
    }
    return false;
  }

  Status run_scenario(const Scenario& scenario) {
    fmt::print("{}\n", scenario.name());
    for (auto first = shapes_.all.begin(); first != shapes_.all.end();) {
      const auto last =
          std::find_if(first, shapes_.all.end(), [&](const Product& s) { return s.n != first->n || s.k != first->k; });
      std::vector<Product> group;
      std::copy_if(first, last, std::back_inserter(group), [&](const Product& s) { return wanted(scenario, s); });
      if (!group.empty()) INTAGLIO_CHECK(run_group(scenario, group));
      first = last;
    }
    return {};
  }

  Status run_group(const Scenario& scenario, const std::vector<Product>& group) {
    const bool lower = std::ranges::any_of(group, [&](const Product& s) { return held(s); });
    INTAGLIO_TRY(Contest contest, Contest::prepare(scenario, group[0].n, group[0].k, options_, lower, store_, report_));
    if (contest.empty()) return {};
    double read_gbps = 0;
    const auto is_cold = [&](const Product& s) { return s.m <= kColdRows || (held(s) && !options_.quick); };
    const bool cold = options_.cold && std::ranges::any_of(group, is_cold);
    if (cold) {
      INTAGLIO_CHECK(contest.make_cold(arenas_, report_.cold_bytes));
      const Buffer& memory = arenas_[0].memory();
      read_gbps = measure_read(memory) / 1e9;
      report_.read_bytes = memory.size();
      report_.peaks["read_gbps"] = std::max(report_.peaks["read_gbps"], read_gbps);
    }
    for (const Product& s : group) {
      INTAGLIO_TRY(const Problem problem, Problem::make(contest.weights(), s.m));
      for (Team& team : teams_) {
        const int threads = team.size();
        if (threads > 1 && s.operations() < kThreadedOperations) continue;
        Contest::Cell cell{&problem, threads, false, held(s)};
        cell.lower = threads == 1 && (held(s) || options_.levels_given);
        cell.rounds = options_.rounds;
        if (options_.hot) INTAGLIO_CHECK(run_cell(contest, cell, team));
        if (!cold || !is_cold(s) || threads > 1) continue;
        cell.cold = true;
        cell.lower = false;
        cell.read_gbps = read_gbps;
        INTAGLIO_CHECK(run_cell(contest, cell, team));
      }
    }
    return {};
  }

  Status run_cell(Contest& contest, const Contest::Cell& cell, Team& team) {
    INTAGLIO_TRY(const auto rows, contest.measure(cell, team, report_));
    if (!rows.empty()) fmt::print("{}\n", line_of(rows));
    std::fflush(stdout);
    report_.rows.insert(report_.rows.end(), rows.begin(), rows.end());
    return {};
  }

  const Options& options_;
  ShapeList shapes_;
  RandomStore store_;
  std::vector<Team> teams_;
  std::vector<Arena> arenas_;
  Report report_;
};

int complain(const Error& error) {
  fmt::print(stderr, "gemm_bench: error: {}\n", error.to_string());
  return error.code == ErrorCode::file || error.code == ErrorCode::usage ? 2 : 1;
}

// Writes `text` to the file that was opened for it, if any.
int finish(std::ofstream& json, const std::string& path, const std::string& text, int code) {
  if (path.empty()) return code;
  json << text;
  json.close();
  return json ? code : complain({ErrorCode::file, "cannot be written", path, {}});
}

int run_main(int argc, const char* const* argv) {
  const auto [options, exit_code] = parse_options(argc, argv);
  if (exit_code >= 0) return exit_code;
  if (options.worker) return serve();
  auto shapes = load_shapes(options);
  if (!shapes) return complain(shapes.error());
  std::ofstream json;
  if (!options.json.empty()) {
    json.open(options.json);  // before the work, not after it
    if (!json) return complain({ErrorCode::file, "cannot be written", options.json, {}});
  }
  if (options.stateful) {
    const auto report = measure_stateful(encoders(), stateful_tokens(), options.rounds);
    if (!report) return complain(report.error());
    fmt::print("{}", stateful_text(*report));
    return finish(json, options.json, stateful_json(*report), 0);
  }
  const auto report = Bench(options, std::move(*shapes)).run();
  if (!report) return complain(report.error());
  fmt::print("{}", summary_text(*report));
  return finish(json, options.json, json_text(*report), report->failures.empty() ? 0 : 1);
}

}  // namespace

}  // namespace intaglio::bench

int main(int argc, char** argv) {
  return intaglio::bench::run_main(argc, argv);
}
