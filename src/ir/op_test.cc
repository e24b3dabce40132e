#include "ir/op.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "ir/graph.h"

namespace intaglio::ir {
namespace {

TEST(OpTable, EveryRowIsWellFormed) {
  std::set<std::string_view> names;
  for (int i = 0; i < kOpCount; ++i) {
    const auto op = static_cast<Op>(i);
    const OpSchema& s = schema(op);
    EXPECT_EQ(s.op, op);
    EXPECT_EQ(s.name, name_of(op));
    EXPECT_EQ(parse_op(s.name), op);
    EXPECT_TRUE(names.insert(s.name).second) << s.name;
    EXPECT_FALSE(s.formula.empty()) << s.name;
    ASSERT_FALSE(s.outputs.empty()) << s.name;
    std::set<std::string> parts;
    for (std::size_t k = 0; k < s.inputs.size(); ++k) {
      EXPECT_TRUE(is_value_name(s.inputs[k].name)) << s.name << ": " << s.inputs[k].name;
      EXPECT_TRUE(parts.insert(s.inputs[k].name).second) << s.name;
      EXPECT_TRUE(!s.inputs[k].variadic || k + 1 == s.inputs.size()) << s.name;
    }
    for (const AttrSchema& attr : s.attrs) {
      EXPECT_TRUE(is_value_name(attr.name)) << s.name << ": " << attr.name;
      EXPECT_EQ(attr.default_value ? kind_of(*attr.default_value) : attr.kind, attr.kind) << s.name;
    }
  }
  EXPECT_EQ(parse_op("no_such_op"), std::nullopt);
}

TEST(OpTable, SchemasReadAsWritten) {
  const OpSchema& q = schema(Op::quantized_linear);
  ASSERT_EQ(q.inputs.size(), 8u);
  EXPECT_EQ(q.inputs[3].name, "x_zp");
  EXPECT_TRUE(q.inputs[3].optional);
  EXPECT_FALSE(q.inputs[4].optional);
  EXPECT_TRUE(schema(Op::concat).inputs[0].variadic);
  EXPECT_TRUE(schema(Op::iota).inputs.empty());
  EXPECT_EQ(schema(Op::dynamic_quantize).outputs, (std::vector<std::string>{"y", "scale", "zp"}));
  const OpSchema& clamp = schema(Op::clamp);
  EXPECT_EQ(std::get<double>(*clamp.attrs[0].default_value), -INFINITY);
  EXPECT_EQ(std::get<DType>(*schema(Op::quantize).attrs[1].default_value), DType::u8);
  EXPECT_EQ(std::get<double>(*schema(Op::layer_norm).attrs[1].default_value), 1e-5);
  EXPECT_EQ(schema(Op::expand).attrs[0].kind, AttrKind::dims);
}

TEST(Attrs, CompletionFillsDefaultsAndWidens) {
  Attrs attrs{{"shape", Ints{2, 3}}};
  ASSERT_TRUE(complete_attrs(Op::reshape, attrs));
  EXPECT_EQ(attrs.dims("shape"), (Dims{2, 3}));

  Attrs norm{{"axis", 1}, {"epsilon", 1}};
  ASSERT_TRUE(complete_attrs(Op::layer_norm, norm));
  EXPECT_EQ(norm.f("epsilon"), 1.0);

  Attrs reduce{{"kind", "sum"}, {"axes", Ints{}}};
  ASSERT_TRUE(complete_attrs(Op::reduce, reduce));
  EXPECT_TRUE(reduce.b("keepdims"));
}

TEST(Attrs, CompletionRefusesMissingUnknownAndWrongKinds) {
  Attrs missing;
  EXPECT_NE(complete_attrs(Op::transpose, missing).error().message.find("'perm' is missing"), std::string::npos);
  Attrs unknown{{"axis", 0}, {"logg", true}};
  const auto status = complete_attrs(Op::softmax, unknown);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("no attribute 'logg'"), std::string::npos);
  EXPECT_NE(status.error().hint.find("log"), std::string::npos);
  Attrs wrong{{"axis", 1.5}};
  EXPECT_NE(complete_attrs(Op::softmax, wrong).error().message.find("kind int, not float"), std::string::npos);
}

TEST(Attrs, AreASortedMap) {
  Attrs attrs{{"b", 1}, {"a", true}, {"b", 2}};
  ASSERT_EQ(attrs.items().size(), 2u);
  EXPECT_EQ(attrs.items()[0].first, "a");
  EXPECT_EQ(attrs.i("b"), 2);
  attrs.erase("a");
  EXPECT_EQ(attrs.find("a"), nullptr);
  EXPECT_THROW(attrs.b("a"), std::logic_error);
}

TEST(Broadcast, FollowsNumPyAndRecordsGuards) {
  std::vector<DimGuard> guards;
  const InferContext context{&guards, "here", nullptr};
  const Dim s = Dim::symbol("s"), t = Dim::symbol("t");
  EXPECT_EQ(*broadcast(Dims{3, 1, s}, Dims{4, 1}, context), (Dims{3, 4, s}));
  EXPECT_TRUE(guards.empty());
  EXPECT_EQ(*broadcast(Dims{s}, Dims{5}, context), (Dims{5}));  // the more constant one
  ASSERT_EQ(guards.size(), 1u);
  EXPECT_EQ(guards[0].origin, "here");
  EXPECT_EQ(*broadcast(Dims{s + 1}, Dims{t}, context), (Dims{t}));
  EXPECT_EQ(guards.size(), 2u);
  EXPECT_FALSE(broadcast(Dims{2}, Dims{3}, context));
  EXPECT_FALSE(broadcast(Dims{s}, Dims{s + 1}, context));     // never equal
  EXPECT_FALSE(broadcast(Dims{s}, Dims{t}, InferContext{}));  // nowhere to put the guard
}

}  // namespace
}  // namespace intaglio::ir
