// Weights are packed once: compiling counts each of them, and neither shapes, runs, saving nor loading add to it. And
// the option of huge pages, through the whole library.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "api/rooms.h"
#include "base/huge_pages.h"
#include "frontend/onnx/test_model.h"

namespace intaglio {
namespace {

namespace onnx = frontend::onnx::testing;

constexpr std::int64_t kWidth = 24, kHidden = 40;
constexpr int kLayers = 2;

std::vector<float> values(std::int64_t count, float scale) {
  std::vector<float> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = scale * (static_cast<float>(i * 37 % 101) / 50 - 1);
  return out;
}

// x [batch, width] -> (relu(x a) b) twice: four weights.
onnx::Bytes model_bytes(std::int64_t width, std::int64_t hidden) {
  onnx::Model model;
  model.inputs = {onnx::value_info("x", onnx::kFloat, {"batch", std::to_string(width)})};
  model.outputs = {onnx::value_info("y", onnx::kFloat, {"batch", std::to_string(width)})};
  std::string last = "x";
  for (int layer = 0; layer < kLayers; ++layer) {
    const std::string n = std::to_string(layer);
    const float scale = 0.01f * static_cast<float>(layer + 1);
    model.initializers.push_back(
        onnx::raw_tensor("a" + n, onnx::kFloat, {width, hidden}, onnx::raw(values(width * hidden, scale))));
    model.initializers.push_back(
        onnx::raw_tensor("b" + n, onnx::kFloat, {hidden, width}, onnx::raw(values(hidden * width, -scale))));
    const std::string out = layer + 1 == kLayers ? "y" : "t" + n;
    model.nodes.push_back({"MatMul", {last, "a" + n}, {"m" + n}});
    model.nodes.push_back({"Relu", {"m" + n}, {"r" + n}});
    model.nodes.push_back({"MatMul", {"r" + n, "b" + n}, {out}});
    last = out;
  }
  return model.bytes();
}

v1::Tensor input(std::int64_t batch, std::int64_t width) {
  return v1::Tensor::of<float>({batch, width}, std::span<const float>(values(batch * width, 1)));
}

// The bits of every output.
std::string bits(const std::vector<v1::NamedTensor>& outputs) {
  std::string out;
  for (const v1::NamedTensor& named : outputs)
    out.append(static_cast<const char*>(named.tensor.data()), named.tensor.byte_count());
  return out;
}

TEST(Packing, OncePerWeightWhateverTheShapes) {
  const onnx::Folder folder;
  const std::string path = folder.write("model.onnx", model_bytes(kWidth, kHidden)).string();
  const std::string plan = (folder.path() / "model.plan").string();
  const std::vector<std::int64_t> batches{1, 3, 8, 17, 130};
  const ops::PackCounters start = ops::pack_counters();
  v1::CompileOptions options;
  options.threads = 2;
  const v1::Model model = v1::compile(path, options);
  constexpr std::size_t kWeights = 2 * kLayers;
  EXPECT_EQ(ops::pack_counters().packs - start.packs, kWeights);
  EXPECT_EQ(model.facts().packs, kWeights);
  EXPECT_EQ(model.facts().packed_weights, kWeights);
  EXPECT_GE(model.facts().packed_bytes, kWeights * kWidth * kHidden * sizeof(float));
  EXPECT_LE(model.facts().packed_bytes, model.facts().weight_bytes);

  std::vector<std::string> expected;
  for (int round = 0; round < 2; ++round) {
    for (const std::int64_t batch : batches) expected.push_back(bits(model.run({{"x", input(batch, kWidth)}})));
  }
  model.save(plan);
  EXPECT_EQ(ops::pack_counters().packs - start.packs, kWeights);
  EXPECT_EQ(model.explain().packs_since, 0u);

  v1::LoadOptions loading;
  loading.threads = 2;
  const v1::Model loaded = v1::load(plan, loading);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(bits(loaded.run({{"x", input(batches[i % batches.size()], kWidth)}})), expected[i]);
  }
  EXPECT_EQ(ops::pack_counters().packs - start.packs, kWeights);
  const std::vector<v1::Shape> shapes{{9, kWidth}};
  const v1::Explanation told = loaded.explain(shapes);
  EXPECT_EQ(told.packs, 0u);
  EXPECT_EQ(told.packs_since, 0u);
  EXPECT_EQ(told.packed_weights, kWeights);
  EXPECT_EQ(told.packed_bytes, model.facts().packed_bytes);
  EXPECT_EQ(told.steps.size(), kWeights);  // linears with Relu in them
  EXPECT_EQ(told.bindings, 2u);            // width to hidden and back, each in two layers

