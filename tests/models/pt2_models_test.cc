// Transformers exported by PyTorch (tests/models/generate.py) through the .pt2 frontend and the reference interpreter,
// against PyTorch's outputs in float64. Skipped where the cache of generated models is absent.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "frontend/frontend.h"
#include "interp/interp.h"
#include "tests/models/npy.h"

namespace intaglio {
namespace {

std::filesystem::path cache() {
  const char* given = std::getenv("DEV_MODELS");
  return given != nullptr ? std::filesystem::path(given) : std::filesystem::path(INTAGLIO_SOURCE_DIR) / ".cache/models";
}

struct Case {
  std::string model, level, folder;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* model :
       {"bert-2", "bert-2-eager", "bert-2-nomask", "bert-large-2", "distilbert-2", "roberta-2", "minilm"}) {
    for (const char* level : {"training", "inference", "core"}) {
      all.push_back({model, level, "b3_s7"});
    }
    all.push_back({model, "inference", "b1_s32_pad"});
  }
  return all;
}

std::string legal_name(const ::testing::TestParamInfo<Case>& info) {
  std::string name = info.param.model + "_" + info.param.level + "_" + info.param.folder;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

class Pt2ModelsSlow : public ::testing::TestWithParam<Case> {};

TEST_P(Pt2ModelsSlow, AgreesWithPyTorchInDouble) {
  const Case& given = GetParam();
  const auto model = cache() / given.model / (given.model + "." + given.level + ".pt2");
  const auto folder = cache() / given.model / "cases" / given.folder;
  if (!std::filesystem::exists(model)) GTEST_SKIP() << "no " << model << ": run tests/models/generate.py";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "the model has no case " << given.folder;
  auto graph = frontend::pt2::import(model, {});
  ASSERT_TRUE(graph) << graph.error().to_string();
  std::vector<ir::Tensor> inputs;
  for (const ir::Port& port : graph->inputs()) {
    auto input = testing::load_npy(folder / (port.name + ".npy"));
    ASSERT_TRUE(input) << input.error().to_string();
    inputs.push_back(*input);
  }
  auto outputs = interp::run(*graph, inputs, {.precision = interp::Precision::f64});
  ASSERT_TRUE(outputs) << outputs.error().to_string();
  auto expected = testing::load_npz(folder / "expected64.npz");
  ASSERT_TRUE(expected) << expected.error().to_string();
  ASSERT_EQ(outputs->size(), expected->size());
  for (std::size_t i = 0; i < outputs->size(); ++i) {
    const std::string& name = graph->outputs()[i].name;
    ASSERT_TRUE(expected->contains(name)) << name;
    const ir::Tensor& want = expected->at(name);
    ASSERT_EQ((*outputs)[i].shape, want.shape) << name;
    double worst = 0;
    for (std::int64_t k = 0; k < want.element_count(); ++k)
      worst = std::max(worst, std::abs((*outputs)[i].as_double(k) - want.as_double(k)));
    // The core form scales queries and keys by sqrt(scale) each, a constant that is rounded to f32 in the program.
    EXPECT_LE(worst, given.level == "core" ? 1e-7 : 1e-9) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Pt2ModelsSlow, ::testing::ValuesIn(cases()), legal_name);

}  // namespace
}  // namespace intaglio
