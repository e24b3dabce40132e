// Buffers asked for on huge pages lie on them, as the kernel itself tells; what is refused says why.
#include "base/huge_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

#include "base/alloc.h"

namespace intaglio {
namespace {

TEST(HugePages, BuffersLieOnThem) {
  if (const auto why = huge_pages_refused()) GTEST_SKIP() << *why;
  constexpr std::size_t kBytes = 8 * kHugePage + 12345;
  const Buffer plain = Buffer::allocate_zeroed(kBytes, false).value();
  madvise(plain.data(), kBytes, MADV_NOHUGEPAGE);  // whatever the machine's default is
  const Buffer huge = Buffer::allocate(kBytes, true).value();
  EXPECT_EQ(bytes_on_huge_pages(huge.data(), kBytes), 0u) << "before the first touch";
  std::memset(plain.data(), 1, kBytes);
  std::memset(huge.data(), 1, kBytes);
  const std::size_t got = bytes_on_huge_pages(huge.data(), kBytes);
  if (got == 0) GTEST_SKIP() << "the kernel has no free huge page now";
  EXPECT_EQ(got % kHugePage, 0u);
  EXPECT_LE(got, 8 * kHugePage);  // the last bytes do not fill one
  EXPECT_EQ(bytes_on_huge_pages(plain.data(), kBytes), 0u);
}

TEST(HugePages, NothingOfNothing) {
  EXPECT_EQ(bytes_on_huge_pages(nullptr, 0), 0u);
  const int local = 0;
  EXPECT_EQ(bytes_on_huge_pages(&local, sizeof local), 0u);
}

}  // namespace
}  // namespace intaglio
