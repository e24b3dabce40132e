#include "cli/inputs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace intaglio::cli {
namespace {

DimInfo fixed(std::int64_t size) {
  return {std::to_string(size), size, "", size, size};
}
DimInfo symbol(const std::string& name, std::int64_t min = 0, std::int64_t max = INT64_MAX) {
  return {name, -1, name, min, max};
}

std::vector<PortInfo> bert() {
  return {{"input_ids", DType::i64, {symbol("batch"), symbol("seq")}, 30522},
          {"attention_mask", DType::i64, {symbol("batch"), symbol("seq")}, 0},
          {"scale", DType::f32, {fixed(4)}, 0}};
}

std::string refusal(const std::vector<std::string>& shapes, const std::vector<PortInfo>& ports = bert()) {
  try {
    resolve_shapes(ports, parse_shapes(shapes), "--shape");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    EXPECT_NE(error.origin().find("--shape"), std::string::npos) << error.origin();
    return error.message() + "; " + error.hint();
  }
  ADD_FAILURE() << "accepted";
  return {};
}

TEST(Shapes, OneGivenShapeDecidesItsSymbolsEverywhere) {
  const ResolvedShapes resolved = resolve_shapes(bert(), parse_shapes({"attention_mask=3x17"}), "--shape");
  EXPECT_EQ(resolved.shapes, (std::vector<Shape>{{3, 17}, {3, 17}, {4}}));
  EXPECT_TRUE(resolved.notes.empty());
}

TEST(Shapes, UndecidedSymbolsAreChosenAndTold) {
  const ResolvedShapes resolved = resolve_shapes(bert(), {}, "--shape");
  EXPECT_EQ(resolved.shapes, (std::vector<Shape>{{1, 128}, {1, 128}, {4}}));
  ASSERT_EQ(resolved.notes.size(), 2u);
  EXPECT_NE(resolved.notes[1].find("'seq'"), std::string::npos);
}

TEST(Shapes, ChoicesStayInTheDeclaredRange) {
  const std::vector<PortInfo> ports = {{"x", DType::f32, {symbol("b", 2, 8), symbol("s", 1, 64)}, 0}};
  EXPECT_EQ(resolve_shapes(ports, {}, "--shape").shapes[0], (Shape{2, 64}));
}

TEST(Shapes, RefusalsNameTheCause) {
  EXPECT_NE(refusal({"input_id=1x128"}).find("did you mean 'input_ids'"), std::string::npos);
  EXPECT_NE(refusal({"input_ids=128"}).find("rank 1, not 2"), std::string::npos);
  EXPECT_NE(refusal({"scale=5"}).find("dim 0 is 5, not 4"), std::string::npos);
  EXPECT_NE(refusal({"scale=4x"}).find("''"), std::string::npos);
  EXPECT_NE(refusal({"scale=-4"}).find("'-4'"), std::string::npos);
  EXPECT_NE(refusal({"scale=99999999999999999999"}).find("99999999999999999999"), std::string::npos);
  EXPECT_NE(refusal({"scale"}).find("NAME=AxB"), std::string::npos);
  EXPECT_NE(refusal({"scale=4", "scale=4"}).find("two shapes"), std::string::npos);
  const std::vector<PortInfo> computed = {{"x", DType::f32, {DimInfo{"a*b", -1, "", 0, 100}}, 0}};
  EXPECT_NE(refusal({}, computed).find("a*b"), std::string::npos);
}

TEST(RandomInputs, KeepWithinTheirTables) {
  const std::vector<Tensor> inputs = random_inputs(bert(), {{4, 500}, {4, 500}, {4}});
  const auto ids = inputs[0].values<std::int64_t>();
  const auto [least, most] = std::minmax_element(ids.begin(), ids.end());
  EXPECT_GE(*least, 0);
  EXPECT_LT(*most, 30522);
  EXPECT_GT(*most, 15000);  // spread over the table
  for (const std::int64_t value : inputs[1].values<std::int64_t>()) ASSERT_EQ(value, 1);
  for (const float value : inputs[2].values<float>()) {
    EXPECT_GE(value, -1);
    EXPECT_LT(value, 1);
  }
}

TEST(RandomInputs, AreTheSameEveryTimeAndDifferByName) {
  const auto make = [](const std::string& name) {
    return random_inputs({{name, DType::f32, {fixed(64)}, 0}}, {{64}})[0];
  };
  const Tensor a = make("a"), again = make("a"), b = make("b");
  EXPECT_EQ(std::memcmp(a.data(), again.data(), a.byte_count()), 0);
  EXPECT_NE(std::memcmp(a.data(), b.data(), a.byte_count()), 0);
}

TEST(RandomInputs, OnesForMasksZerosForTokenTypes) {
  for (const DType dtype : {DType::f32, DType::i32, DType::u8, DType::boolean, DType::f16}) {
    const Tensor mask = random_inputs({{"my_mask", dtype, {fixed(3)}, 0}}, {{3}})[0];
    const Tensor types = random_inputs({{"token_type_ids", dtype, {fixed(3)}, 2}}, {{3}})[0];
    const auto* bytes = static_cast<const std::uint8_t*>(types.data());
    for (std::size_t i = 0; i < types.byte_count(); ++i) EXPECT_EQ(bytes[i], 0);
    if (dtype == DType::f32) {
      EXPECT_EQ(mask.values<float>()[2], 1.0f);
    }
    if (dtype == DType::i32) {
      EXPECT_EQ(mask.values<std::int32_t>()[2], 1);
    }
    if (dtype == DType::f16) {
      EXPECT_EQ(static_cast<const std::uint16_t*>(mask.data())[2], 0x3c00);
    }
    if (dtype == DType::boolean) {
      EXPECT_TRUE(mask.values<bool>()[2]);
    }
  }
}

TEST(RandomInputs, HalvesAreTheirRangeToo) {
  const Tensor halves = random_inputs({{"x", DType::f16, {fixed(1000)}, 0}}, {{1000}})[0];
  const auto* bits = static_cast<const std::uint16_t*>(halves.data());
  int negative = 0;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_LE(bits[i] & 0x7fff, 0x3c00);  // at most 1 in magnitude
    negative += bits[i] >> 15;
  }
  EXPECT_GT(negative, 400);
  EXPECT_LT(negative, 600);
}

}  // namespace
}  // namespace intaglio::cli
