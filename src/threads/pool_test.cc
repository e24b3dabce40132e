#include "threads/pool.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <numeric>

#include "cpu/machine.h"
#include "threads/partition.h"

namespace intaglio::threads {
namespace {

std::unique_ptr<Pool> make(int threads, IdlePolicy idle = IdlePolicy::latency) {
  auto pool = Pool::create(PoolOptions{.threads = threads, .idle = idle});
  EXPECT_TRUE(pool);
  return std::move(*pool);
}

class PoolOfSize : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Sizes, PoolOfSize, testing::Values(1, 2, 3, 7, 12));

TEST_P(PoolOfSize, RunsOnceOnEachThread) {
  const auto pool = make(GetParam());
  ASSERT_EQ(pool->size(), GetParam());
  const auto caller = std::this_thread::get_id();
  for (int repeat = 0; repeat < 200; ++repeat) {
    std::vector<int> calls(static_cast<std::size_t>(GetParam()), 0);  // one place per thread: no atomics
    bool caller_is_first = false;
    auto region = [&](const RegionThread& thread) noexcept {
      ++calls[static_cast<std::size_t>(thread.index)];
      if (thread.index == 0) caller_is_first = std::this_thread::get_id() == caller && thread.count == GetParam();
    };
    pool->run(region);
    ASSERT_EQ(calls, std::vector<int>(calls.size(), 1));
    ASSERT_TRUE(caller_is_first);
  }
}

// Each step reads what all threads wrote in the step before: a barrier that lets one through early gives another sum.
TEST_P(PoolOfSize, BarriersSeparateSteps) {
  const auto pool = make(GetParam());
  constexpr std::int64_t kItems = 97;
  constexpr int kSteps = 60;
  std::vector<std::uint64_t> expected(kItems);
  std::iota(expected.begin(), expected.end(), 1);
  for (int step = 0; step < kSteps; ++step) {
    const std::uint64_t total = std::accumulate(expected.begin(), expected.end(), std::uint64_t{0});
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = total * 31 + i;
  }
  for (int repeat = 0; repeat < 30; ++repeat) {
    std::vector<std::uint64_t> values(kItems), scratch(kItems);
    std::iota(values.begin(), values.end(), 1);
    auto region = [&](const RegionThread& thread) noexcept {
      const Span span = partition(kItems, 1, thread.index, thread.count);
      for (int step = 0; step < kSteps; ++step) {
        std::uint64_t total = 0;
        for (const std::uint64_t v : values) total += v;
        for (std::int64_t i = span.begin; i < span.end; ++i) {
          scratch[static_cast<std::size_t>(i)] = total * 31 + static_cast<std::uint64_t>(i);
        }
        thread.barrier();
        for (std::int64_t i = span.begin; i < span.end; ++i) {
          values[static_cast<std::size_t>(i)] = scratch[static_cast<std::size_t>(i)];
        }
        thread.barrier();
      }
    };
    pool->run(region);
    ASSERT_EQ(values, expected) << "repeat " << repeat;
  }
}

TEST_P(PoolOfSize, SurvivesUnevenWorkAndPauses) {
  const auto pool = make(GetParam());
  std::vector<int> done(static_cast<std::size_t>(GetParam()), 0);
  for (int repeat = 0; repeat < 5; ++repeat) {
    auto region = [&](const RegionThread& thread) noexcept {
      // Long enough for the others to go to sleep inside the barrier.
      if (thread.index == repeat % thread.count) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      thread.barrier();
      ++done[static_cast<std::size_t>(thread.index)];
    };
    pool->run(region);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // long enough for workers to sleep between runs
  }
  EXPECT_EQ(done, std::vector<int>(done.size(), 5));
}

TEST_P(PoolOfSize, ManyBarriersAreNotPathologicallySlow) {
  const auto pool = make(GetParam());
  constexpr int kBarriers = 500;
  auto region = [](const RegionThread& thread) noexcept {
    for (int i = 0; i < kBarriers; ++i) thread.barrier();
  };
  const auto begin = std::chrono::steady_clock::now();
  pool->run(region);
  const auto elapsed = std::chrono::steady_clock::now() - begin;
  // 10 ms each would be the sign of threads that spin for whole time slices. A healthy barrier takes microseconds, on
  // an overloaded machine some hundreds of them.
  EXPECT_LT(elapsed / kBarriers, std::chrono::milliseconds(10));
}

TEST(Pool, ObjectsWithARunMember) {
  struct Region {
    std::atomic<int> calls{0};
    void run(const RegionThread& thread) noexcept {
      thread.barrier();
      ++calls;
    }
  } region;
  const auto pool = make(3);
  pool->run(region);
  EXPECT_EQ(region.calls, 3);
}

TEST(Pool, NestedRunsAreAlone) {
  const auto pool = make(3);
  std::atomic<int> inner{0}, alone{0};
  auto region = [&](const RegionThread&) noexcept {
    auto nested = [&](const RegionThread& thread) noexcept {
      thread.barrier();
      ++inner;
      if (thread.count == 1 && thread.index == 0) ++alone;
    };
    pool->run(nested);
  };
  pool->run(region);
  EXPECT_EQ(inner, 3);
  EXPECT_EQ(alone, 3);
  EXPECT_EQ(pool->contested_runs(), 3u);
}

TEST(Pool, ConcurrentCallersAllFinish) {
  const auto pool = make(3);
  constexpr int kCallers = 4, kRuns = 300;
  std::vector<std::thread> callers;
  std::atomic<std::int64_t> wrong{0};
  for (int c = 0; c < kCallers; ++c) {
    callers.emplace_back([&] {
      for (int r = 0; r < kRuns; ++r) {
        std::vector<std::int64_t> part(3, 0);
        std::int64_t total = 0;
        auto region = [&](const RegionThread& thread) noexcept {
          const Span span = partition(100, 1, thread.index, thread.count);
          for (std::int64_t i = span.begin; i < span.end; ++i) part[static_cast<std::size_t>(thread.index)] += i;
          thread.barrier();
          if (thread.index == 0) total = part[0] + part[1] + part[2];
        };
        pool->run(region);
        if (total != 4950) ++wrong;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Pool, IsCreatedAndDestroyedAtAnyMoment) {
  for (int i = 0; i < 100; ++i) {
    const auto pool = make(1 + i % 5, i % 2 == 0 ? IdlePolicy::latency : IdlePolicy::shared);
    std::atomic<int> calls{0};
    auto region = [&](const RegionThread&) noexcept { ++calls; };
    for (int r = 0; r < i % 4; ++r) pool->run(region);
    EXPECT_EQ(calls, (i % 4) * pool->size());
  }
}

TEST(Pool, RefusesCountsOutOfRange) {
  for (const int threads : {0, -1, 1025}) {
    const auto pool = Pool::create(threads);
    ASSERT_FALSE(pool);
    EXPECT_EQ(pool.error().code, ErrorCode::usage);
  }
}

TEST(Pool, PinningIsReported) {
  EXPECT_EQ((*Pool::create(1))->description(), "1 thread, not pinned");
  const int cpus = cpu::detect().logical_cores();
  const auto crowded = Pool::create(PoolOptions{.threads = cpus + 1, .pin = true});
  ASSERT_TRUE(crowded);
  EXPECT_NE((*crowded)->description().find("not pinned: the process may use only"), std::string::npos);
  if (cpus < 2) GTEST_SKIP() << "one CPU: nothing to pin";
  const auto pinned = Pool::create(PoolOptions{.threads = 2, .pin = true});
  ASSERT_TRUE(pinned);
  ASSERT_EQ((*pinned)->description(), "2 threads, workers pinned");
  int worker_cpus = 0;
  auto region = [&](const RegionThread& thread) noexcept {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    if (thread.index == 1) worker_cpus = CPU_COUNT(&set);
  };
  (*pinned)->run(region);
  EXPECT_EQ(worker_cpus, 1);
}

TEST(Pool, WorkersTakeNoSignals) {
  const auto pool = make(2);
  std::atomic<int> blocked{0};
  auto region = [&](const RegionThread& thread) noexcept {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    if (thread.index == 1) blocked = sigismember(&mask, SIGINT) + sigismember(&mask, SIGUSR1);
  };
  pool->run(region);
  EXPECT_EQ(blocked, 2);
}

TEST(Pool, SharedWhileHeld) {
  const auto a = shared_pool(PoolOptions{.threads = 2}), b = shared_pool(PoolOptions{.threads = 2});
  const auto c = shared_pool(PoolOptions{.threads = 3});
  ASSERT_TRUE(a && b && c);
  EXPECT_EQ(a->get(), b->get());
  EXPECT_NE(a->get(), c->get());
  EXPECT_FALSE(shared_pool(PoolOptions{.threads = 0}));
}

TEST(Pool, AForkedChildRunsAlone) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer does not follow a fork of a program with threads";
#endif
  auto pool = make(3);
  int calls = 0, count = 0;
  auto region = [&](const RegionThread& thread) noexcept {
    if (thread.index != 0) return;
    ++calls;
    count = thread.count;
  };
  pool->run(region);
  EXPECT_EQ(count, 3);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    pool->run(region);
    pool.reset();
    _exit(calls == 2 && count == 1 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  pool->run(region);
  EXPECT_EQ(count, 3);
}

}  // namespace
}  // namespace intaglio::threads
