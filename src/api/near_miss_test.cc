// What near misses have to do with, by hand: steps of merged nodes, values that are outputs too, nodes without a step.
#include "api/near_miss.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "compile/compile.h"
#include "ir/text.h"

namespace intaglio::internal {
namespace {

// %h is read twice, so that the activation cannot be part of the product: a near miss. The exact GELU is made of
// five nodes, which become one with the names of two.
constexpr const char* kTwoReaders = R"(graph "two" {
  symbol s in [1, 64]
  input "x" %x: f32[s, 32]
  const %w1: f32[32, 64] = random 1
  const %w2: f32[64, 16] = random 2
  const %root: f32[] = splat 1.41421356
  const %one: f32[] = splat 1
  const %half: f32[] = splat 0.5
  %h = linear(%x, %w1) @"up"
  %d = div(%h, %root) @"divide"
  %e = erf(%d) @"erf"
  %f = add(%e, %one) @"plus"
  %g = mul(%h, %f) @"times"
  %a = mul(%g, %half) @"halve"
  %y = linear(%a, %w2) @"down"
  output "y" %y
  output "h" %h
}
)";

struct Compiled {
  std::shared_ptr<const plan::Plan> plan;
  std::shared_ptr<const plan::BoundPlan> bound;
};

Compiled compiled(const char* text, const Shape& shape) {
  auto graph = ir::parse(text);
  if (!graph) throw std::runtime_error(graph.error().to_string());
  Compiled out{*compile::compile_graph(*std::move(graph), "test", "", {}), nullptr};
  out.bound = *plan::bind(*out.plan, {&shape, 1}, {});
  return out;
}

TEST(NearMissCost, StepsOfMergedNodes) {
  const Compiled two = compiled(kTwoReaders, {5, 32});
  ASSERT_EQ(two.plan->report.near_misses.size(), 1u);
  const std::string& node = two.plan->report.near_misses[0].node;
  EXPECT_NE(node.find("; "), std::string::npos) << node;  // else this tests nothing
  // The product, an output of the model as well: 5 x 64 floats.
  EXPECT_EQ(bytes_exchanged(*two.plan, *two.bound, node), 5 * 64 * 4.0);
  for (const char* name : {"erf", "halve", "erf; gone", "gone; halve"})
    EXPECT_EQ(bytes_exchanged(*two.plan, *two.bound, name), 5 * 64 * 4.0) << name;
  EXPECT_EQ(bytes_exchanged(*two.plan, *two.bound, "down"), 5 * 64 * 4.0);
}

TEST(NearMissCost, WhatIsWrittenWhereNothingIsRead) {
  const Compiled two = compiled(kTwoReaders, {7, 32});
  EXPECT_EQ(bytes_exchanged(*two.plan, *two.bound, "up"), 7 * 64 * 4.0);
}

TEST(NearMissCost, NoStepAndNothingExchanged) {
  const Compiled two = compiled(kTwoReaders, {5, 32});
  EXPECT_EQ(bytes_exchanged(*two.plan, *two.bound, "gone"), std::nullopt);
  EXPECT_EQ(bytes_exchanged(*two.plan, *two.bound, "er"), std::nullopt);
  EXPECT_EQ(bytes_exchanged(*two.plan, *two.bound, ""), std::nullopt);
  const Compiled one = compiled(R"(graph "one" {
  input "x" %x: f32[4, 8]
  %y = exp(%x) @"exp"
  output "y" %y
}
)",
                                {4, 8});
  EXPECT_EQ(bytes_exchanged(*one.plan, *one.bound, "exp"), 0);
}

}  // namespace
}  // namespace intaglio::internal
