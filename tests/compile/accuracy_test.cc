// Step-by-step accuracy: which values are compared with which, and the figures, against sums written out here.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "compile/accuracy.h"
#include "interp/interp.h"
#include "ir/text.h"

namespace intaglio::compile {
namespace {

// Projections that become one linear, attention, and a feed-forward part, each with names as a model file has them.
constexpr const char* kLayer = R"(graph "layer" {
  symbol s in [1, 64]
  input "x" %x: f32[2, s, 32]
  const %wq: f32[32, 32] = random 1
  const %wk: f32[32, 32] = random 2
  const %wv: f32[32, 32] = random 3
  const %w1: f32[32, 64] = random 4
  const %b1: f32[64] = random 5
  const %w2: f32[64, 32] = random 6
  const %gamma: f32[32] = random 7
  const %beta: f32[32] = random 8
  %pq = linear(%x, %wq) @"query"
  %pk = linear(%x, %wk) @"key"
  %pv = linear(%x, %wv) @"value"
  %q = reshape(%pq) {shape=[2, s, 4, 8]}
  %k = reshape(%pk) {shape=[2, s, 4, 8]}
  %v = reshape(%pv) {shape=[2, s, 4, 8]}
  %a = attention(%q, %k, %v) {layout="bshd", scale=0.3} @"attention"
  %joined = reshape(%a) {shape=[2, s, 32]}
  %sum = add(%joined, %x) @"residual"
  %norm = layer_norm(%sum, %gamma, %beta) {axis=2} @"norm"
  %m1 = matmul(%norm, %w1) @"up"
  %a1 = add(%m1, %b1)
  %g = gelu(%a1) @"gelu"
  %y = matmul(%g, %w2) @"down"
  output "y" %y
}
)";

ir::Graph graph_of(const char* text) {
  auto graph = ir::parse(text);
  if (!graph) ADD_FAILURE() << graph.error().to_string();
  return graph ? *std::move(graph) : ir::Graph();
}

ir::Tensor input(std::int64_t tokens) {
  std::vector<float> values(static_cast<std::size_t>(2 * tokens * 32));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>((i * 37 + i / 7) % 101) / 50 - 1;
  return *ir::Tensor::from<float>({2, tokens, 32}, values);
}

Result<Accuracy> measure(const AccuracyOptions& options = {}, const passes::Precision& precision = {}) {
  CompileOptions compiling;
  compiling.passes.precision = precision;
  INTAGLIO_TRY(const TracedPlan traced, compile_traced(graph_of(kLayer), "layer", compiling));
  const std::vector<ir::Tensor> inputs{input(5)};
  return measure_accuracy(traced, inputs, options);
}

const StepAccuracy* step_of(const Accuracy& accuracy, const std::string& node) {
  for (const StepAccuracy& step : accuracy.steps) {
    if (accuracy.plan->steps[step.step].node.find(node) != std::string::npos) return &step;
  }
  ADD_FAILURE() << "no step of " << node;
  return nullptr;
}

TEST(StepAccuracy, EveryStepHasItsValueOfTheGraph) {
  const auto accuracy = measure();
  ASSERT_TRUE(accuracy) << accuracy.error().to_string();
  for (const StepAccuracy& step : accuracy->steps) {
    EXPECT_EQ(step.not_compared, "") << accuracy->plan->steps[step.step].node;
    EXPECT_LT(step.error.rel_l2, 1e-6);
    EXPECT_GT(step.error.cosine, 1 - 1e-9);
    EXPECT_EQ(step.error.odd, 0);
  }
  using Names = std::vector<std::string>;
  EXPECT_EQ(step_of(*accuracy, "query")->sources, (Names{"pq", "pk", "pv"}));  // one linear, side by side
  EXPECT_EQ(step_of(*accuracy, "query")->shape, (Shape{2, 5, 96}));
  EXPECT_EQ(step_of(*accuracy, "query")->input_rel_l2, 0);
  EXPECT_EQ(step_of(*accuracy, "attention")->sources, Names{"a"});
  EXPECT_EQ(step_of(*accuracy, "attention")->input_rel_l2, step_of(*accuracy, "query")->error.rel_l2);
  EXPECT_EQ(step_of(*accuracy, "up")->sources, Names{"g"});  // with bias and gelu in it
  EXPECT_EQ(step_of(*accuracy, "down")->sources, Names{"y"});
  ASSERT_EQ(accuracy->outputs.size(), 1u);
  EXPECT_EQ(accuracy->outputs[0].error.rel_l2, step_of(*accuracy, "down")->error.rel_l2);
}

