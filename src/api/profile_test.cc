// Context::profile over a small model: the steps of explain(), spans in order, the bits of a plain run.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "api/rooms.h"
#include "frontend/onnx/test_model.h"

namespace intaglio {
namespace {

namespace onnx = frontend::onnx::testing;

// x [batch, 32] -> softmax(relu(x)) + x
v1::Model small_model(int threads) {
  onnx::Model model;
  model.inputs = {onnx::value_info("x", onnx::kFloat, {"batch", "32"})};
  model.outputs = {onnx::value_info("y", onnx::kFloat, {"batch", "32"})};
  model.nodes = {{"Relu", {"x"}, {"r"}}, {"Softmax", {"r"}, {"s"}}, {"Add", {"s", "x"}, {"y"}}};
  const std::string path = testing::TempDir() + "profile_test_" + std::to_string(threads) + ".onnx";
  const auto bytes = model.bytes();
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  v1::CompileOptions options;
  options.threads = threads;
  v1::Model out = v1::compile(path, options);
  std::filesystem::remove(path);
  return out;
}

TEST(Profile, SpansOfEveryThreadLieInTheirRun) {
  for (const int threads : {1, 2}) {
    const v1::Model model = small_model(threads);
    v1::Context context = model.make_context();
    std::vector<float> x(320, 0.5f), plain(320), y(320);
    const v1::Shape shape{10, 32};
    const v1::TensorView in{x.data(), v1::DType::f32, shape};
    const v1::MutableView expected{plain.data(), plain.size() * 4}, out{y.data(), y.size() * 4};
    ASSERT_EQ(context.run_into({&in, 1}, {&expected, 1}), nullptr);
    const v1::Profile profile = context.profile({&in, 1}, {&out, 1}, 3);
    EXPECT_EQ(y, plain);
    EXPECT_EQ(profile.threads, model.threads());
    const v1::Explanation explanation = model.explain(std::vector<v1::Shape>{shape});
    ASSERT_EQ(profile.steps.size(), explanation.steps.size());
    for (std::size_t i = 0; i < profile.steps.size(); ++i) {
      EXPECT_EQ(profile.steps[i].node, explanation.steps[i].node);
      EXPECT_EQ(profile.steps[i].kernel, explanation.steps[i].kernel);
      EXPECT_EQ(profile.steps[i].flops, explanation.steps[i].flops);
      EXPECT_LE(profile.steps[i].arena_bytes, profile.arena_bytes);
    }
    ASSERT_EQ(profile.runs.size(), 3u);
    std::int64_t last_end = 0;
    for (const v1::ProfiledRun& run : profile.runs) {
      EXPECT_GE(run.begin_ns, last_end);
      last_end = run.end_ns;
      ASSERT_EQ(run.spans.size(), profile.steps.size() * static_cast<std::size_t>(profile.threads));
      for (const v1::ProfiledSpan& span : run.spans) {
        EXPECT_LE(run.begin_ns, span.begin_ns);
        EXPECT_LE(span.begin_ns, span.end_ns);
        EXPECT_LE(span.end_ns, run.end_ns);
      }
    }
  }
}

TEST(Profile, ErrorsAreThrown) {
  const v1::Model model = small_model(1);
  v1::Context context = model.make_context();
  std::vector<float> x(32), y(32);
  const v1::Shape shape{1, 32}, wrong{1, 31};
  const v1::TensorView in{x.data(), v1::DType::f32, shape}, bad{x.data(), v1::DType::f32, wrong};
  const v1::MutableView out{y.data(), 128};
  EXPECT_THROW(context.profile({&in, 1}, {&out, 1}, 0), v1::Error);
  EXPECT_THROW(context.profile({&bad, 1}, {&out, 1}), v1::Error);
  EXPECT_EQ(context.profile({&in, 1}, {&out, 1}).runs.size(), 1u);
}

}  // namespace
}  // namespace intaglio
