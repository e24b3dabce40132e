// Layouts of random lifetimes against the definition: no two buffers alive at once overlap, nothing below the lower
// bound.
#include "plan/arena.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/alloc.h"

namespace intaglio::plan {
namespace {

std::size_t rounded(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// The bound by counting, step by step.
std::size_t peak_by_steps(const std::vector<Lifetime>& lifetimes, int steps) {
  std::size_t peak = 0;
  for (int step = 0; step < steps; ++step) {
    std::size_t live = 0;
    for (const Lifetime& each : lifetimes) live += each.first <= step && step <= each.last ? rounded(each.bytes) : 0;
    peak = std::max(peak, live);
  }
  return peak;
}

void expect_legal(const std::vector<Lifetime>& lifetimes, const ArenaLayout& layout) {
  ASSERT_EQ(layout.offsets.size(), lifetimes.size());
  std::size_t end = 0;
  for (std::size_t i = 0; i < lifetimes.size(); ++i) {
    EXPECT_EQ(layout.offsets[i] % kAlignment, 0u);
    end = std::max(end, layout.offsets[i] + rounded(lifetimes[i].bytes));
    for (std::size_t j = 0; j < i; ++j) {
      const bool together = lifetimes[i].first <= lifetimes[j].last && lifetimes[j].first <= lifetimes[i].last;
      if (!together || lifetimes[i].bytes == 0 || lifetimes[j].bytes == 0) continue;
      const bool apart = layout.offsets[i] + lifetimes[i].bytes <= layout.offsets[j] ||
                         layout.offsets[j] + lifetimes[j].bytes <= layout.offsets[i];
      EXPECT_TRUE(apart) << i << " and " << j;
    }
  }
  EXPECT_EQ(layout.bytes, end);
}

TEST(Arena, RandomLifetimesNeverOverlap) {
  std::mt19937 random(7);
  for (int round = 0; round < 400; ++round) {
    const int steps = 1 + static_cast<int>(random() % 40);
    std::vector<Lifetime> lifetimes(random() % 60);
    for (Lifetime& each : lifetimes) {
      each.bytes = random() % 4 == 0 ? random() % 3 : random() % 5000;
      each.first = static_cast<int>(random() % static_cast<unsigned>(steps));
      each.last = std::min(steps - 1, each.first + static_cast<int>(random() % 6));
    }
    const ArenaLayout layout = lay_out(lifetimes);
    expect_legal(lifetimes, layout);
    EXPECT_EQ(layout.peak_live, peak_by_steps(lifetimes, steps));
    EXPECT_GE(layout.bytes, layout.peak_live);
    const ArenaLayout again = lay_out(lifetimes);
    EXPECT_EQ(again.offsets, layout.offsets);
    EXPECT_EQ(again.bytes, layout.bytes);
  }
}

TEST(Arena, ChainNeedsTwoBuffers) {
  std::vector<Lifetime> chain;
  for (int i = 0; i < 50; ++i) chain.push_back({640, i, i + 1});
  const ArenaLayout layout = lay_out(chain);
  EXPECT_EQ(layout.bytes, 1280u);
  EXPECT_EQ(layout.peak_live, 1280u);
}

TEST(Arena, SmallBufferFillsAGap) {
  // Two large ones that follow each other and a small one beside both.
  const ArenaLayout layout = lay_out(std::vector<Lifetime>{{6400, 0, 1}, {64, 0, 3}, {6400, 2, 3}});
  EXPECT_EQ(layout.bytes, 6464u);
}

TEST(Arena, EmptyAndZeroSized) {
  EXPECT_EQ(lay_out({}).bytes, 0u);
  EXPECT_EQ(lay_out(std::vector<Lifetime>{{0, 0, 5}, {0, 2, 3}}).bytes, 0u);
  EXPECT_EQ(lay_out(std::vector<Lifetime>{{1, 0, 0}}).bytes, 64u);
}

TEST(Arena, SizesThatDoNotAddUpAreReported) {
  const std::size_t huge = std::size_t{1} << 62;
  EXPECT_EQ(lay_out(std::vector<Lifetime>{{huge, 0, 0}, {huge, 0, 0}}).bytes, kUnlayable);
  EXPECT_EQ(lay_out(std::vector<Lifetime>{{SIZE_MAX, 0, 0}}).bytes, kUnlayable);
  EXPECT_EQ(lay_out(std::vector<Lifetime>{{huge, 0, 0}}).bytes, huge);
}

}  // namespace
}  // namespace intaglio::plan
