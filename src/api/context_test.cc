// Contexts of the API over many shapes, in every arithmetic: runs of prepared shapes allocate nothing, and memory stays
// that of the largest shape.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "api/model_test_util.h"
#include "api/rooms.h"
#include "base/heap_count_test_util.h"
#include "frontend/onnx/test_model.h"

namespace intaglio {
namespace {

namespace onnx = frontend::onnx::testing;

constexpr std::int64_t kWidth = 64, kHidden = 96, kIds = 50;

onnx::Bytes weight(const std::string& name, const std::vector<std::int64_t>& dims) {
  std::int64_t count = 1;
  for (const std::int64_t dim : dims) count *= dim;
  return onnx::raw_tensor(name, onnx::kFloat, dims, onnx::raw(internal::weight_values(count, 0.1f)));
}

// ids [batch, tokens] -> a table's rows, attention of one head over them, a norm, and a feed-forward part.
onnx::Bytes encoder() {
  onnx::Model model;
  model.inputs = {onnx::value_info("ids", onnx::kInt64, {"batch", "tokens"})};
  model.outputs = {onnx::value_info("y", onnx::kFloat, {"batch", "tokens", std::to_string(kWidth)})};
  model.initializers = {weight("table", {kIds, kWidth}), weight("wq", {kWidth, kWidth}),
                        weight("wk", {kWidth, kWidth}),  weight("wv", {kWidth, kWidth}),
                        weight("gamma", {kWidth}),       weight("beta", {kWidth}),
                        weight("up", {kWidth, kHidden}), weight("down", {kHidden, kWidth})};
  model.nodes = {{"Gather", {"table", "ids"}, {"x"}},
                 {"MatMul", {"x", "wq"}, {"q"}},
                 {"MatMul", {"x", "wk"}, {"k"}},
                 {"MatMul", {"x", "wv"}, {"v"}},
                 {"Transpose", {"k"}, {"kt"}, {onnx::ints_attribute("perm", {0, 2, 1})}},
                 {"MatMul", {"q", "kt"}, {"scores"}},
                 {"Softmax", {"scores"}, {"p"}, {onnx::int_attribute("axis", -1)}},
                 {"MatMul", {"p", "v"}, {"a"}},
                 {"Add", {"a", "x"}, {"sum"}},
                 {"LayerNormalization", {"sum", "gamma", "beta"}, {"norm"}, {onnx::int_attribute("axis", -1)}},
                 {"MatMul", {"norm", "up"}, {"wide"}},
                 {"Gelu", {"wide"}, {"act"}},
                 {"MatMul", {"act", "down"}, {"y"}}};
  return model.bytes();
}

v1::Model compiled(const internal::Arithmetic& arithmetic, int threads) {
  const onnx::Folder folder;
  return v1::compile(folder.write("encoder.onnx", encoder()).string(), compile_options(arithmetic, threads));
}

// A context with memory for the largest shape; smaller ones use the front of it.
class Caller {
 public:
  Caller(const v1::Model& model, std::int64_t most_batch, std::int64_t most_tokens)
      : context_(model.make_context()),
        ids_(static_cast<std::size_t>(most_batch * most_tokens), 7),
        y_(ids_.size() * static_cast<std::size_t>(kWidth)) {}

  void prepare(const v1::Shape& shape) { context_.prepare({&shape, 1}); }
  bool run(const v1::Shape& shape) {
    const v1::TensorView in{ids_.data(), v1::DType::i64, shape};
    const v1::MutableView out{y_.data(), y_.size() * sizeof(float)};
    return context_.run_into({&in, 1}, {&out, 1}) == nullptr;
  }
  std::size_t arena_bytes() const { return context_.arena_bytes(); }

 private:
  v1::Context context_;
  std::vector<std::int64_t> ids_;
  std::vector<float> y_;
};

TEST(ApiContext, PreparedRunsAllocateNothing) {
  const std::vector<v1::Shape> shapes{{1, 1}, {2, 30}, {4, 17}};
  for (const internal::Arithmetic& arithmetic : internal::kArithmetics) {
    for (const int threads : {1, 2}) {
      const v1::Model model = compiled(arithmetic, threads);
      Caller caller(model, 4, 30);
      for (const v1::Shape& shape : shapes) caller.prepare(shape);
      const std::size_t buffers = alloc_stats().allocations;
      const HeapCount heap;
      bool good = true;
      for (std::size_t round = 0; round < 12; ++round) good = good && caller.run(shapes[round % shapes.size()]);
      const std::size_t allocated = heap.allocations();  // before gtest may allocate
      EXPECT_EQ(allocated, 0u) << arithmetic.name << ", " << threads << " threads";
      EXPECT_EQ(alloc_stats().allocations, buffers) << arithmetic.name;
      EXPECT_TRUE(good) << arithmetic.name;
    }
  }
}

TEST(ApiContext, ManyShapesKeepTheMemoryOfTheLargest) {
  constexpr std::int64_t kBatch = 4, kTokens = 64;
  for (const internal::Arithmetic& arithmetic : internal::kArithmetics) {
    const v1::Model model = compiled(arithmetic, 2);
    const std::size_t before = alloc_stats().live_bytes;
    Caller largest(model, kBatch, kTokens);
    ASSERT_TRUE(largest.run({kBatch, kTokens}));
    const std::size_t bound = alloc_stats().live_bytes - before;
    ASSERT_GE(bound, largest.arena_bytes());
    Caller caller(model, kBatch, kTokens);
    std::mt19937 random(11);
    const auto up_to = [&](std::int64_t most) { return 1 + static_cast<std::int64_t>(random() % 1024) % most; };
    for (int round = 0; round < 1000; ++round) {
      const v1::Shape shape{up_to(kBatch), up_to(kTokens)};
      caller.prepare(shape);
      if (round % 10 == 0) {
        ASSERT_TRUE(caller.run(shape));
      }
      ASSERT_LE(caller.arena_bytes(), largest.arena_bytes()) << arithmetic.name;
    }
    ASSERT_TRUE(caller.run({kBatch, kTokens}));
    EXPECT_EQ(caller.arena_bytes(), largest.arena_bytes()) << arithmetic.name;
    EXPECT_EQ(alloc_stats().live_bytes - before, 2 * bound) << arithmetic.name;
  }
}

}  // namespace
}  // namespace intaglio
