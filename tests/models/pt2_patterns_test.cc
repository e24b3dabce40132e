// Small .pt2 archives (quantised patterns, and programs of many operators made by testdata/make_ops.py) end to end
// through the reference interpreter against PyTorch's own outputs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "frontend/frontend.h"
#include "interp/interp.h"
#include "tests/models/npy.h"

namespace intaglio {
namespace {

const std::filesystem::path kData = std::filesystem::path(INTAGLIO_SOURCE_DIR) / "src/frontend/pt2/testdata";

std::vector<std::string> archives(bool of_ops) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kData)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".pt2") && name.starts_with("ops_") == of_ops && name.find("conv") == name.npos)
      names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string legal_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

// The largest difference, in units of the largest expected value but at least 1; infinities and NaNs must be equal.
double difference(const ir::Tensor& actual, const ir::Tensor& expected) {
  double worst = 0, largest = 1;
  for (std::int64_t i = 0; i < expected.element_count(); ++i) {
    const double a = actual.as_double(i), e = expected.as_double(i);
    if (a == e || (std::isnan(a) && std::isnan(e))) continue;
    if (!std::isfinite(a) || !std::isfinite(e)) return INFINITY;
    worst = std::max(worst, std::abs(a - e));
    largest = std::max(largest, std::abs(e));
  }
  return worst / largest;
}

class Pt2Patterns : public ::testing::TestWithParam<std::string> {};

TEST_P(Pt2Patterns, AgreesWithPyTorch) {
  const std::string stem = GetParam().substr(0, GetParam().find('.'));
  auto graph = frontend::pt2::import(kData / GetParam(), {});
  ASSERT_TRUE(graph) << graph.error().to_string();
  std::vector<ir::Tensor> inputs;
  for (std::size_t i = 0; i < graph->inputs().size(); ++i) {
    auto input = testing::load_npy(kData / (stem + ".in" + std::to_string(i) + ".npy"));
    ASSERT_TRUE(input) << input.error().to_string();
    inputs.push_back(*input);
  }
  auto outputs = interp::run(*graph, inputs);
  ASSERT_TRUE(outputs) << outputs.error().to_string();
  ASSERT_EQ(outputs->size(), 1u);
  auto expected = testing::load_npy(kData / (stem + ".out0.npy"));
  ASSERT_TRUE(expected) << expected.error().to_string();
  const ir::Tensor& actual = outputs->front();
  ASSERT_EQ(actual.shape, expected->shape);
  double worst = 0, largest = 0;
  for (std::int64_t i = 0; i < expected->element_count(); ++i) {
    worst = std::max(worst, std::abs(actual.as_double(i) - expected->as_double(i)));
    largest = std::max(largest, std::abs(expected->as_double(i)));
  }
  // Accumulators are integers and the order of the roundings is PyTorch's: what differs is the last bit of exp or erf
  // inside GELU and of sums in f32.
  EXPECT_LE(worst, 2e-6 * largest) << "largest value " << largest;
}

INSTANTIATE_TEST_SUITE_P(All, Pt2Patterns, ::testing::ValuesIn(archives(false)), legal_name);

class Pt2Ops : public ::testing::TestWithParam<std::string> {};

TEST_P(Pt2Ops, AgreeWithPyTorch) {
  const std::string stem = GetParam().substr(0, GetParam().find('.'));
  auto graph = frontend::pt2::import(kData / GetParam(), {});
  ASSERT_TRUE(graph) << graph.error().to_string();
  auto given = testing::load_npz(kData / (stem + ".in.npz"));
  auto expected = testing::load_npz(kData / (stem + ".out.npz"));
  ASSERT_TRUE(given && expected);
  std::vector<ir::Tensor> inputs;
  for (const ir::Port& port : graph->inputs()) inputs.push_back(given->at(port.name));
  auto outputs = interp::run(*graph, inputs);
  ASSERT_TRUE(outputs) << outputs.error().to_string();
  ASSERT_EQ(outputs->size(), expected->size());
  for (std::size_t i = 0; i < outputs->size(); ++i) {
    const std::string& name = graph->outputs()[i].name;
    ASSERT_TRUE(expected->contains(name)) << name;
    const ir::Tensor& want = expected->at(name);
    EXPECT_EQ((*outputs)[i].dtype, want.dtype) << name;
    EXPECT_EQ((*outputs)[i].shape, want.shape) << name;
    if ((*outputs)[i].shape != want.shape) continue;
    EXPECT_LE(difference((*outputs)[i], want), is_floating(want.dtype) ? 2e-6 : 0) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Pt2Ops, ::testing::ValuesIn(archives(true)), legal_name);

TEST(Pt2Patterns, AllUnknownOpsAreListed) {
  const auto graph = frontend::pt2::import(kData / "pt2e_conv_static.inf.pt2", {});
  ASSERT_FALSE(graph);
  EXPECT_EQ(graph.error().code, ErrorCode::unsupported);
  EXPECT_THAT(graph.error().to_string(), ::testing::AllOf(::testing::HasSubstr("aten.conv2d.default"),
                                                          ::testing::HasSubstr("aten.max_pool2d.default")));
}

}  // namespace
}  // namespace intaglio
