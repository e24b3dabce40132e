// The table of families, and the shares of work that all of them use.
#include "ops/families.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>

#include "ops/candidate.h"

namespace intaglio::ops {
namespace {

TEST(Families, CandidatesAreFoundByNameAndMakeTheirDescriptors) {
  std::set<std::string_view> names, families;
  for (const Candidate* candidate : own_candidates()) {
    EXPECT_TRUE(names.insert(candidate->name()).second) << candidate->name() << " is there twice";
    families.insert(candidate->family());
    EXPECT_EQ(find_candidate(candidate->name(), own_candidates()), candidate);
    const auto descriptor = candidate->make_descriptor();
    ASSERT_NE(descriptor, nullptr) << candidate->name();
    EXPECT_EQ(descriptor->family(), candidate->family());
    EXPECT_EQ(to_string(*descriptor->clone()), to_string(*descriptor));
  }
  std::size_t rows = 0;
#define INTAGLIO_FAMILY(token)            \
  EXPECT_TRUE(families.contains(#token)); \
  ++rows;
#include "ops/families.inc"
#undef INTAGLIO_FAMILY
  EXPECT_EQ(families.size(), rows);
}

TEST(Families, UnknownNames) {
  EXPECT_EQ(find_candidate("intaglio.nothing", own_candidates()), nullptr);
  EXPECT_EQ(find_candidate("", own_candidates()), nullptr);
  EXPECT_EQ(make_descriptor("nothing"), nullptr);
  EXPECT_EQ(make_descriptor(""), nullptr);
}

TEST(Share, CoversEverythingOnceAndCannotOverflow) {
  for (const std::int64_t total : {std::int64_t{0}, std::int64_t{1}, std::int64_t{1000}, INT64_MAX}) {
    for (const std::int64_t grain : {std::int64_t{1}, std::int64_t{64}, INT64_MAX}) {
      for (const int count : {1, 2, 3, 7, 1024}) {
        std::int64_t at = 0;
        for (int index = 0; index < count; ++index) {
          const Range share = share_of(total, grain, {index, count, 0});
          ASSERT_EQ(share.begin, at);
          ASSERT_LE(share.begin, share.end);
          at = share.end;
        }
        ASSERT_EQ(at, total) << grain << " " << count;
      }
    }
  }
}

}  // namespace
}  // namespace intaglio::ops
