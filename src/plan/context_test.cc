// Contexts: the cache of shapes, memory over many shapes, runs without allocation, errors of views and of data.
#include "plan/context.h"

#include <gmock/gmock.h>

#include <atomic>
#include <cmath>
#include <random>
#include <thread>

#include "base/heap_count_test_util.h"
#include "base/huge_pages.h"
#include "plan/plan_test_util.h"

namespace intaglio::plan {
namespace {

using testing::HasSubstr;

std::shared_ptr<threads::Pool> pool_of(int threads) {
  return *threads::Pool::create({.threads = threads, .idle = threads::IdlePolicy::shared});
}

// The small model by the obvious loops in double.
struct Expected {
  std::vector<double> rows, tail;
};
Expected small_model_by_hand(const std::vector<std::int64_t>& ids, const std::vector<float>& bias) {
  const std::vector<float> table = ramp(80), weight = ramp(32, -1.0f, 0.125f);
  Expected out;
  for (const std::int64_t id : ids) {
    const auto row = static_cast<std::size_t>(id < 0 ? id + 10 : id);
    std::vector<double> hidden;
    for (std::size_t k = 0; k < 8; ++k)
      hidden.push_back(std::tanh(static_cast<double>(table[row * 8 + k]) + static_cast<double>(bias[k])));
    for (std::size_t j = 0; j < 4; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < 8; ++k) sum += hidden[k] * static_cast<double>(weight[k * 4 + j]);
      out.rows.push_back(sum);
    }
    out.tail = hidden;
  }
  return out;
}

TEST(Context, SmallModelAgainstLoops) {
  const auto plan = small_model().finish();
  std::mt19937 random(3);
  const std::vector<float> bias = ramp(8, -2.0f, 0.25f);
  for (const int threads : {1, 2, 3}) {
    Runner runner(plan, threads);
    for (int round = 0; round < 20; ++round) {
      const std::int64_t batch = 1 + static_cast<std::int64_t>(random() % 3),
                         seq = 1 + static_cast<std::int64_t>(random() % 40);
      std::vector<std::int64_t> ids(static_cast<std::size_t>(batch * seq));
      for (auto& id : ids) id = static_cast<std::int64_t>(random() % 20) - 10;
      runner.clear();
      runner.add<std::int64_t>({batch, seq}, ids);
      runner.add<float>({8}, bias);
      const Status status = runner.run();
      ASSERT_TRUE(status.has_value()) << status.error().to_string();
      const Expected expected = small_model_by_hand(ids, bias);
      const auto rows = runner.output<float>(0), turned = runner.output<float>(1), tail = runner.output<float>(2);
      ASSERT_EQ(rows.size(), expected.rows.size());
      for (std::size_t i = 0; i < rows.size(); ++i) {
        EXPECT_NEAR(rows[i], expected.rows[i], 1e-5);
        EXPECT_EQ(turned[i % 4 * ids.size() + i / 4], rows[i]);
      }
      ASSERT_EQ(tail.size(), 8u);
      for (std::size_t k = 0; k < 8; ++k) EXPECT_NEAR(tail[k], expected.tail[k], 1e-6);
    }
  }
}

Shape ids_shape(std::int64_t batch, std::int64_t seq) {
  return {batch, seq};
}

TEST(Context, LeastRecentlyUsedBindingGoesFirst) {
  ContextOptions options;
  options.pool = pool_of(1);
  options.cached_shapes = 2;
  Context context(small_model().finish(), options);
  const auto prepare = [&](std::int64_t seq) { return *context.prepare(std::vector<Shape>{ids_shape(1, seq), {8}}); };
  const auto group_of = [&](std::int64_t seq) {
    const HeapCount count;
    prepare(seq);
    return count.allocations() > 20;  // a bind allocates a lot, a hit only the key of this call
  };
  prepare(1);
  prepare(2);
  EXPECT_FALSE(group_of(1));
  EXPECT_FALSE(group_of(2));
  EXPECT_FALSE(group_of(1));  // now 2 is the oldest
  EXPECT_TRUE(group_of(3));
  EXPECT_FALSE(group_of(1));
  EXPECT_TRUE(group_of(2));
}

TEST(Context, TenThousandShapesKeepTheMemoryOfTheLargest) {
  const auto plan = small_model().finish();
  ContextOptions options;
  options.pool = pool_of(2);
  options.cached_shapes = 4;
  Context context(plan, options), largest(plan, options);
  ASSERT_TRUE(largest.prepare(std::vector<Shape>{ids_shape(64, 400), {8}}).has_value());
  const std::size_t bound = largest.arena_bytes();
  ASSERT_GT(bound, 0u);
  std::mt19937 random(11);
  const std::size_t live = alloc_stats().live_bytes;
  for (int round = 0; round < 10000; ++round) {
    const std::int64_t batch = static_cast<std::int64_t>(random() % 65),
                       seq = 1 + static_cast<std::int64_t>(random() % 400);
    ASSERT_TRUE(context.prepare(std::vector<Shape>{ids_shape(batch, seq), {8}}).has_value());
  }
  ASSERT_TRUE(context.prepare(std::vector<Shape>{ids_shape(64, 400), {8}}).has_value());
  EXPECT_EQ(context.arena_bytes(), bound);
  EXPECT_EQ(alloc_stats().live_bytes - live, bound);
}

// By what the kernel tells of the whole process with the arena of a run and without it.
TEST(Context, ArenaLiesOnHugePages) {
  if (const auto why = huge_pages_refused()) GTEST_SKIP() << *why;
  PlanBuilder b;
  const Dim n = Dim::symbol("n");
  const ValueId x = b.input("x", {n});
  const ValueId first = b.elementwise("first", "neg", {x}, {n});
  const ValueId second = b.elementwise("second", "exp", {first}, {n});
  b.output("y", b.elementwise("y", "add", {first, second}, {n}));
  const auto plan = b.finish();
  const auto in_process = [] { return bytes_on_huge_pages(nullptr, SIZE_MAX); };
  Runner runner(plan, 2);
  constexpr std::int64_t kCount = 3 << 20;  // two buffers of 12 MiB
  runner.add<float>({kCount}, ramp(kCount));
  ASSERT_TRUE(runner.run().has_value());
  const std::size_t bytes = runner.context().arena_bytes();
  ASSERT_GE(bytes, 24u << 20);
  const std::size_t with = in_process();
  runner.drop_context();
  const std::size_t without = in_process();
  const Buffer control = Buffer::allocate(bytes, true).value();
  std::memset(control.data(), 1, bytes);
  if (bytes_on_huge_pages(control.data(), bytes) < bytes / kHugePage * kHugePage)
    GTEST_SKIP() << "the kernel has too few huge pages now";
  EXPECT_EQ(with - without, bytes / kHugePage * kHugePage);
}

TEST(Context, PreparedRunsAllocateNothing) {
  for (const int threads : {1, 3}) {
    ContextOptions options;
    options.pool = pool_of(threads);
    Context context(small_model().finish(), options);
    const std::vector<float> bias = ramp(8);
    std::vector<std::int64_t> ids(60, 3);
    std::vector<float> rows(240), turned(240), tail(8);
    const std::vector<Shape> shapes{{3, 20}, {2, 30}};
    for (const Shape& shape : shapes) ASSERT_TRUE(context.prepare(std::vector<Shape>{shape, {8}}).has_value());
    const Shape bias_shape{8};
    const std::size_t buffers = alloc_stats().allocations;
    bool good = true;
    const HeapCount count;
    for (int round = 0; round < 50; ++round) {
      const InputView inputs[] = {{ids.data(), DType::i64, shapes[static_cast<std::size_t>(round % 2)]},
                                  {bias.data(), DType::f32, bias_shape}};
      const OutputView outputs[] = {{rows.data(), 960}, {turned.data(), 960}, {tail.data(), 32}};
      good = good && context.run(inputs, outputs).has_value();
    }
    EXPECT_EQ(count.allocations(), 0u);
    EXPECT_TRUE(good);
    EXPECT_EQ(alloc_stats().allocations, buffers);
  }
}

class ViewErrors : public testing::Test {
 protected:
  ViewErrors() {
    ContextOptions options;
    options.pool = pool_of(1);
    context_ = std::make_unique<Context>(small_model().finish(), options);
  }
  void expect(const std::string& message, const std::string& origin) {
    const Status status = context_->run(inputs_, outputs_);
    ASSERT_FALSE(status.has_value()) << message;
    EXPECT_EQ(status.error().code, ErrorCode::usage) << status.error().to_string();
    EXPECT_THAT(status.error().message, HasSubstr(message));
    EXPECT_THAT(status.error().origin, HasSubstr(origin));
  }
  std::unique_ptr<Context> context_;
  std::vector<std::int64_t> ids_{1, 2, 3, 4, 5, 6};
  alignas(8) float bias_[9] = {};
  float rows_[25] = {}, turned_[24] = {}, tail_[8] = {};
  Shape ids_shape_{2, 3}, bias_shape_{8};
  std::vector<InputView> inputs_{{ids_.data(), DType::i64, ids_shape_}, {bias_, DType::f32, bias_shape_}};
  std::vector<OutputView> outputs_{{rows_, 96}, {turned_, 96}, {tail_, 32}};
};

TEST_F(ViewErrors, NoneAtFirst) {
  EXPECT_TRUE(context_->run(inputs_, outputs_).has_value());
}

TEST_F(ViewErrors, Inputs) {
  inputs_[0].dtype = DType::i32;
  expect("the dtype is i32; the model wants i64", "input 'ids'");
  inputs_[0] = {nullptr, DType::i64, ids_shape_};
  expect("null", "input 'ids'");
  inputs_[0] = {reinterpret_cast<const char*>(ids_.data()) + 4, DType::i64, ids_shape_};
  expect("not aligned", "input 'ids'");
  inputs_[0] = {ids_.data(), DType::i64, bias_shape_};
  expect("rank 1", "input 'ids'");
  inputs_.pop_back();
  expect("1 inputs were given; the model has 2", "");
}

TEST_F(ViewErrors, Outputs) {
  outputs_[1].bytes = 95;
  expect("the memory has 95 bytes; 96 are needed", "output 'turned'");
  outputs_[1] = {nullptr, 96};
  expect("null", "output 'turned'");
  outputs_[1] = {turned_, 96};
  outputs_[0].data = reinterpret_cast<char*>(rows_) + 2;
  expect("aligned", "output 'rows'");
  outputs_.pop_back();
  expect("2 outputs were given; the model has 3", "");
}

TEST_F(ViewErrors, UnalignedToLinesIsFine) {
  outputs_[0].data = rows_ + 1;
  inputs_[1].data = bias_ + 1;
  EXPECT_TRUE(context_->run(inputs_, outputs_).has_value());
}

TEST(Context, IndexOutOfRangeNamesTheNode) {
  for (const int threads : {1, 2}) {
    Runner runner(small_model().finish(), threads);
    runner.add<std::int64_t>({1, 3}, {1, 10, 2});
    runner.add<float>({8}, ramp(8));
    for (int round = 0; round < 2; ++round) {
      const Status status = runner.run();
      ASSERT_FALSE(status.has_value());
      EXPECT_EQ(status.error().code, ErrorCode::data);
      EXPECT_THAT(status.error().origin, HasSubstr("node 'embed' (gather)"));
    }
    runner.clear();
    runner.add<std::int64_t>({1, 3}, {1, 9, -10});
    runner.add<float>({8}, ramp(8));
    EXPECT_TRUE(runner.run().has_value());
  }
}

// Memory that cannot be had is an error; afterwards the context still works, also with shapes it had bound before.
TEST(Context, FailedAllocationsLeaveAWorkingContext) {
  Runner runner(small_model().finish(), 2);
  const auto set = [&](std::int64_t seq) {
    runner.clear();
    runner.add<std::int64_t>({1, seq}, std::vector<std::int64_t>(static_cast<std::size_t>(seq), 4));
    runner.add<float>({8}, ramp(8));
  };
  set(10);
  ASSERT_TRUE(runner.run().has_value());
  const auto before = runner.outputs();
  set(500);
  fail_allocation_after(0);
  const Status status = runner.run();
  fail_allocation_after(std::nullopt);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::unsupported);  // of the shapes, not a bug
  EXPECT_THAT(status.error().message, HasSubstr("out of memory"));
  EXPECT_THAT(status.error().hint, HasSubstr("smaller shapes"));
  set(10);
  ASSERT_TRUE(runner.run().has_value());
  EXPECT_EQ(runner.outputs(), before);
  set(500);
  EXPECT_TRUE(runner.run().has_value());
}