TEST(StepAccuracy, ErrorsOfLowerPrecisionAppearWhereTheyArise) {
  const auto accuracy = measure({}, {.dtype = DType::bf16});
  ASSERT_TRUE(accuracy) << accuracy.error().to_string();
  for (const char* node : {"query", "attention", "norm", "up", "down"}) {
    const StepAccuracy& step = *step_of(*accuracy, node);
    EXPECT_EQ(step.not_compared, "") << node;
    EXPECT_EQ(step.dtype == DType::bf16 || step.dtype == DType::f32, true);
    EXPECT_GT(step.error.rel_l2, 1e-5) << node;
    EXPECT_LT(step.error.rel_l2, 0.05) << node;
  }
  EXPECT_GT(step_of(*accuracy, "down")->input_rel_l2, 0);

  const auto quantised = measure({}, {.quantize = passes::Quantize::dynamic});
  ASSERT_TRUE(quantised) << quantised.error().to_string();
  EXPECT_GT(step_of(*quantised, "query")->error.rel_l2, 1e-4);
  EXPECT_LT(step_of(*quantised, "query")->error.rel_l2, 0.05);
}

TEST(StepAccuracy, OnlyTheLayersAskedFor) {
  AccuracyOptions options;
  options.layers = "up";
  const auto part = measure(options);
  ASSERT_TRUE(part) << part.error().to_string();
  ASSERT_EQ(part->steps.size(), 1u);
  const auto all = measure();
  EXPECT_EQ(part->steps[0].error.rel_l2, step_of(*all, "up")->error.rel_l2);
  EXPECT_EQ(part->steps[0].input_rel_l2, step_of(*all, "norm")->error.rel_l2);  // compared for its sake

  options.layers = "lay*norm";  // an op
  EXPECT_EQ(measure(options)->steps.size(), 1u);
  options.layers = "*nothing*";
  const auto none = measure(options);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::usage);
}

TEST(StepAccuracy, TooMuchMemoryIsRefusedBeforeItIsTaken) {
  AccuracyOptions options;
  options.max_bytes = 100;
  const auto refused = measure(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unsupported);
}

TEST(ErrorFigures, SumsOverParts) {
  // Two rows of [1 2 | 3]; the exact parts are off by 0.5 in one element.
  const ir::Tensor actual = *ir::Tensor::from<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const std::vector<ir::Tensor> parts{*ir::Tensor::from<double>({2, 2}, {1, 2, 4, 5.5}),
                                      *ir::Tensor::from<double>({2, 1}, {3, 6})};
  const ErrorFigures error = error_figures(actual, parts);
  EXPECT_DOUBLE_EQ(error.max_abs, 0.5);
  EXPECT_DOUBLE_EQ(error.rmse, std::sqrt(0.25 / 6));
  const double exact = 1 + 4 + 16 + 5.5 * 5.5 + 9 + 36, own = 91, both = 1 + 4 + 16 + 27.5 + 9 + 36;
  EXPECT_DOUBLE_EQ(error.rel_l2, 0.5 / std::sqrt(exact));
  EXPECT_NEAR(error.cosine, both / std::sqrt(exact * own), 1e-15);
}

TEST(ErrorFigures, WhatIsNotFinite) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const auto figures = [](const std::vector<double>& actual, const std::vector<double>& exact) {
    const auto count = static_cast<std::int64_t>(actual.size());
    const ir::Tensor part = *ir::Tensor::from<double>({count}, exact);
    return error_figures(*ir::Tensor::from<double>({count}, actual), {&part, 1});
  };
  EXPECT_EQ(figures({nan, inf, -inf, 2}, {nan, inf, -inf, 2}).rel_l2, 0);
  EXPECT_EQ(figures({nan, inf, -inf, 2}, {nan, inf, -inf, 2}).odd, 0);
  const ErrorFigures odd = figures({nan, inf, -inf, 3, 1}, {1, -inf, 0, 2, inf});
  EXPECT_EQ(odd.odd, 4);
  EXPECT_EQ(odd.rel_l2, inf);
  EXPECT_EQ(odd.max_abs, 1);
  EXPECT_EQ(figures({0, 0}, {0, 0}).rel_l2, 0);
  EXPECT_EQ(figures({0, 0}, {0, 0}).cosine, 1);
  EXPECT_EQ(figures({1, 0}, {0, 0}).rel_l2, inf);
  EXPECT_EQ(figures({}, {}).rel_l2, 0);
}

}  // namespace
}  // namespace intaglio::compile
