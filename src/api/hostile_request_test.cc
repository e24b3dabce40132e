// Requests that make no sense, through the API, in every arithmetic: an Error that says what, or outputs; and the next
// good run has the bits of the one before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "api/model_test_util.h"
#include "api/rooms.h"
#include "frontend/onnx/test_model.h"

namespace intaglio {
namespace {

namespace onnx = frontend::onnx::testing;

constexpr std::int64_t kWords = 20, kWidth = 32;

// table[ids] a + x -> softmax over tokens -> b.   ids [batch, seq], x [batch, seq, 32]
onnx::Bytes model_bytes() {
  onnx::Model model;
  model.inputs = {onnx::value_info("ids", onnx::kInt64, {"batch", "seq"}),
                  onnx::value_info("x", onnx::kFloat, {"batch", "seq", "32"})};
  model.outputs = {onnx::value_info("y", onnx::kFloat, {"batch", "seq", "32"})};
  const auto weight = [&](const char* name, std::int64_t rows, float scale) {
    model.initializers.push_back(
        onnx::raw_tensor(name, onnx::kFloat, {rows, kWidth}, onnx::raw(internal::weight_values(rows * kWidth, scale))));
  };
  weight("table", kWords, 1.0f);
  weight("a", kWidth, 0.1f);
  weight("b", kWidth, -0.1f);
  model.nodes = {{"Gather", {"table", "ids"}, {"g"}},
                 {"MatMul", {"g", "a"}, {"m"}},
                 {"Add", {"m", "x"}, {"s"}},
                 {"Softmax", {"s"}, {"p"}},
                 {"MatMul", {"p", "b"}, {"y"}}};
  return model.bytes();
}

class HostileRequest : public testing::TestWithParam<internal::Arithmetic> {
 protected:
  HostileRequest() : model_(compiled()), context_(model_.make_context()) {}

  static v1::Model compiled() {
    const onnx::Folder folder;
    return v1::compile(folder.write("model.onnx", model_bytes()).string(), compile_options(GetParam(), 2));
  }

  // Of shape [2, 3].
  const v1::Error* run(const void* ids, const void* x, void* y, std::size_t bytes, v1::DType dtype = v1::DType::i64) {
    const v1::TensorView in[] = {{ids, dtype, ids_shape_}, {x, v1::DType::f32, x_shape_}};
    const v1::MutableView out[] = {{y, bytes}};
    return context_.run_into(in, out);
  }
  void expect_refused(const v1::Error* error, const std::string& text) {
    ASSERT_NE(error, nullptr) << text;
    EXPECT_EQ(error->code(), v1::ErrorCode::usage) << error->what();
    EXPECT_THAT(error->what(), testing::HasSubstr(text));
  }

  v1::Model model_;
  v1::Context context_;
  v1::Shape ids_shape_{2, 3}, x_shape_{2, 3, kWidth};
  std::vector<std::int64_t> ids_{1, 2, 3, 19, 0, 5};
  std::vector<float> x_ = internal::weight_values(6 * kWidth, 1.0f);
};

TEST_P(HostileRequest, Shapes) {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max(), half = std::int64_t{1} << 31;
  const auto prepare = [&](std::int64_t batch, std::int64_t seq) {
    return context_.prepare(std::vector<v1::Shape>{{batch, seq}, {batch, seq, kWidth}});
  };
  for (const auto& [batch, seq] : {std::pair{half, half},
                                   {half * 2, half * 2},
                                   {most, std::int64_t{1}},
                                   {most, most},
                                   {std::int64_t{1}, most},
                                   {std::int64_t{-1}, std::int64_t{3}},
                                   {most, std::int64_t{-1}},
                                   {std::int64_t{1} << 40, std::int64_t{2}}}) {
    try {
      prepare(batch, seq);
      ADD_FAILURE() << batch << " x " << seq << " was bound";
    } catch (const v1::Error& error) {
      EXPECT_TRUE(error.code() == v1::ErrorCode::usage || error.code() == v1::ErrorCode::unsupported) << error.what();
      EXPECT_FALSE(error.message().empty());
    }
  }
  for (const auto& [batch, seq] : {std::pair<std::int64_t, std::int64_t>{0, 3}, {3, 0}, {0, 0}, {0, half}, {half, 0}})
    EXPECT_EQ(prepare(batch, seq), (std::vector<v1::Shape>{{batch, seq, kWidth}}));
  EXPECT_THROW(context_.prepare({}), v1::Error);
  EXPECT_THROW(context_.prepare(std::vector<v1::Shape>{{2, 3}, {2, 4, kWidth}}), v1::Error);
  EXPECT_THROW(context_.prepare(std::vector<v1::Shape>{{2, 3}, {2, 3}}), v1::Error);
  EXPECT_THROW(context_.prepare(std::vector<v1::Shape>{{2, 3}, v1::Shape(100, 1)}), v1::Error);
}

TEST_P(HostileRequest, MemoryAndValues) {
  std::vector<float> expected(6 * kWidth), y(6 * kWidth);
  const std::size_t bytes = y.size() * sizeof(float);
  ASSERT_EQ(run(ids_.data(), x_.data(), expected.data(), bytes), nullptr);
  const auto* odd = reinterpret_cast<const char*>(x_.data()) + 1;
  expect_refused(run(nullptr, x_.data(), y.data(), bytes), "'ids'");
  expect_refused(run(ids_.data(), odd, y.data(), bytes), "'x'");
  expect_refused(run(ids_.data(), x_.data(), nullptr, bytes), "'y'");
  expect_refused(run(ids_.data(), x_.data(), y.data(), bytes - 1), "'y'");
  expect_refused(run(ids_.data(), x_.data(), y.data(), bytes, v1::DType::i32), "'ids'");
  for (const std::int64_t wrong :
       {kWords, -kWords - 1, std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    auto ids = ids_;
    ids[4] = wrong;
    expect_refused(run(ids.data(), x_.data(), y.data(), bytes), "index is out of range");
  }
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::max()}) {
    auto x = x_;
    x[2 * kWidth + 7] = value;  // of the third token
    ASSERT_EQ(run(ids_.data(), x.data(), y.data(), bytes), nullptr);
    for (std::size_t i = 0; i < y.size(); ++i) {
      if (i / kWidth != 2) {
        ASSERT_EQ(y[i], expected[i]) << value << " changed another token: " << i;
      }
    }
  }
  EXPECT_EQ(context_.run_into({}, {})->code(), v1::ErrorCode::usage);
  std::fill(y.begin(), y.end(), 0.0f);
  ASSERT_EQ(run(ids_.data(), x_.data(), y.data(), bytes), nullptr);
  EXPECT_EQ(y, expected);
}

INSTANTIATE_TEST_SUITE_P(Arithmetic, HostileRequest, testing::ValuesIn(internal::kArithmetics),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace intaglio
