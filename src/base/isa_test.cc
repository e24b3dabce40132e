#include "base/isa.h"

#include <gtest/gtest.h>

#include <vector>

namespace intaglio {
namespace {

const std::vector<Isa> kAll = {
#define INTAGLIO_ISA(token, what, implied) Isa::token,
#include "base/isa.inc"
#undef INTAGLIO_ISA
};

TEST(Isa, NamesRoundTrip) {
  for (const Isa isa : kAll) {
    EXPECT_EQ(parse_isa(name_of(isa)), isa);
    EXPECT_FALSE(description_of(isa).empty());
    EXPECT_NE(all_isa_names().find(name_of(isa)), std::string::npos);
  }
  EXPECT_FALSE(parse_isa(""));
  EXPECT_FALSE(parse_isa("AVX2"));
  EXPECT_EQ(name_of(static_cast<Isa>(31)), "invalid");
}

TEST(Isa, ClosuresAreClosed) {
  for (const Isa isa : kAll) {
    EXPECT_TRUE(contains(closure_of(isa), isa));
    EXPECT_TRUE(contains(closure_of(isa), Isa::scalar));
    for (const Isa other : kAll) {
      if (contains(closure_of(isa), other)) {
        EXPECT_TRUE(contains(closure_of(isa), closure_of(other))) << name_of(isa) << " " << name_of(other);
      }
    }
  }
}

TEST(Isa, SetsAreNotALadder) {
  EXPECT_FALSE(contains(closure_of(Isa::avx512_bf16), Isa::avx512_vnni));
  EXPECT_FALSE(contains(closure_of(Isa::avx512), Isa::avx_vnni));
  EXPECT_EQ(to_string(closure_of(Isa::avx2)), "scalar sse42 avx2");
  EXPECT_EQ(to_string(IsaSet{0}), "");
}

}  // namespace
}  // namespace intaglio
