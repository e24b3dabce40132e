#include "base/alloc.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace intaglio {
namespace {

bool is_aligned(const Buffer& b, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(b.data()) % alignment == 0;
}

TEST(Buffer, AlignedWritableAndZeroed) {
  for (const bool huge : {false, true}) {
    for (const std::size_t bytes : {1ul, 63ul, 64ul, 4097ul, (1ul << 20) + 1, (2ul << 20), (5ul << 20) + 7}) {
      auto buffer = Buffer::allocate_zeroed(bytes, huge);
      ASSERT_TRUE(buffer);
      EXPECT_EQ(buffer->size(), bytes);
      EXPECT_TRUE(is_aligned(*buffer, kAlignment));
      EXPECT_TRUE(is_aligned(*buffer, huge && bytes >= (2u << 20) ? 2u << 20 : kAlignment));
      EXPECT_TRUE(std::all_of(buffer->data(), buffer->data() + bytes, [](std::byte b) { return b == std::byte{0}; }));
      auto plain = Buffer::allocate(bytes, huge);
      ASSERT_TRUE(plain);
      std::memset(plain->data(), 0xab, bytes);
      EXPECT_EQ(plain->as<std::uint8_t>()[bytes - 1], 0xab);
    }
  }
}

TEST(Buffer, EmptyAndImpossibleSizes) {
  auto empty = Buffer::allocate(0);
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->empty());
  for (const std::size_t bytes : {SIZE_MAX, SIZE_MAX / 2, std::size_t{1} << 60}) {
    for (const bool huge : {false, true}) {
      const auto refused = Buffer::allocate(bytes, huge);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, ErrorCode::unsupported);
      EXPECT_NE(refused.error().message.find(std::to_string(bytes)), std::string::npos);
      EXPECT_FALSE(Buffer::allocate_zeroed(bytes, huge));
    }
  }
}

TEST(Buffer, StatsFollowOwnership) {
  const AllocStats before = alloc_stats();
  {
    Buffer a = Buffer::allocate(1000).value();
    Buffer b = Buffer::allocate(3u << 20, true).value();
    EXPECT_EQ(alloc_stats().allocations, before.allocations + 2);
    EXPECT_EQ(alloc_stats().live_bytes, before.live_bytes + 1000 + (3u << 20));
    const std::byte* data = b.data();
    a = std::move(b);
    EXPECT_EQ(a.data(), data);
    EXPECT_EQ(alloc_stats().live_bytes, before.live_bytes + (3u << 20));
    Buffer c(std::move(a));
    EXPECT_EQ(c.data(), data);
    EXPECT_TRUE(a.empty());  // NOLINT: moved from on purpose
    EXPECT_EQ(a.data(), nullptr);
  }
  EXPECT_EQ(alloc_stats().live_bytes, before.live_bytes);
  EXPECT_GE(alloc_stats().peak_bytes, before.live_bytes + 1000 + (3u << 20));
}

TEST(Buffer, FailureHookHitsTheNthAllocationOnce) {
  fail_allocation_after(2);
  EXPECT_TRUE(Buffer::allocate(10));
  EXPECT_FALSE(Buffer::allocate(10));
  EXPECT_TRUE(Buffer::allocate(10));
  fail_allocation_after(1);
  fail_allocation_after(std::nullopt);
  EXPECT_TRUE(Buffer::allocate_zeroed(10));
}

}  // namespace
}  // namespace intaglio