// Sizes of scratch come from a plan: their sum over the threads is checked like the arena.
TEST(Context, ScratchCountsAgainstTheLimit) {
  const auto plan = small_model().finish();
  ContextOptions options;
  options.pool = pool_of(2);
  const std::vector<Shape> shapes{{1, 4}, {8}};
  const auto scratch = plan::bind(*plan, shapes, {2, options.max_arena_bytes}).value()->thread_scratch_bytes;
  ASSERT_GT(scratch, 0u);
  options.max_arena_bytes = 2 * scratch + 64 * 1024;  // whatever all threads share
  EXPECT_TRUE(Context(plan, options).prepare(shapes));
  options.max_arena_bytes = 2 * scratch - 1;
  const auto refused = Context(plan, options).prepare(shapes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("bytes of scratch for each of 2 threads"));
}

// Many callers of one plan and one pool: whoever finds the pool busy runs alone, with the same bits.
TEST(Context, ContestedPoolGivesTheSameBits) {
  const auto plan = small_model().finish();
  const auto pool = pool_of(2);
  const std::vector<std::int64_t> ids(300, 7);
  const std::vector<float> bias = ramp(8);
  const Shape ids_shape{3, 100}, bias_shape{8};
  const auto run = [&](Context& context, std::vector<float>& rows) {
    std::vector<float> turned(1200), tail(8);
    const InputView inputs[] = {{ids.data(), DType::i64, ids_shape}, {bias.data(), DType::f32, bias_shape}};
    const OutputView outputs[] = {{rows.data(), 4800}, {turned.data(), 4800}, {tail.data(), 32}};
    return context.run(inputs, outputs).has_value();
  };
  ContextOptions options;
  options.pool = pool;
  std::vector<float> expected(1200);
  {
    Context context(plan, options);
    ASSERT_TRUE(run(context, expected));
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      Context context(plan, options);
      for (int round = 0; round < 100; ++round) {
        std::vector<float> rows(1200);
        if (!run(context, rows) || rows != expected) wrong.fetch_add(1);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong.load(), 0);
}

}  // namespace
}  // namespace intaglio::plan
