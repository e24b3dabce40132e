// The figure of prepared linears on a tiny model: rows for every number of tokens, times that are more than nothing.
#include "bench/gemm/stateful.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace intaglio::bench {
namespace {

TEST(Stateful, EveryModelAndNumberOfTokens) {
  const Encoder models[] = {{"tiny", 32, 96}, {"twin", 32, 96}};
  const std::int64_t tokens[] = {1, 5};
  const auto report = measure_stateful(models, tokens, 1);
  ASSERT_TRUE(report.has_value()) << report.error().to_string();
  ASSERT_EQ(report->rows.size(), 4U);
  for (const StatefulRow& row : report->rows) {
    EXPECT_GT(row.run_us, 0);
    EXPECT_GT(row.pack_us, 0);
    EXPECT_GT(row.speed_up(), 1);
  }
  EXPECT_EQ(report->rows[1].tokens, 5);
  EXPECT_EQ(report->rows[2].model, "twin");
  EXPECT_EQ(report->rows[0].pack_us, report->rows[2].pack_us) << "equal widths are measured once";
  EXPECT_GE(report->mean(), report->geomean());
  const auto json = nlohmann::json::parse(stateful_json(*report));
  EXPECT_EQ(json["stateful"]["rows"].size(), 4U);
  EXPECT_NE(stateful_text(*report).find("twin"), std::string::npos);
}

TEST(Stateful, TheModelsAndTokensOfTheFigure) {
  EXPECT_EQ(encoders().size(), 4U);
  EXPECT_EQ(stateful_tokens().front(), 8);
  EXPECT_EQ(stateful_tokens().back(), 512);
}

}  // namespace
}  // namespace intaglio::bench
