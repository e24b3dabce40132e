// Packed weights on huge pages: the same bits, memory accounted for, refusals told, failures as errors.
#include "plan/weights.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>

#include "base/huge_pages.h"
#include "plan/file.h"
#include "plan/plan_test_util.h"

namespace intaglio::plan {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::int64_t kWidth = 1024;  // a weight of 4 MiB
const Dim kN = Dim::symbol("n");

// x [n, 1024] + table row, through two weights of 4 MiB each, which are equal problems.
PlanBuilder large_model() {
  PlanBuilder b;
  const ValueId x = b.input("x", {kN, Dim(kWidth)});
  const ValueId table = b.constant("table", {kWidth}, ramp(kWidth, -3, 0.0625f));
  const ValueId moved = b.elementwise("add", "add", {x, table}, {kN, Dim(kWidth)});
  const ValueId hidden = b.linear("first", moved, kWidth, kWidth, {kN, Dim(kWidth)});
  b.output("y", b.linear("second", hidden, kWidth, kWidth, {kN, Dim(kWidth)}));
  return b;
}

std::vector<std::vector<std::byte>> outputs_of(const std::shared_ptr<const Plan>& plan, std::int64_t rows,
                                               int threads) {
  Runner runner(plan, threads);
  runner.add<float>({rows, kWidth}, ramp(static_cast<std::size_t>(rows * kWidth), -1, 0.03125f));
  const Status status = runner.run();
  EXPECT_TRUE(status.has_value()) << status.error().to_string();
  return runner.outputs();
}

class HugeWeightsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("intaglio_weights_test_" + std::to_string(getpid()));
    fs::create_directories(folder_);
    path_ = folder_ / "model.plan";
  }
  void TearDown() override { fs::remove_all(folder_); }

  Result<std::shared_ptr<const Plan>> reload(const HugePageOptions& huge_pages) const {
    return load(path_, ops::own_candidates(), test_target(), {.verify_weights = false, .huge_pages = huge_pages});
  }
  static Status move(Plan& plan, std::size_t most_bytes = SIZE_MAX) {
    return use_huge_pages(plan, ops::own_candidates(), test_target(), most_bytes);
  }
  // Of the process, in bytes.
  static std::size_t in_huge_pages(const Plan& plan) {
    const ops::Blob& first = plan.blobs[plan.steps[1].blobs[0]];
    return bytes_on_huge_pages(first.data, packed_weights(plan).bytes);
  }

  fs::path folder_, path_;
};

TEST_F(HugeWeightsTest, LoadedPlanRunsTheSameBits) {
  const auto made = large_model().finish();
  ASSERT_TRUE(save(*made, path_).has_value());
  const auto mapped = reload({});
  ASSERT_TRUE(mapped.has_value()) << mapped.error().to_string();
  EXPECT_FALSE((*mapped)->huge_weights.wanted);
  const std::size_t live = alloc_stats().live_bytes;
  const auto moved = reload({.wanted = true});
  ASSERT_TRUE(moved.has_value()) << moved.error().to_string();
  EXPECT_TRUE((*moved)->huge_weights.wanted);
  EXPECT_EQ((*moved)->weight_bytes(), (*mapped)->weight_bytes());
  for (const std::int64_t rows : {1, 7, 65}) {
    const auto expected = outputs_of(made, rows, 1);
    for (const int threads : {1, 2}) {
      EXPECT_EQ(outputs_of(*mapped, rows, threads), expected) << rows;
      EXPECT_EQ(outputs_of(*moved, rows, threads), expected) << rows;
    }
  }
  // What is saved does not depend on where weights are.
  ASSERT_TRUE(save(**moved, folder_ / "again.plan").has_value());
  EXPECT_EQ(fs::file_size(folder_ / "again.plan"), fs::file_size(path_));
  if (const auto why = huge_pages_refused()) GTEST_SKIP() << *why << "; the plan ran from where it was";
  EXPECT_GE(alloc_stats().live_bytes, live + packed_weights(**moved).bytes);  // a copy of our own, once
  EXPECT_LT(alloc_stats().live_bytes, live + packed_weights(**moved).bytes + 4096);
  // The table is read as an operand, a row here and there: it stays in the file.
  EXPECT_NE((*moved)->blobs[0].owner, (*moved)->blobs[1].owner);
  EXPECT_EQ((*moved)->blobs[1].owner, (*moved)->blobs[2].owner);
  if ((*moved)->huge_weights.bytes == 0) GTEST_SKIP() << (*moved)->huge_weights.refused;
  EXPECT_EQ((*moved)->huge_weights.bytes, in_huge_pages(**moved));
}

