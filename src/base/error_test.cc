#include "base/error.h"

#include <gtest/gtest.h>

namespace intaglio {
namespace {

TEST(Error, ExitCodesAreThoseOfTheCli) {
  EXPECT_EQ(exit_code(ErrorCode::internal), 1);
  EXPECT_EQ(exit_code(ErrorCode::usage), 2);
  EXPECT_EQ(exit_code(ErrorCode::file), 3);
  EXPECT_EQ(exit_code(ErrorCode::unsupported), 4);
  EXPECT_EQ(exit_code(ErrorCode::requirement), 5);
  EXPECT_EQ(exit_code(ErrorCode::data), 2);
}

TEST(Error, Text) {
  EXPECT_EQ((Error{ErrorCode::file, "is missing", "a.onnx", "check the path"}).to_string(),
            "a.onnx: is missing (hint: check the path)");
  EXPECT_EQ((Error{ErrorCode::file, "is missing", "", ""}).to_string(), "is missing");
}

TEST(Error, TextStaysOnOneLineWhateverTheNames) {
  const std::string text = Error{ErrorCode::file, "bad\nname", "evil\x1b[2J.onnx", ""}.to_string();
  EXPECT_EQ(text.find_first_of("\n\x1b"), std::string::npos);
}

TEST(Error, Origins) {
  EXPECT_EQ((Error{ErrorCode::file, "m", "", ""}.at("here").origin), "here");
  EXPECT_EQ((Error{ErrorCode::file, "m", "there", ""}.at("here").origin), "there");
  EXPECT_EQ((Error{ErrorCode::file, "m", "", ""}.within("a.onnx").origin), "a.onnx");
  EXPECT_EQ((Error{ErrorCode::file, "m", "node 'x'", ""}.within("a.onnx").origin), "a.onnx: node 'x'");
}

Result<int> half_of(int x) {
  if (x % 2 != 0) return fail(ErrorCode::usage, "odd");
  return x / 2;
}
Result<int> quarter_of(int x) {
  INTAGLIO_TRY(const int half, half_of(x));
  INTAGLIO_TRY(const int quarter, half_of(half));
  return quarter;
}
Status must_be_even(int x) {
  INTAGLIO_CHECK(half_of(x));
  return {};
}

TEST(Error, Propagation) {
  EXPECT_EQ(quarter_of(12).value(), 3);
  EXPECT_EQ(quarter_of(6).error().message, "odd");
  EXPECT_TRUE(must_be_even(2));
  EXPECT_FALSE(must_be_even(3));
}

}  // namespace
}  // namespace intaglio
