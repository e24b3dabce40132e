// Every scenario on small shapes: all levels and the peer give the reference's answer, and a wrong one is noticed.
#include "bench/gemm/contest.h"

#include <gtest/gtest.h>

#include "cpu/machine.h"

namespace intaglio::bench {
namespace {

constexpr Product kShapes[] = {{1, 64, 32}, {17, 129, 96}, {33, 80, 160}};

Options every_level() {
  const char* const arguments[] = {"gemm_bench"};
  return parse_options(1, arguments).options;
}

TEST(Contest, EveryScenarioIsAnsweredRightOnOneAndTwoThreads) {
  const Options options = every_level();
  auto store = RandomStore::create(129 * 160);
  ASSERT_TRUE(store.has_value());
  for (const Scenario& scenario : scenarios()) {
    for (const Product& s : kShapes) {
      Report report;
      auto contest = Contest::prepare(scenario, s.n, s.k, options, true, *store, report);
      ASSERT_TRUE(contest.has_value()) << contest.error().to_string();
      const auto problem = Problem::make(contest->weights(), s.m);
      ASSERT_TRUE(problem.has_value());
      for (const int threads : {1, 2}) {
        auto team = Team::create(threads);
        ASSERT_TRUE(team.has_value());
        Contest::Cell cell{&*problem, threads};
        cell.lower = true;
        cell.rounds = 1;
        const auto rows = contest->measure(cell, *team, report);
        ASSERT_TRUE(rows.has_value()) << rows.error().to_string();
        EXPECT_FALSE(rows->empty()) << scenario.name() << " " << to_string(s);
      }
      for (const std::string& failure : report.failures) ADD_FAILURE() << failure;
    }
  }
}

TEST(Contest, ColdCopiesAnswerLikeTheFirst) {
  const Product s{5, 64, 96};
  auto store = RandomStore::create(static_cast<std::size_t>(s.n * s.k));
  ASSERT_TRUE(store.has_value());
  for (const Scenario& scenario : scenarios()) {
    Report report;
    auto contest = Contest::prepare(scenario, s.n, s.k, every_level(), false, *store, report);
    ASSERT_TRUE(contest.has_value()) << contest.error().to_string();
    std::vector<Arena> arenas;
    const Status made = contest->make_cold(arenas, 5 * contest->packed_bytes());
    ASSERT_TRUE(made.has_value()) << made.error().to_string();
    const auto problem = Problem::make(contest->weights(), s.m);
    auto team = Team::create(1);
    ASSERT_TRUE(problem.has_value() && team.has_value());
    Contest::Cell cell{&*problem, 1, true};
    cell.rounds = 2;
    const auto rows = contest->measure(cell, *team, report);
    ASSERT_TRUE(rows.has_value()) << rows.error().to_string();
    for (const std::string& failure : report.failures) ADD_FAILURE() << failure;
  }
}

// The judge itself: the chain of other weights must not pass for that of these.
TEST(Contest, AWrongAnswerIsFarOff) {
  auto store = RandomStore::create(64 * 96 + 1);
  ASSERT_TRUE(store.has_value());
  const auto engine = own_engine(std::nullopt);
  ASSERT_TRUE(engine.has_value());
  for (const Scenario& scenario : scenarios()) {
    const auto weights = Weights::make(scenario, 64, 96, *store);
    ASSERT_TRUE(weights.has_value());
    Weights wrong = *weights;
    wrong.bias[0] += 1.0f;  // a sampled column
    const auto layer = Layer::pack(*engine, own_recipe(wrong), wrong);
    ASSERT_TRUE(layer.has_value()) << layer.error().to_string();
    const auto problem = Problem::make(*weights, 7);
    ASSERT_TRUE(problem.has_value());
    auto chain = Chain::bind(*layer, *weights, *problem, 1, false);
    ASSERT_TRUE(chain.has_value()) << chain.error().to_string();
    chain->run(1, nullptr);
    EXPECT_GT(chain->error(), tolerance(scenario, 96)) << scenario.name();
  }
}

}  // namespace
}  // namespace intaglio::bench