TEST_F(HugeWeightsTest, CompiledPlanGivesItsOldMemoryBack) {
  Plan plan = *large_model().finish();
  const auto before = std::make_shared<const Plan>(plan);
  const auto expected = outputs_of(before, 5, 2);
  const std::weak_ptr<const void> old = plan.blobs[plan.steps[1].blobs[0]].owner;
  ASSERT_TRUE(move(plan).has_value());
  EXPECT_EQ(outputs_of(std::make_shared<const Plan>(plan), 5, 2), expected);
  if (const auto why = huge_pages_refused()) GTEST_SKIP() << *why << "; the weights stayed where they were";
  Plan again = plan;
  ASSERT_TRUE(move(again).has_value());  // from huge pages to others
  EXPECT_EQ(outputs_of(std::make_shared<const Plan>(again), 5, 2), expected);
  EXPECT_FALSE(old.expired());  // `before` has it still
}

TEST_F(HugeWeightsTest, OwnersAreReleasedBlobByBlob) {
  if (const auto why = huge_pages_refused()) GTEST_SKIP() << *why;
  PlanBuilder b = large_model();
  assign_bind_groups(b.plan);
  const std::vector<std::weak_ptr<const void>> old{b.plan.blobs[1].owner, b.plan.blobs[2].owner};
  std::vector<std::size_t> copied;
  const Status moved =
      use_huge_pages(b.plan, ops::own_candidates(), test_target(), SIZE_MAX, [&](std::span<const std::byte> part) {
        copied.push_back(part.size());
        EXPECT_EQ(old[0].expired(), copied.size() > 1);
        EXPECT_FALSE(old[1].expired());
      });
  ASSERT_TRUE(moved.has_value()) << moved.error().to_string();
  EXPECT_EQ(copied, (std::vector<std::size_t>{kWidth * kWidth * 4, kWidth * kWidth * 4}));
  EXPECT_TRUE(old[0].expired() && old[1].expired());
}

TEST_F(HugeWeightsTest, TooSmallForAPageStaysAndSaysSo) {
  Plan plan = *small_model().finish();
  const std::byte* before = plan.blobs[plan.steps[3].blobs[0]].data;
  ASSERT_TRUE(move(plan).has_value());
  EXPECT_EQ(plan.blobs[plan.steps[3].blobs[0]].data, before);
  EXPECT_EQ(plan.huge_weights.bytes, 0u);
  EXPECT_THAT(plan.huge_weights.refused, HasSubstr("do not fill one huge page"));
  ASSERT_NE(plan.steps[3].prepared, nullptr);
  Plan empty;
  EXPECT_TRUE(move(empty).has_value());
}

TEST_F(HugeWeightsTest, MemoryThatIsRefusedIsAnError) {
  if (const auto why = huge_pages_refused()) GTEST_SKIP() << *why << "; nothing is allocated";
  ASSERT_TRUE(save(*large_model().finish(), path_).has_value());
  fail_allocation_after(1);
  const auto loaded = reload({.wanted = true});
  fail_allocation_after(std::nullopt);
  ASSERT_FALSE(loaded.has_value());
  EXPECT_EQ(loaded.error().code, ErrorCode::unsupported);
  EXPECT_THAT(loaded.error().to_string(), HasSubstr("out of memory: 8388608 bytes"));
  EXPECT_THAT(loaded.error().hint, HasSubstr("without the option"));
  EXPECT_TRUE(reload({.wanted = true}).has_value());
}

TEST_F(HugeWeightsTest, MoreThanTheMachineHasIsAnError) {
  ASSERT_TRUE(save(*large_model().finish(), path_).has_value());
  const std::size_t bytes = 2 * kWidth * kWidth * 4;
  EXPECT_TRUE(reload({.wanted = true, .most_bytes = bytes}).has_value());
  const auto refused = reload({.wanted = true, .most_bytes = bytes - 1});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::usage);
  EXPECT_THAT(refused.error().message, HasSubstr(std::to_string(bytes - 1)));
}

// Sizes that a file may claim: their sum must not wrap around.
TEST_F(HugeWeightsTest, SizesThatOverflowAreAnError) {
  Plan plan = *large_model().finish();
  for (const std::size_t i : {1, 2}) plan.blobs[i].bytes = SIZE_MAX / 2 + 64;
  const Status moved = move(plan);
  ASSERT_FALSE(moved.has_value());
  EXPECT_EQ(moved.error().code, ErrorCode::usage);
}

TEST(PackedWeights, CountsOperandsOnce) {
  Plan plan = *large_model().finish();
  EXPECT_EQ(packed_weights(plan).count, 2u);
  EXPECT_EQ(packed_weights(plan).bytes, 2u * kWidth * kWidth * 4);
  plan.steps[2].blobs = plan.steps[1].blobs;  // tied
  EXPECT_EQ(packed_weights(plan).count, 1u);
  EXPECT_EQ(packed_weights(plan).bytes, 1u * kWidth * kWidth * 4);
  EXPECT_EQ(packed_weights(Plan()).count, 0u);
}

}  // namespace
}  // namespace intaglio::plan