  const v1::Model another = v1::compile(path, options);
  EXPECT_EQ(loaded.explain().packs_since, kWeights);  // told as what it is: another model's
  EXPECT_EQ(another.explain().packs_since, 0u);
}

TEST(Packing, OnceForAccuracy) {
  const onnx::Folder folder;
  const std::string path = folder.write("model.onnx", model_bytes(kWidth, kHidden)).string();
  const ops::PackCounters start = ops::pack_counters();
  std::vector<std::string> told;
  const v1::AccuracyReport report = v1::accuracy(path, {}, [&](const std::vector<v1::PortInfo>& ports) {
    for (const v1::PortInfo& port : ports) told.push_back(port.name + " [" + port.dims[0].symbol + "]");
    return std::vector<v1::NamedTensor>{{"x", input(3, kWidth)}};
  });
  EXPECT_EQ(ops::pack_counters().packs - start.packs, 2u * kLayers);
  EXPECT_EQ(told, std::vector<std::string>{"x [batch]"});
  EXPECT_EQ(report.layers.size(), 2u * kLayers);
  EXPECT_LT(report.outputs[0].error.rel_l2, 1e-6);
}

TEST(HugePagesOption, SameBitsAndAReport) {
  constexpr std::int64_t kLarge = 768;  // four weights of 2.25 MiB
  const onnx::Folder folder;
  const std::string path = folder.write("model.onnx", model_bytes(kLarge, kLarge)).string();
  const std::string plan = (folder.path() / "model.plan").string();
  const v1::Model plain = v1::compile(path);
  plain.save(plan);
  const std::string expected = bits(plain.run({{"x", input(5, kLarge)}}));
  EXPECT_EQ(plain.facts().huge_page_bytes, 0u);
  EXPECT_EQ(plain.facts().huge_pages_refused, "");
  v1::CompileOptions compiling;
  compiling.huge_pages = true;
  v1::LoadOptions loading;
  loading.huge_pages = true;
  for (const v1::Model& model : {v1::compile(path, compiling), v1::load(plan, loading), v1::open(plan, compiling)}) {
    EXPECT_EQ(bits(model.run({{"x", input(5, kLarge)}})), expected);
    EXPECT_EQ(model.facts().packs, model.facts().from_plan ? 0u : 4u);
    const v1::Explanation told = model.explain();
    EXPECT_EQ(told.huge_page_bytes, model.facts().huge_page_bytes);
    EXPECT_LE(told.huge_page_bytes, told.packed_bytes);
    if (const auto why = huge_pages_refused()) {
      EXPECT_EQ(told.huge_pages_refused, *why);
    }
    // All of them, or a reason: one or the other.
    const bool all = told.huge_page_bytes / kHugePage == told.packed_bytes / kHugePage;
    EXPECT_NE(all, !told.huge_pages_refused.empty()) << told.huge_page_bytes << told.huge_pages_refused;
  }
}

TEST(HugePagesOption, MemoryThatIsRefusedIsAnError) {
  if (const auto why = huge_pages_refused()) GTEST_SKIP() << *why << "; nothing is allocated";
  const onnx::Folder folder;
  const std::string plan = (folder.path() / "model.plan").string();
  v1::compile(folder.write("model.onnx", model_bytes(768, 768)).string()).save(plan);
  fail_allocation_after(1);
  v1::LoadOptions loading;
  loading.huge_pages = true;
  const auto loaded = v1::try_load(plan, loading);
  fail_allocation_after(std::nullopt);
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message().find("out of memory"), std::string::npos) << loaded.error().what();
}

}  // namespace
}  // namespace intaglio
