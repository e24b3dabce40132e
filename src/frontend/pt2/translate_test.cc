#include "frontend/pt2/translate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "frontend/pt2/op_table.h"
#include "frontend/pt2/test_archive.h"
#include "ir/text.h"
#include "ir/verifier.h"

namespace intaglio::frontend::pt2 {
namespace {

using ::testing::AllOf;
using testing::bytes_of;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ProgramWriter;

const std::string kTrue = R"({"as_bool": true})";
std::string t(const std::string& name) {
  return ProgramWriter::t(name);
}
std::string i(long value) {
  return R"({"as_int": )" + std::to_string(value) + "}";
}
std::string f(const std::string& value) {
  return R"({"as_float": )" + value + "}";
}
std::string ints(const std::string& list) {
  return R"({"as_ints": [)" + list + "]}";
}
std::string sym(const std::string& name) {
  return R"({"as_sym_int": {"as_name": ")" + name + "\"}}";
}
std::string syms(const std::string& list) {
  return R"({"as_sym_ints": [)" + list + "]}";
}

// The graph in text form, or the error.
std::string text_of(std::string_view archive_bytes, const ImportOptions& options = {}) {
  const auto archive = Archive::open(nullptr, bytes_of(archive_bytes), options);
  if (!archive) return "error: " + archive.error().to_string();
  if (const auto unknown = unsupported_ops(archive->program()); !unknown.empty()) {
    std::string list = "unknown:";
    for (const UnsupportedOp& op : unknown) list += " " + op.op + "x" + std::to_string(op.nodes.size());
    return list;
  }
  ir::Graph graph;
  if (const auto done = translate(*archive, options, graph); !done) return "error: " + done.error().to_string();
  if (const auto checked = ir::verify(graph); !checked) return "invalid: " + checked.error().to_string();
  return ir::print(graph);
}
std::string text_of(const ProgramWriter& writer, const ImportOptions& options = {}) {
  return text_of(writer.archive(), options);
}

// A program of one op on x: f32[s0, 4], y: f32[4], n: i64[s0, 4] and h: bf16[4].
ProgramWriter with_inputs() {
  ProgramWriter writer;
  writer.input("x", 7, {"s0", "4"})
      .input("y", 7, {"4"})
      .input("n", 5, {"s0", "4"})
      .input("h", 13, {"4"})
      .input("z", 8, {});
  return writer;
}
std::string one(const std::string& target, const std::vector<std::pair<std::string, std::string>>& inputs) {
  return text_of(with_inputs().node("torch.ops." + target, inputs, "r").output("r"));
}

TEST(Translate, KeepsSymbolsOriginsAndNames) {
  const std::string text = text_of(
      with_inputs().node("torch.ops.aten.add.Tensor", {{"self", t("x")}, {"other", t("y")}}, "sum").output("sum"));
  EXPECT_THAT(text,
              AllOf(HasSubstr("symbol s0 in [2, 64]"), HasSubstr("input \"x\""), HasSubstr("f32[s0, 4]"),
                    HasSubstr("add("), HasSubstr("\"sum\" \"net.py:42 fc\""), HasSubstr("output \"output_0\" %sum")));
}

TEST(Translate, PromotesAsTorchDoes) {
  EXPECT_THAT(one("aten.add.Tensor", {{"self", t("n")}, {"other", f("0.5")}}), HasSubstr(": f32[s0, 4] = add("));
  EXPECT_THAT(one("aten.add.Tensor", {{"self", t("n")}, {"other", i(2)}}), HasSubstr(": i64[s0, 4] = add("));
  EXPECT_THAT(one("aten.add.Tensor", {{"self", t("h")}, {"other", f("2.0")}}), HasSubstr(": bf16[4] = add("));
  EXPECT_THAT(one("aten.add.Tensor", {{"self", t("h")}, {"other", t("y")}}), HasSubstr(": f32[4] = add("));
  EXPECT_THAT(one("aten.mul.Tensor", {{"self", t("x")}, {"other", t("z")}}),
              HasSubstr(": f32[s0, 4] = mul("));  // a 0-dim f64 does not widen
  EXPECT_THAT(one("aten.mul.Tensor", {{"self", t("n")}, {"other", t("z")}}), HasSubstr(": f64[s0, 4] = mul("));
  EXPECT_THAT(one("aten.div.Tensor", {{"self", t("n")}, {"other", i(2)}}), HasSubstr(": f32[s0, 4] = div("));
  EXPECT_THAT(one("aten.exp.default", {{"self", t("n")}}), HasSubstr(": f32[s0, 4] = exp("));
  EXPECT_THAT(one("aten.sum.dim_IntList", {{"self", t("n")}, {"dim", ints("1")}}), HasSubstr(": i64[s0] = reduce("));
  EXPECT_THAT(one("aten.ge.Scalar", {{"self", t("n")}, {"other", f("0.5")}}), HasSubstr(": bool[s0, 4] = ge("));
}

TEST(Translate, FillsDefaultsIn) {
  EXPECT_THAT(one("aten.gelu.default", {{"self", t("x")}}), HasSubstr("= gelu("));
  EXPECT_THAT(one("aten.gelu.default", {{"self", t("x")}, {"approximate", R"({"as_string": "tanh"})"}}),
              HasSubstr("approximate=\"tanh\""));
  EXPECT_THAT(one("aten.flatten.using_ints", {{"self", t("x")}}), HasSubstr("f32[4*s0]"));
  EXPECT_THAT(one("aten.softmax.int", {{"self", t("x")}, {"dim", i(-1)}}), HasSubstr("axis=1"));
  EXPECT_THAT(one("aten.clamp.default", {{"self", t("x")}, {"min", f("\"-Infinity\"")}, {"max", i(6)}}),
              HasSubstr("clamp("));
}

TEST(Translate, ShapesFollowSymbols) {
  ProgramWriter writer = with_inputs();
  writer.node("torch.ops.aten.sym_size.int", {{"self", t("x")}, {"dim", i(0)}}, "size", true);
  writer.node("_operator.mul", {{"a", sym("size")}, {"b", i(2)}}, "twice", true);
  writer.node("_operator.floordiv", {{"a", sym("twice")}, {"b", i(2)}}, "back", true);
  writer.node("torch.ops.aten.view.default",
              {{"self", t("x")}, {"size", syms(R"({"as_name": "twice"}, {"as_int": -1})")}}, "v");
  writer
      .node("torch.ops.aten.reshape.default",
            {{"self", t("v")}, {"shape", syms(R"({"as_name": "back"}, {"as_int": 4})")}}, "r")
      .output("v")
      .output("r");
  EXPECT_THAT(text_of(writer), AllOf(HasSubstr("f32[2*s0, 2]"), HasSubstr("%r: f32[s0, 4]")));
}

TEST(Translate, UndecidedNumbersOnlyMatterWhenUsed) {
  ProgramWriter writer = with_inputs();
  writer.node("torch.ops.aten.sym_size.int", {{"self", t("x")}, {"dim", i(0)}}, "size", true);
  writer.node("_operator.eq", {{"a", sym("size")}, {"b", i(7)}}, "seven", true);
  ProgramWriter asserting = writer;
  asserting.node("torch.ops.aten._assert_scalar.default", {{"self", sym("seven")}}, "");
  EXPECT_THAT(text_of(asserting.output("x")), Not(HasSubstr("error")));
  writer.node("torch.ops.aten.add.Tensor", {{"self", t("x")}, {"other", sym("seven")}}, "r").output("r");
  EXPECT_THAT(text_of(writer), AllOf(HasSubstr("error"), HasSubstr("comparison")));
}

TEST(Translate, SlicesAndSelects) {
  EXPECT_THAT(
      one("aten.slice.Tensor", {{"self", t("x")}, {"dim", i(1)}, {"start", i(-3)}, {"end", i(9223372036854775807)}}),
      HasSubstr("%r: f32[s0, 3]"));
  EXPECT_THAT(one("aten.slice.Tensor", {{"self", t("x")}, {"dim", i(0)}, {"start", i(0)}, {"end", i(1)}}),
              HasSubstr("%r: f32[1, 4]"));
  EXPECT_THAT(one("aten.slice.Tensor", {{"self", t("x")}, {"dim", i(0)}, {"end", i(9223372036854775807)}}),
              HasSubstr("output \"output_0\" %x"));
  EXPECT_THAT(one("aten.select.int", {{"self", t("x")}, {"dim", i(1)}, {"index", i(-1)}}), HasSubstr("f32[s0]"));
  EXPECT_THAT(one("aten.slice.Tensor", {{"self", t("x")}, {"step", i(0)}}), HasSubstr("error"));
  EXPECT_THAT(one("aten.slice.Tensor", {{"self", t("x")}, {"dim", i(2)}}), HasSubstr("error"));
}

TEST(Translate, IndexingByTensors) {
  ProgramWriter writer;
  writer.input("d", 7, {"2", "3", "4", "5"}).input("a", 5, {"6"}).input("b", 5, {"7", "1"}).input("m", 12, {"2"});
  const auto indexed = [&](const std::string& list) {
    return text_of(ProgramWriter(writer)
                       .node("torch.ops.aten.index.Tensor",
                             {{"self", t("d")}, {"indices", R"({"as_optional_tensors": [)" + list + "]}"}}, "r")
                       .output("r"));
  };
  const std::string none = R"({"as_none": true})";
  EXPECT_THAT(indexed(none + ", " + t("a")), HasSubstr(": f32[2, 6, 4, 5] = gather("));
  EXPECT_THAT(indexed(t("a") + ", " + t("b")), HasSubstr(": f32[7, 6, 4, 5] = gather_nd("));
  EXPECT_THAT(indexed(none + ", " + t("a") + ", " + t("b")), HasSubstr(": f32[2, 7, 6, 5] = transpose("));
  EXPECT_THAT(indexed(t("a") + ", " + none + ", " + t("b")), HasSubstr(": f32[7, 6, 3, 5] = gather_nd("));
  EXPECT_THAT(indexed(t("m")), AllOf(HasSubstr("error"), HasSubstr("mask")));
}

TEST(Translate, WeightsAreRead) {
  const std::string four(16, '\0'), eight(32, '\0');
  ProgramWriter writer = with_inputs();
  writer.parameter("w", 7, {"2", "4"}, eight).parameter("unused", 7, {"4"}, "short");
  writer.node("torch.ops.aten.linear.default", {{"input", t("x")}, {"weight", t("w")}}, "r").output("r");
  EXPECT_THAT(text_of(writer), AllOf(HasSubstr("linear("), HasSubstr("transposed=true"), HasSubstr("const %"),
                                     HasSubstr("%r: f32[s0, 2]")));
  ProgramWriter short_one = with_inputs();
  short_one.parameter("w", 7, {"2", "4"}, four)
      .node("torch.ops.aten.linear.default", {{"input", t("x")}, {"weight", t("w")}}, "r")
      .output("r");
  EXPECT_THAT(text_of(short_one),
              AllOf(HasSubstr("error"), HasSubstr("'m.w'"), HasSubstr("reaches outside its record")));
  ProgramWriter pickled = with_inputs();
  pickled.parameter("w", 7, {"2", "4"}, eight, true)
      .node("torch.ops.aten.linear.default", {{"input", t("x")}, {"weight", t("w")}}, "r")
      .output("r");
  EXPECT_THAT(text_of(pickled), AllOf(HasSubstr("error"), HasSubstr("run_decompositions")));
}

TEST(Records, StridesAndOffsets) {
  const std::vector<float> values{0, 1, 2, 3, 4, 5, 6, 7};
  const std::span<const std::byte> record = std::as_bytes(std::span(values));
  const auto read = [&](std::vector<std::int64_t> sizes, std::vector<std::int64_t> strides, std::int64_t offset) {
    TensorMeta meta{.dtype = 7, .sizes = {}, .strides = {}, .offset = {offset, {}}, .layout = 7};
    for (const std::int64_t size : sizes) meta.sizes.push_back({size, {}});
    for (const std::int64_t stride : strides) meta.strides.push_back({stride, {}});
    return tensor_of_record(record, meta, nullptr);
  };
  const auto contiguous = read({2, 3}, {3, 1}, 2);
  ASSERT_TRUE(contiguous);
  EXPECT_EQ(contiguous->data, record.data() + 8);  // a view
  const auto turned = read({3, 2}, {1, 4}, 1);
  ASSERT_TRUE(turned);
  std::vector<float> got;
  for (std::int64_t k = 0; k < 6; ++k) got.push_back(turned->load<float>(k));
  EXPECT_EQ(got, (std::vector<float>{1, 5, 2, 6, 3, 7}));
  EXPECT_TRUE(read({}, {}, 7));
  EXPECT_FALSE(read({}, {}, 8));
  EXPECT_FALSE(read({2, 3}, {3, 1}, 3));
  EXPECT_TRUE(read({0, 3}, {3, 1}, 100));
  EXPECT_FALSE(read({-1}, {1}, 0));
  EXPECT_FALSE(read({2}, {-1}, 1));
  EXPECT_FALSE(read({2}, {INT64_MAX}, INT64_MAX));
  EXPECT_FALSE(read({INT64_MAX, INT64_MAX}, {0, 0}, 0));
  EXPECT_FALSE(read({std::int64_t{1} << 30}, {0}, 0));  // 4 GiB from 32 stored bytes
  EXPECT_TRUE(read({1000}, {0}, 3));
}

TEST(Translate, InPlaceOperatorsRename) {
  ProgramWriter writer = with_inputs();
  writer.node("torch.ops.aten.mul.Tensor", {{"self", t("x")}, {"other", f("2.0")}}, "a");
  writer.node("torch.ops.aten.view.default", {{"self", t("a")}, {"size", ints("-1")}}, "v");
  ProgramWriter dead_view = writer, live_base = writer, on_input = writer;
  dead_view.node("torch.ops.aten.relu_.default", {{"self", t("v")}}, "r").output("v").output("r");
  EXPECT_THAT(text_of(dead_view), AllOf(HasSubstr("output \"output_0\" %r\n"), HasSubstr("output \"output_1\" %r\n")));
  live_base.node("torch.ops.aten.relu_.default", {{"self", t("v")}}, "r").output("a").output("r");
  EXPECT_THAT(text_of(live_base),
              AllOf(HasSubstr("error"), HasSubstr("view 'a' is still in use"), HasSubstr("run_decompositions({})")));
  on_input.node("torch.ops.aten.add_.Tensor", {{"self", t("x")}, {"other", t("y")}}, "r").output("r");
  EXPECT_THAT(text_of(on_input), AllOf(HasSubstr("error"), HasSubstr("changes an input")));
}

TEST(Translate, UnknownOpsAreCollected) {
  ProgramWriter writer = with_inputs();
  writer.node("torch.ops.aten.frobnicate.default", {{"self", t("x")}}, "a")
      .node("torch.ops.aten.frobnicate.default", {{"self", t("a")}}, "b");
  writer.node("torch.ops.my.op.default", {{"self", t("b")}}, "c").output("c");
  EXPECT_EQ(text_of(writer), "unknown: aten.frobnicate.defaultx2 my.op.defaultx1");
}

TEST(Translate, FalseProgramsAreErrors) {
  EXPECT_THAT(one("aten.relu.default", {{"self", t("nowhere")}}), HasSubstr("before anything defines it"));
  EXPECT_THAT(one("aten.relu.default", {}), HasSubstr("'self' is missing"));
  EXPECT_THAT(one("aten.relu.default", {{"self", i(3)}}), HasSubstr("not a tensor"));
  EXPECT_THAT(one("aten.view.default", {{"self", t("x")}, {"size", ints("-1, -1")}}), HasSubstr("error"));
  EXPECT_THAT(one("aten.permute.default", {{"self", t("x")}, {"dims", ints("0, 0")}}), HasSubstr("repeated"));
  EXPECT_THAT(one("aten.zeros.default", {{"size", ints("-4")}}), HasSubstr("error"));
  EXPECT_THAT(one("aten.split.Tensor", {{"self", t("z")}, {"split_size", i(1)}}), HasSubstr("error"));
  EXPECT_THAT(one("aten.dropout.default", {{"input", t("x")}, {"p", f("0.5")}, {"train", kTrue}}),
              HasSubstr("model.eval()"));
  ProgramWriter twice = with_inputs();
  twice.node("torch.ops.aten.relu.default", {{"self", t("x")}}, "r")
      .node("torch.ops.aten.relu.default", {{"self", t("x")}}, "r")
      .output("r");
  EXPECT_THAT(text_of(twice), HasSubstr("two results"));
  ProgramWriter declared = with_inputs();
  declared.tensor("r", 7, {"s0", "5"}).node("torch.ops.aten.relu.default", {{"self", t("x")}}, "r").output("r");
  EXPECT_THAT(text_of(declared), HasSubstr("the archive declares 'r' as f32[?, 5]"));
}

TEST(Translate, FixedInputsLeaveTheSignature) {
  ImportOptions options;
  options.fixed_inputs["n"] = *ir::Tensor::from<std::int64_t>({3, 4}, std::vector<std::int64_t>(12, 1));
  const std::string text = text_of(
      with_inputs().node("torch.ops.aten.add.Tensor", {{"self", t("x")}, {"other", t("n")}}, "r").output("r"), options);
  EXPECT_THAT(text, AllOf(Not(HasSubstr("input \"n\"")), HasSubstr("f32[3, 4]"), Not(HasSubstr("symbol"))));
  options.fixed_inputs["missing"] = ir::Tensor::scalar_f32(1);
  EXPECT_THAT(text_of(with_inputs().output("x"), options), HasSubstr("'missing'"));
  ImportOptions wrong;
  wrong.fixed_inputs["n"] = ir::Tensor::scalar_f32(1);
  EXPECT_THAT(text_of(with_inputs().output("x"), wrong), HasSubstr("another dtype"));
}

TEST(Archive, OtherFormatsAreNamed) {
  const auto error = [](const std::string& name) { return text_of(testing::ZipWriter().add(name, "x").finish()); };
  EXPECT_THAT(error("m/code/../x"), HasSubstr("'..'"));
  EXPECT_THAT(error("m/constants.pkl"), HasSubstr("TorchScript"));
  EXPECT_THAT(error("m/data.pkl"), HasSubstr("pickle"));
  EXPECT_THAT(error("serialized_exported_program.json"), HasSubstr("older torch.export.save"));
  EXPECT_THAT(error("m/data/weights/model.pt"), HasSubstr("older versions"));
  EXPECT_THAT(error("m/anything"), HasSubstr("no models/*.json"));
  EXPECT_THAT(text_of(testing::ZipWriter().add("m/models/a.json", "{}").add("m/models/b.json", "{}").finish()),
              HasSubstr("several models (a, b)"));
  EXPECT_THAT(text_of(testing::ZipWriter().add("m/models/a.json", "{").finish()), HasSubstr("cannot be read"));
}

TEST(Archive, DamageIsAnErrorOrAnAnswer) {
  ProgramWriter writer = with_inputs();
  writer.parameter("w", 7, {"2", "4"}, std::string(32, '\1'));
  writer.node("torch.ops.aten.linear.default", {{"input", t("x")}, {"weight", t("w")}}, "a");
  writer.node("torch.ops.aten.slice.Tensor", {{"self", t("a")}, {"dim", i(1)}, {"start", i(0)}, {"end", i(1)}}, "r")
      .output("r");
  const std::string archive = writer.archive();
  ASSERT_THAT(text_of(archive), Not(HasSubstr("error")));
  std::mt19937 random(2);
  for (int round = 0; round < 3000; ++round) {
    std::vector<char> damaged(archive.begin(), archive.end());
    for (unsigned k = 0; k <= random() % 3; ++k)
      damaged[random() % damaged.size()] = static_cast<char>("0123456789-\"{}[],:eas"[random() % 21]);
    EXPECT_FALSE(text_of({damaged.data(), damaged.size()}).empty());
  }
  for (std::size_t size = 0; size < archive.size(); size += 97)
    EXPECT_THAT(text_of(archive.substr(0, size)), HasSubstr("error"));
}

TEST(OpTable, InPlaceTargetsUseTheFunctionalRow) {
  EXPECT_FALSE(find_op("torch.ops.aten.add.Tensor").in_place);
  EXPECT_TRUE(find_op("torch.ops.aten.add_.Tensor").in_place);
  EXPECT_EQ(find_op("torch.ops.aten.add_.Tensor").row, find_op("torch.ops.aten.add.Tensor").row);
  EXPECT_FALSE(find_op("torch.ops.aten.__and__.Tensor").in_place);
  EXPECT_EQ(find_op("torch.ops.aten.nothing_.default").row, nullptr);
  for (const char* odd : {"", ".", "..", "a..", "_._", "_.._", "._.", "aten._.x"})
    EXPECT_EQ(find_op(odd).row, nullptr) << odd;
  EXPECT_GT(op_count(), 200u);
}

}  // namespace
}  // namespace intaglio::frontend::pt2
