#include "bench/gemm/shapes.h"

#include <gmock/gmock.h>

namespace intaglio::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Shapes, ListsAreEveryCombinationAndCommentsNothing) {
  const auto shapes = parse_shapes("# a comment\n\n  17 x 129x33 # another\r\n1,8 x 2,3 x 4\n", "text");
  ASSERT_TRUE(shapes.has_value());
  EXPECT_THAT(*shapes, ElementsAre(Product{17, 129, 33}, Product{1, 2, 4}, Product{8, 2, 4}, Product{1, 3, 4},
                                   Product{8, 3, 4}));
  EXPECT_EQ(to_string(shapes->front()), "17x129x33");
  EXPECT_EQ(shapes->front().operations(), 2.0 * 17 * 129 * 33);
}

TEST(Shapes, WhatIsNoShapeIsNamedWithItsLine) {
  for (const char* line : {"1 x 2", "1 x 2 x 3 x 4", "0 x 1 x 1", "-1 x 1 x 1", "1 x x 1", "1,, x 2 x 3", "a x b x c",
                           "1 x 2 x 9999999", "1 x 2 x 99999999999999999999"}) {
    const auto shapes = parse_shapes(std::string("1 x 1 x 1\n") + line, "file.txt");
    ASSERT_FALSE(shapes.has_value()) << line;
    EXPECT_EQ(shapes.error().code, ErrorCode::file);
    EXPECT_THAT(shapes.error().to_string(), HasSubstr("file.txt:2"));
  }
}

TEST(Shapes, NoShapeAndNoFileAreErrors) {
  EXPECT_FALSE(parse_shapes("# nothing\n", "text").has_value());
  EXPECT_FALSE(read_shapes("/nonexistent/shapes.txt").has_value());
}

}  // namespace
}  // namespace intaglio::bench
