#include "threads/partition.h"

#include <gtest/gtest.h>

namespace intaglio::threads {
namespace {

TEST(Partition, CoversInOrderAndIsBalanced) {
  for (const std::int64_t n : {0, 1, 2, 7, 64, 65, 100, 1000}) {
    for (const std::int64_t grain : {1, 2, 16, 64, 5000}) {
      for (const int count : {1, 2, 3, 7, 64}) {
        std::int64_t at = 0, least = INT64_MAX, most = 0;
        for (int index = 0; index < count; ++index) {
          const Span span = partition(n, grain, index, count);
          ASSERT_EQ(span.begin, at);
          ASSERT_LE(span.begin, span.end);
          ASSERT_TRUE(span.begin % grain == 0 || span.begin == n);
          at = span.end;
          least = std::min(least, span.size());
          most = std::max(most, span.size());
        }
        ASSERT_EQ(at, n);
        // One grain apart; the short last grain may take off up to one more.
        ASSERT_LE(most - least, n % grain == 0 ? grain : 2 * grain - 1) << n << " " << grain << " " << count;
      }
    }
  }
}

TEST(Partition, DoesNotOverflow) {
  EXPECT_EQ(partition(INT64_MAX, 1, 1023, 1024).end, INT64_MAX);
  EXPECT_EQ(partition(INT64_MAX, INT64_MAX, 0, 2), (Span{0, INT64_MAX}));
  EXPECT_EQ(partition(INT64_MAX, 64, 2, 3).end, INT64_MAX);
}

}  // namespace
}  // namespace intaglio::threads
