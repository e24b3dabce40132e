#include "bench/gemm/measure.h"

#include <algorithm>
#include <cmath>

namespace intaglio::bench {

namespace {

constexpr double kProbeSeconds = 2e-4;
constexpr double kMostSeconds = 2.0;  // of one cell
constexpr double kLongRun = 20e-3;    // needs no warming

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Result<Team> Team::create(int threads) {
  Team team;
  if (threads > 1) {
    threads::PoolOptions options;
    options.threads = threads;
    options.pin = true;
    INTAGLIO_TRY(team.pool_, threads::Pool::create(options));
  }
  return team;
}

double Team::time(Chain& chain, std::size_t iterations) {
  const auto now = pool_ ? wall_seconds : thread_seconds;
  const double start = now();
  chain.run(iterations, pool_.get());
  return (now() - start) / static_cast<double>(iterations);
}

std::vector<Timing> measure(std::vector<Contender>& contenders, Team& team, const Plan& plan) {
  std::vector<Timing> timings(contenders.size());
  std::vector<std::size_t> iterations;
  double round_seconds = 0;
  for (Contender& contender : contenders) {
    double once = team.time(*contender.chain, 1);
    if (once < kLongRun) once = std::max(team.time(*contender.chain, 2), 1e-8);
    iterations.push_back(static_cast<std::size_t>(std::clamp(std::ceil(plan.batch_seconds / once), 1.0, 1e5)));
    round_seconds += once * static_cast<double>(iterations.back());
  }
  const auto affordable = static_cast<int>(kMostSeconds / std::max(round_seconds, 1e-6));
  const int least = affordable == 0 ? 1 : 3;
  const int rounds = std::min(plan.rounds, std::max(least, affordable));
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      const std::size_t turn = (i + static_cast<std::size_t>(round)) % contenders.size();
      const Contender& contender = contenders[turn];
      if (contender.probe != nullptr) timings[turn].peak.push_back(measure_compute(*contender.probe, kProbeSeconds));
      timings[turn].seconds.push_back(team.time(*contender.chain, iterations[turn]));
    }
  }
  return timings;
}

}  // namespace intaglio::bench
