#include "cli/latency.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

namespace intaglio::cli {
namespace {

NamedTensor named(const std::string& name, const std::vector<float>& values) {
  return {name, Tensor::of<float>({static_cast<std::int64_t>(values.size())}, values)};
}

TEST(Latency, PercentilesOfAHundredValues) {
  std::vector<std::int64_t> values(100);
  std::iota(values.rbegin(), values.rend(), 1);
  for (auto& value : values) value *= 1000000;  // 1 to 100 ms, in descending order
  const Latency latency = summarise(values);
  EXPECT_DOUBLE_EQ(latency.min, 1);
  EXPECT_DOUBLE_EQ(latency.p50, 50.5);
  EXPECT_DOUBLE_EQ(latency.p90, 91);
  EXPECT_DOUBLE_EQ(latency.p99, 100);
  EXPECT_DOUBLE_EQ(latency.mean, 50.5);
}

TEST(Latency, OneValueIsAllOfThem) {
  const Latency latency = summarise({2500000});
  for (const double value : {latency.min, latency.p50, latency.p90, latency.p99, latency.mean})
    EXPECT_DOUBLE_EQ(value, 2.5);
}

TEST(Difference, EqualOutputsDifferByNothing) {
  const Difference d = compare({named("y", {1, -2, 3})}, {named("z", {9}), named("y", {1, -2, 3})});
  EXPECT_EQ(d.max_abs, 0);
  EXPECT_EQ(d.rel_l2, 0);
  EXPECT_NEAR(d.cosine, 1, 1e-15);
}

TEST(Difference, FollowsTheDefinitions) {
  const Difference d = compare({named("y", {3, 4})}, {named("y", {3, 0})});
  EXPECT_DOUBLE_EQ(d.max_abs, 4);
  EXPECT_DOUBLE_EQ(d.rel_l2, 4.0 / 3.0);
  EXPECT_DOUBLE_EQ(d.cosine, 9.0 / 15.0);
}

TEST(Difference, NaNIsNotOverlooked) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(compare({named("y", {1, nan, 1})}, {named("y", {1, 1, 2})}).max_abs));
}

TEST(Difference, OtherShapesNamesAndDTypesAreRefused) {
  EXPECT_THROW(compare({named("y", {1, 2})}, {named("y", {1})}), Error);
  EXPECT_THROW(compare({named("y", {1, 2})}, {named("x", {1, 2})}), Error);
  EXPECT_THROW(compare({named("y", {1, 2})}, {{"y", Tensor::zeros(DType::i64, {2})}}), Error);
}

}  // namespace
}  // namespace intaglio::cli
