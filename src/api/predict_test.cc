// The roofline model on made-up machines, and layers found from names.
#include "api/predict.h"

#include <gtest/gtest.h>

#include "api/layers.h"

namespace intaglio::internal {
namespace {

using kernels::probe::Quantity;

Rates machine() {
  return {{{Quantity::fma_f32, "avx2", 50e9},
           {Quantity::fma_f32, "avx512", 100e9},
           {Quantity::dot_u8s8, "avx512_vnni", 400e9},
           {Quantity::dot_bf16, "avx512_bf16", 200e9}},
          {{"L1", 1 << 10, 64e9}, {"L2", 1 << 20, 32e9}, {"L3", 1 << 24, 16e9}, {"memory", 0, 8e9}}};
}

TEST(Predict, ComputeIsBoundByThePeakOfProductsAndIsa) {
  const struct {
    ops::Products products;
    const char* isa;
    double seconds;
    const char* roof;
  } cases[] = {
      {ops::Products::f32, "avx512", 1.0, "f32 peak avx512"},
      {ops::Products::f32, "avx2", 2.0, "f32 peak avx2"},
      {ops::Products::f64, "avx512", 2.0, "f32 peak avx512"},
      {ops::Products::bf16, "avx512_bf16", 0.5, "bf16 peak avx512_bf16"},
      {ops::Products::int8, "avx512_vnni", 0.25, "u8s8 peak avx512_vnni"},
      {ops::Products::int8, "avx512", 1.0, "f32 peak avx512"},       // this machine's probes know no better
      {ops::Products::none, "avx512_fp16", 1.0, "f32 peak avx512"},  // of the ISA that it implies
  };
  for (const auto& c : cases) {
    const Prediction told = predict(machine(), {100e9, 0, 8, c.products, c.isa, 1}, 8);
    EXPECT_DOUBLE_EQ(told.seconds, c.seconds) << c.isa;
    EXPECT_EQ(told.roof, c.roof);
    EXPECT_DOUBLE_EQ(predict(machine(), {100e9, 0, 8, c.products, c.isa, 4}, 8).seconds, c.seconds / 4);
  }
}

TEST(Predict, MemoryIsBoundByTheLevelThatHoldsTheBytes) {
  const auto seconds = [](double constants, double others, double run, int threads) {
    return predict(machine(), {0, constants, others, ops::Products::none, "avx2", threads}, run);
  };
  EXPECT_DOUBLE_EQ(seconds(0, 1 << 10, 1 << 10, 1).seconds, (1 << 10) / 64e9);
  EXPECT_DOUBLE_EQ(seconds(0, 1 << 11, 1 << 11, 1).seconds, (1 << 11) / 32e9);
  EXPECT_DOUBLE_EQ(seconds(0, 1 << 11, 1 << 11, 2).seconds, (1 << 11) / 128e9);  // in two L1
  EXPECT_DOUBLE_EQ(seconds(0, 1 << 22, 1 << 22, 1).seconds, (1 << 22) / 16e9);
  EXPECT_DOUBLE_EQ(seconds(0, 1 << 26, 1 << 26, 1).seconds, (1 << 26) / 8e9);
  // Small weights of a large model come from memory.
  const Prediction told = seconds(1 << 10, 1 << 9, 1 << 26, 1);
  EXPECT_DOUBLE_EQ(told.seconds, (1 << 10) / 8e9 + (1 << 9) / 32e9);
  EXPECT_EQ(told.roof, "read bandwidth memory");
}

TEST(Predict, NothingToDoAndNothingMeasured) {
  EXPECT_EQ(predict(machine(), {}, 0).seconds, 0);
  EXPECT_EQ(predict(machine(), {}, 0).roof, "");
  EXPECT_EQ(predict({}, {1e9, 1e3, 1e3, ops::Products::f32, "avx2", 2}, 1e6).seconds, 0);
  EXPECT_EQ(peak_of(machine(), ops::Products::f32, "sse42"), nullptr);
  EXPECT_STREQ(peak_of(machine(), ops::Products::f32, "avx_vnni")->isa, "avx2");
}

using Names = std::vector<std::string>;

TEST(Layers, OfModulePaths) {
  const std::vector<NamedStep> steps = {{"embedding", "m.py:1 model.embeddings", ""},
                                        {"linear", "m.py:2 model.layer.0.attention.q", ""},
                                        {"linear_1", "m.py:2 model.layer.0.mlp", ""},
                                        {"linear_2", "m.py:2 model.layer.1.mlp", ""},
                                        {"pool", "m.py:3 model.pooler.dense", ""}};
  EXPECT_EQ(layers_of(steps),
            (Names{"model.embeddings", "model.layer.0", "model.layer.0", "model.layer.1", "model.pooler"}));
}

TEST(Layers, OfNodeNames) {
  const std::vector<NamedStep> steps = {
      {"/enc/layer0/MatMul_1; /enc/layer0/Add", "", ""}, {"/enc/layer1/MatMul_2", "", ""}, {"/out/MatMul_3", "", ""}};
  EXPECT_EQ(layers_of(steps), (Names{"enc/layer0", "enc/layer1", "out"}));
}

TEST(Layers, OfRepetition) {
  const std::vector<NamedStep> steps = {{"n1", "", "gather"}, {"n2", "", "a"}, {"n3", "", "b"}, {"n4", "", "c"},
                                        {"n5", "", "a"},      {"n6", "", "b"}, {"n7", "", "c"}, {"n8", "", "tanh"}};
  EXPECT_EQ(layers_of(steps),
            (Names{"before", "block 1", "block 1", "block 1", "block 2", "block 2", "block 2", "after"}));
}

TEST(Layers, OfNothing) {
  EXPECT_TRUE(layers_of({}).empty());
  const std::vector<NamedStep> steps = {{"", "", "a"}, {"///", "", "b"}, {"..", "x.py:1 ", "c"}};
  EXPECT_EQ(layers_of(steps), (Names{"", "", ""}));
}

}  // namespace
}  // namespace intaglio::internal
