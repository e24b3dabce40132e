#include "base/shape.h"

#include <gtest/gtest.h>

namespace intaglio {
namespace {

constexpr std::int64_t kBig = INT64_MAX;

TEST(Shape, CheckedArithmetic) {
  EXPECT_EQ(checked_add(2, 3), 5);
  EXPECT_FALSE(checked_add(kBig, 1));
  EXPECT_FALSE(checked_add(INT64_MIN, -1));
  EXPECT_EQ(checked_mul(kBig, 1), kBig);
  EXPECT_FALSE(checked_mul(kBig / 2 + 1, 2));
  EXPECT_FALSE(checked_mul(INT64_MIN, -1));
}

TEST(Shape, ElementCount) {
  EXPECT_EQ(element_count(Shape{}).value(), 1);
  EXPECT_EQ(element_count(Shape{2, 3, 4}).value(), 24);
  EXPECT_EQ(element_count(Shape{kBig, kBig, 0}).value(), 0);
  EXPECT_EQ(element_count(Shape{0, kBig, kBig}).value(), 0);
  EXPECT_FALSE(element_count(Shape{kBig, 2}));
  EXPECT_FALSE(element_count(Shape{0, -1}));
  EXPECT_TRUE(element_count(Shape(kMaxRank, 1)));
  EXPECT_FALSE(element_count(Shape(kMaxRank + 1, 1)));
}

TEST(Shape, ByteCount) {
  EXPECT_EQ(byte_count(Shape{2, 3}, DType::f32).value(), 24u);
  EXPECT_EQ(byte_count(Shape{kBig}, DType::u8).value(), static_cast<std::size_t>(kBig));
  EXPECT_FALSE(byte_count(Shape{kBig}, DType::u16));
}

TEST(Shape, Broadcast) {
  EXPECT_EQ(broadcast(Shape{2, 1, 4}, Shape{3, 1}).value(), (Shape{2, 3, 4}));
  EXPECT_EQ(broadcast(Shape{}, Shape{5}).value(), (Shape{5}));
  EXPECT_EQ(broadcast(Shape{1}, Shape{0}).value(), (Shape{0}));
  EXPECT_EQ(broadcast(Shape{}, Shape{}).value(), Shape{});
  EXPECT_FALSE(broadcast(Shape{2}, Shape{3}));
  EXPECT_FALSE(broadcast(Shape{0}, Shape{2}));
}

TEST(Shape, Strides) {
  EXPECT_EQ(row_major_strides(Shape{2, 3, 4}), (Shape{12, 4, 1}));
  EXPECT_EQ(row_major_strides(Shape{2, 0, 4}), (Shape{4, 4, 1}));
  EXPECT_TRUE(row_major_strides(Shape{}).empty());
}

TEST(Shape, Text) {
  EXPECT_EQ(to_string(Shape{2, 128, 768}), "[2, 128, 768]");
  EXPECT_EQ(to_string(Shape{}), "[]");
  EXPECT_EQ(parse_shape("1x128x768").value(), (Shape{1, 128, 768}));
  EXPECT_EQ(parse_shape("").value(), Shape{});
  EXPECT_EQ(parse_shape("0").value(), Shape{0});
  for (const char* text : {"x", "1x", "x1", "1xx2", "-1", "1x-0", "1 x2", "1,2", "+1", "0x10y", "99999999999999999999",
                           "1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1"}) {
    EXPECT_FALSE(parse_shape(text)) << text;
  }
}

}  // namespace
}  // namespace intaglio
