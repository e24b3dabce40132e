// Runs that are timed or observed: what they tell, and that their results are those of plain runs.
#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "plan/plan_test_util.h"

namespace intaglio::plan {
namespace {

// The small model with data, and memory for its outputs.
class Hooks : public testing::Test {
 protected:
  Context context_of(int threads) {
    ContextOptions options;
    options.pool = *threads::Pool::create({.threads = threads, .idle = threads::IdlePolicy::shared});
    return {plan_, options};
  }
  std::vector<std::vector<float>> results() const { return {rows_, turned_, tail_}; }
  void clear() {
    for (auto* out : {&rows_, &turned_, &tail_}) std::ranges::fill(*out, -1.0f);
  }

  std::shared_ptr<const Plan> plan_ = small_model().finish();
  std::vector<std::int64_t> ids_ = std::vector<std::int64_t>(60, 3);
  std::vector<float> bias_ = ramp(8), rows_ = ramp(240), turned_ = ramp(240), tail_ = ramp(8);
  Shape ids_shape_{3, 20}, bias_shape_{8};
  std::vector<InputView> inputs_{{ids_.data(), DType::i64, ids_shape_}, {bias_.data(), DType::f32, bias_shape_}};
  std::vector<OutputView> outputs_{{rows_.data(), 960}, {turned_.data(), 960}, {tail_.data(), 32}};
};

TEST_F(Hooks, TimesAreInOrderOnEveryThread) {
  const std::size_t steps = plan_->steps.size();
  for (const int threads : {1, 2, 3}) {
    Context context = context_of(threads);
    ASSERT_TRUE(context.run(inputs_, outputs_).has_value());
    const auto plain = results();
    clear();
    std::vector<StepTime> times(steps * static_cast<std::size_t>(threads));
    const auto now = [] { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); };
    const std::int64_t before = now();
    ASSERT_TRUE(context.run_timed(inputs_, outputs_, times).has_value());
    const std::int64_t after = now();
    EXPECT_EQ(results(), plain);
    for (std::size_t thread = 0; thread < static_cast<std::size_t>(threads); ++thread) {
      std::int64_t last = before;
      for (std::size_t step = 0; step < steps; ++step) {
        const StepTime& time = times[thread * steps + step];
        EXPECT_GE(time.begin_ns, last);
        EXPECT_GE(time.end_ns, time.begin_ns);
        EXPECT_GE(time.waited_ns, 0);
        EXPECT_LE(time.waited_ns, time.end_ns - time.begin_ns);
        last = time.end_ns;
      }
      EXPECT_LE(last, after);
    }
  }
}

TEST_F(Hooks, WrongNumberOfTimesIsUsage) {
  Context context = context_of(2);
  std::vector<StepTime> times(plan_->steps.size());
  const Status status = context.run_timed(inputs_, outputs_, times);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::usage);
}

TEST_F(Hooks, ThreadsThatTookNoPartHaveNoTimes) {
  Context context = context_of(2);
  ContextOptions options;
  options.pool = *threads::Pool::create({.threads = 2, .idle = threads::IdlePolicy::shared});
  Context busy(plan_, options);
  std::vector<StepTime> times(2 * plan_->steps.size(), StepTime{1, 1, 1});
  bool good = false;
  auto region = [&](const threads::RegionThread& self) noexcept {
    if (self.index == 0) good = busy.run_timed(inputs_, outputs_, times).has_value();
  };
  options.pool->run(region);
  ASSERT_TRUE(good);
  for (std::size_t step = 0; step < plan_->steps.size(); ++step) {
    EXPECT_GT(times[step].end_ns, 1);
    EXPECT_EQ(times[plan_->steps.size() + step].end_ns, 0);
  }
}

TEST_F(Hooks, ObserverSeesEveryStepAndItsOutputs) {
  Context context = context_of(2);
  ASSERT_TRUE(context.run(inputs_, outputs_).has_value());
  const auto plain = results();
  clear();
  std::vector<std::uint32_t> seen;
  const auto floats = [&](ValueId id) {
    const auto bytes = context.value_bytes(id);
    std::vector<float> out(bytes.size() / 4);
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  };
  const Status status = context.run_observed(inputs_, outputs_, [&](std::uint32_t step) {
    seen.push_back(step);
    const auto value = floats(plan_->steps[step].outputs[0]);
    EXPECT_EQ(value.size() * 4, *byte_count(shape_of(*plan_, *context.bound(), plan_->steps[step].outputs[0]),
                                            plan_->values[plan_->steps[step].outputs[0]].dtype));
    if (plan_->steps[step].node == "embed") {  // row 3 of the table, 60 times
      const std::vector<float> table = ramp(80);
      for (std::size_t i = 0; i < value.size(); ++i) EXPECT_EQ(value[i], table[24 + i % 8]);
    }
    if (plan_->steps[step].node == "project") {
      EXPECT_EQ(value, plain[0]);
    }
    EXPECT_EQ(floats(plan_->inputs[1].value), bias_);
    EXPECT_EQ(context.value_bytes(plan_->inputs[0].value).size(), ids_.size() * 8);
  });
  ASSERT_TRUE(status.has_value()) << status.error().to_string();
  EXPECT_EQ(results(), plain);
  ASSERT_EQ(seen.size(), plan_->steps.size());
  for (std::uint32_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], i);
  EXPECT_TRUE(context.value_bytes(plan_->outputs[0].value).empty());
}

TEST_F(Hooks, ObserverMayThrow) {
  Context context = context_of(1);
  EXPECT_THROW((void)context.run_observed(inputs_, outputs_, [](std::uint32_t) { throw std::runtime_error("enough"); }),
               std::runtime_error);
  EXPECT_TRUE(context.value_bytes(plan_->outputs[0].value).empty());
  EXPECT_TRUE(context.run(inputs_, outputs_).has_value());
}

TEST_F(Hooks, DataErrorEndsAnObservedRun) {
  Context context = context_of(1);
  ids_[5] = 10;
  int calls = 0;
  const Status status = context.run_observed(inputs_, outputs_, [&](std::uint32_t) { ++calls; });
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::data);
  EXPECT_EQ(calls, 0);
}

TEST_F(Hooks, LiveBytesReachTheLowerBound) {
  Context context = context_of(1);
  ASSERT_TRUE(context.run(inputs_, outputs_).has_value());
  const std::vector<std::size_t> live = live_bytes(*context.bound());
  ASSERT_EQ(live.size(), plan_->steps.size());
  EXPECT_EQ(std::ranges::max(live), context.bound()->arena_lower_bound);
}

}  // namespace
}  // namespace intaglio::plan
