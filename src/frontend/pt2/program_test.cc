#include "frontend/pt2/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "frontend/pt2/pytree.h"
#include "frontend/pt2/srepr.h"
#include "frontend/pt2/test_archive.h"

namespace intaglio::frontend::pt2 {
namespace {

using testing::bytes_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ProgramWriter;
using Kind = Argument::Kind;

// Keeps the document alive beside the argument that points into it.
struct Parsed {
  JsonDocument document;
  Result<Argument> argument;
};
Parsed parse(const std::string& json) {
  auto document = JsonDocument::parse(bytes_of(json), "test");
  EXPECT_TRUE(document);
  auto argument = parse_argument(document->root(), {});
  return {std::move(*document), std::move(argument)};
}

TEST(Argument, KindsOfTheUnion) {
  EXPECT_EQ(parse(R"({"as_none": true})").argument->kind, Kind::none);
  EXPECT_EQ(parse(R"({"as_tensor": {"name": "x"}})").argument->kind, Kind::tensor);
  EXPECT_EQ(parse(R"({"as_int": -5})").argument->i, -5);
  EXPECT_EQ(parse(R"({"as_bool": true})").argument->i, 1);
  EXPECT_EQ(parse(R"({"as_scalar_type": 7})").argument->kind, Kind::dtype);
  EXPECT_EQ(parse(R"({"as_device": {"type": "cpu", "index": null}})").argument->kind, Kind::ignored);
  EXPECT_EQ(parse(R"({"as_sym_int": {"as_name": "s"}})").argument->kind, Kind::sym);
  EXPECT_EQ(parse(R"({"as_sym_int": {"as_int": 3}})").argument->i, 3);
  EXPECT_EQ(parse(R"({"as_custom_obj": {"name": "o"}})").argument->kind, Kind::other);
  EXPECT_EQ(parse(R"({"as_string": "mean"})").argument->kind, Kind::string);
}

TEST(Argument, FloatsMayBeStrings) {
  EXPECT_EQ(parse(R"({"as_float": 0.5})").argument->f, 0.5);
  EXPECT_EQ(parse(R"({"as_float": 2})").argument->f, 2.0);
  EXPECT_EQ(parse(R"({"as_float": "-Infinity"})").argument->f, -INFINITY);
  EXPECT_EQ(parse(R"({"as_float": "Infinity"})").argument->f, INFINITY);
  EXPECT_TRUE(std::isnan(parse(R"({"as_float": "NaN"})").argument->f));
  EXPECT_FALSE(parse(R"({"as_float": "nan"})").argument);
}

TEST(Argument, Lists) {
  const Parsed tensors = parse(R"({"as_tensors": [{"name": "a"}, {"name": "b"}]})");
  ASSERT_EQ(tensors.argument->items.size(), 2u);
  EXPECT_EQ(tensors.argument->items[1].text, "b");
  const Parsed optional = parse(R"({"as_optional_tensors": [{"as_none": true}, {"as_tensor": {"name": "b"}}]})");
  EXPECT_EQ(optional.argument->items[0].kind, Kind::none);
  EXPECT_EQ(optional.argument->items[1].kind, Kind::tensor);
  const Parsed sizes = parse(R"({"as_sym_ints": [{"as_name": "s"}, {"as_int": -1}]})");
  EXPECT_EQ(sizes.argument->items[0].kind, Kind::sym);
  EXPECT_EQ(sizes.argument->items[1].i, -1);
  EXPECT_EQ(parse(R"({"as_ints": []})").argument->kind, Kind::list);
  EXPECT_EQ(parse(R"({"as_floats": [1, "NaN"]})").argument->items[0].kind, Kind::floating);
}

TEST(Argument, RefusesWhatIsNoUnion) {
  for (const char* json :
       {R"({})", R"({"as_int": 1, "as_float": 2})", R"(7)", R"({"as_int": "7"})", R"({"as_int": 9223372036854775808})",
        R"({"as_tensor": {}})", R"({"as_tensor": "x"})", R"({"as_bool": 1})"}) {
    EXPECT_FALSE(parse(json).argument) << json;
  }
}

TEST(Argument, DepthIsLimited) {
  std::string nested = R"({"as_int": 1})";
  for (int i = 0; i < 60; ++i) nested = R"({"as_sym_int": )" + nested + "}";
  EXPECT_TRUE(parse(nested).argument);
  for (int i = 0; i < 50; ++i) nested = R"({"as_sym_int": )" + nested + "}";
  EXPECT_FALSE(parse(nested).argument);
  const std::string deep = std::string(129, '[') + std::string(129, ']');
  EXPECT_FALSE(JsonDocument::parse(bytes_of(deep), "test"));
  const std::string shallow = std::string(120, '[') + std::string(120, ']');
  EXPECT_TRUE(JsonDocument::parse(bytes_of(shallow), "test"));
}

TEST(Program, VersionAndRanges) {
  const std::string json = ProgramWriter().input("x", 7, {"s0", "4"}).output("x").json();
  const auto program = parse_program(bytes_of(json), {});
  ASSERT_TRUE(program) << program.error().to_string();
  EXPECT_EQ(program->torch_version, "2.13.0");
  EXPECT_EQ(program->ranges.at("s0"), (SymbolRange{2, 64}));
  EXPECT_EQ(program->ranges.at("s1"), (SymbolRange{0, INT64_MAX}));
  const auto old = parse_program(bytes_of(ProgramWriter().json(7)), {});
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().code, ErrorCode::unsupported);
  EXPECT_THAT(old.error().hint, HasSubstr("save it again"));
}

TEST(Program, NodesAreLimited) {
  ProgramWriter writer;
  writer.input("x", 7, {"4"});
  writer.node("torch.ops.aten.relu.default", {{"self", ProgramWriter::t("x")}}, "a");
  writer.node("torch.ops.aten.relu.default", {{"self", ProgramWriter::t("x")}}, "b");
  const std::string json = writer.json();
  ImportOptions options;
  options.max_nodes = 2;
  EXPECT_TRUE(parse_program(bytes_of(json), options));
  options.max_nodes = 1;
  EXPECT_FALSE(parse_program(bytes_of(json), options));
  ImportOptions short_strings;
  short_strings.max_string = 5;
  EXPECT_FALSE(parse_program(bytes_of(json), short_strings));
}

TEST(Srepr, Expressions) {
  const auto parse_text = [](std::string_view text) -> std::string {
    const auto dim = parse_srepr(text, [](std::string_view name) { return Dim::symbol(name); });
    return dim ? dim->to_string() : "error";
  };
  const Dim s = Dim::symbol("s43"), u = Dim::symbol("s53");
  EXPECT_EQ(parse_text("Symbol('s43', positive=True, integer=True)"), s.to_string());
  EXPECT_EQ(parse_text("Mul(Integer(64), Symbol('s43', integer=True))"), (s * Dim(64)).to_string());
  EXPECT_EQ(parse_text("Add(Mul(Integer(-1), Symbol('s43')), Symbol('s53'), Integer(2))"),
            (u - s + Dim(2)).to_string());
  EXPECT_EQ(parse_text("Pow(Symbol('s43'), Integer(2))"), (s * s).to_string());
  EXPECT_EQ(parse_text("FloorDiv(Symbol('s43'), Integer(2))"), Dim::floordiv(s, 2).to_string());
  EXPECT_EQ(parse_text("Mod(Symbol('s43'), Integer(2))"), Dim::mod(s, 2).to_string());
  EXPECT_EQ(parse_text("Max(Integer(1), Symbol('s43'))"), Dim::max(1, s).to_string());
  EXPECT_EQ(parse_text("ModularIndexing(Symbol('s43'), Integer(2), Integer(4))"),
            Dim::mod(Dim::floordiv(s, 2), 4).to_string());
  for (const char* bad : {"", "Symbol", "Symbol(", "Symbol('a'", "Symbol('')", "Mul()", "Mul(Integer(2)", "Integer(x)",
                          "Integer(99999999999999999999)", "Sin(Symbol('a'))", "Integer(2) 3",
                          "Pow(Symbol('a'), Integer(9))", "Mul(Integer(9223372036854775807), Integer(2))"}) {
    EXPECT_EQ(parse_text(bad), "error") << bad;
  }
  std::string deep = "Symbol('a')";
  for (int i = 0; i < 1000; ++i) deep = "Max(" + deep + ", Integer(1))";
  EXPECT_EQ(parse_text(deep), "error");
}

TEST(Pytree, NamesOfOutputs) {
  const std::string leaf = R"({"type": null, "context": null, "children_spec": []})";
  EXPECT_THAT(output_names("[1, " + leaf + "]", 1), ElementsAre("output_0"));
  EXPECT_THAT(
      output_names(
          R"([1, {"type": "builtins.tuple", "context": "null", "children_spec": [)" + leaf + ", " + leaf + "]}]", 2),
      ElementsAre("output_0", "output_1"));
  const std::string fields =
      R"([1, {"type": "transformers.modeling_outputs.X", "context": "[\"last_hidden_state\", \"past\"]", "children_spec": [)" +
      leaf + R"(, {"type": "builtins.tuple", "context": "null", "children_spec": [)" + leaf + ", " + leaf + "]}]}]";
  EXPECT_THAT(output_names(fields, 3), ElementsAre("last_hidden_state", "past.0", "past.1"));
  EXPECT_THAT(output_names(fields, 2), ElementsAre("output_0", "output_1"));  // another number of leaves
  EXPECT_THAT(output_names("garbage", 1), ElementsAre("output_0"));
}

}  // namespace
}  // namespace intaglio::frontend::pt2
