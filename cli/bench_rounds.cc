// The measuring loop: engines take turns, so that heat, frequency and neighbours strike all of them alike.
#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

#include "cli/bench.h"
#include "cli/peer.h"
#include "cli/progress.h"

namespace intaglio::cli {

namespace {

constexpr std::int64_t kRounds = 10;
// Before every turn: the idle threads of the engine that just ran stop spinning.
constexpr auto kPause = std::chrono::milliseconds(20);

double mb(std::size_t bytes) {
  return static_cast<double>(bytes) / 1e6;
}

std::vector<std::int64_t> turn(Session& session, Peer* peer, std::int64_t iterations) {
  if (iterations == 0) return {};
  if (peer != nullptr) return peer->run(iterations);
  std::vector<std::int64_t> nanoseconds(static_cast<std::size_t>(iterations));
  for (std::int64_t& value : nanoseconds) value = session.run();
  return nanoseconds;
}

BenchResult describe(const Session& session, const BenchPlan& plan) {
  const ModelFacts facts = session.model().facts();
  BenchResult result;
  result.model = plan.model;
  result.engine = "intaglio";
  result.version = version();
  result.dtype = arithmetic_of(facts);
  result.threads = session.model().threads();
  result.compile_ms = facts.compile_ms;
  result.load_ms = facts.load_ms;
  result.ours = true;
  return result;
}

BenchResult describe(const Peer& peer, const BenchPlan& plan, int threads) {
  BenchResult result;
  result.model = plan.model;
  result.engine = peer.ready().value("engine", "peer");
  result.version = peer.ready().value("version", "");
  result.dtype = peer.ready().value("dtype", "f32");
  result.threads = threads;
  result.compile_ms = peer.ready().value("compile_ms", 0.0);
  result.load_ms = peer.ready().value("load_ms", 0.0);
  return result;
}

void measure_alone(Session& session, const BenchPlan& plan, BenchResult& result) {
  Progress progress("bench");
  for (std::int64_t i = 0; i < plan.warmup; ++i) {
    session.run();
    progress.update("warm-up", static_cast<double>(i + 1) / static_cast<double>(plan.warmup));
  }
  result.nanoseconds.reserve(static_cast<std::size_t>(plan.iterations));
  for (std::int64_t i = 0; i < plan.iterations; ++i) {
    result.nanoseconds.push_back(session.run());
    progress.update("measuring", static_cast<double>(i + 1) / static_cast<double>(plan.iterations));
  }
}

// engines[0] is a null pointer: ours.
void measure_in_turns(Session& session, const std::vector<Peer*>& engines, const BenchPlan& plan,
                      std::vector<BenchResult>& results) {
  Progress progress("bench");
  for (Peer* peer : engines) turn(session, peer, plan.warmup);
  const std::int64_t rounds = std::min(kRounds, plan.iterations);
  for (std::int64_t round = 0; round < rounds; ++round) {
    const std::int64_t share = plan.iterations * (round + 1) / rounds - plan.iterations * round / rounds;
    for (std::size_t i = 0; i < engines.size(); ++i) {
      const std::size_t which = (i + static_cast<std::size_t>(round)) % engines.size();
      std::this_thread::sleep_for(kPause);
      const auto taken = turn(session, engines[which], share);
      results[which].nanoseconds.insert(results[which].nanoseconds.end(), taken.begin(), taken.end());
    }
    progress.update("rounds", static_cast<double>(round + 1) / static_cast<double>(rounds));
  }
}

}  // namespace

std::vector<BenchResult> measure(Session& session, const BenchPlan& plan) {
  std::vector<BenchResult> results = {describe(session, plan)};
  std::vector<std::unique_ptr<Peer>> peers;
  std::vector<Peer*> engines = {nullptr};
  for (const std::string& name : plan.peers) {
    peers.push_back(std::make_unique<Peer>(name, plan.model, session.model().threads()));
    peers.back()->load(session.model().inputs(), session.inputs());
    results.push_back(describe(*peers.back(), plan, session.model().threads()));
    engines.push_back(peers.back().get());
  }
  if (peers.empty()) {
    measure_alone(session, plan, results[0]);
    results[0].peak_rss_mb = mb(process_bytes("VmHWM"));
    return results;
  }
  measure_in_turns(session, engines, plan, results);
  results[0].peak_rss_mb = mb(process_bytes("VmHWM"));
  double best = 0;
  for (std::size_t i = 1; i < engines.size(); ++i) {
    results[i].error = compare(session.outputs(), engines[i]->outputs());
    results[i].compared = true;
    results[i].peak_rss_mb = engines[i]->request({{"cmd", "memory"}}).value("peak_rss_mb", 0.0);
    const double median = summarise(results[i].nanoseconds).p50;
    best = best == 0 ? median : std::min(best, median);
  }
  results[0].ratio = best / summarise(results[0].nanoseconds).p50;
  return results;
}

}  // namespace intaglio::cli
