#include "base/log.h"

#include <gtest/gtest.h>

namespace intaglio {
namespace {

TEST(Log, LevelsFilterAndMessagesAreNotFormats) {
  ASSERT_TRUE(set_log_level("info"));
  testing::internal::CaptureStderr();
  log(LogLevel::debug, "quiet");
  log(LogLevel::info, "loud {} %s");
  log(LogLevel::off, "never");
  const std::string text = testing::internal::GetCapturedStderr();
  ASSERT_TRUE(set_log_level("warning"));
  EXPECT_NE(text.find("loud {} %s"), std::string::npos);
  EXPECT_EQ(text.find("quiet"), std::string::npos);
  EXPECT_EQ(text.find("never"), std::string::npos);
}

TEST(Log, UnknownLevel) {
  const auto status = set_log_level("verbose");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::usage);
  EXPECT_NE(status.error().hint.find("warning"), std::string::npos);
}

}  // namespace
}  // namespace intaglio
