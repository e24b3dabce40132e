// From model files to graphs: shape arithmetic, inputs, functions, refusals. The IR is compared in its text form.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontend/frontend.h"
#include "frontend/onnx/op_table.h"
#include "frontend/onnx/test_model.h"
#include "ir/text.h"

namespace intaglio::frontend::onnx {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::Not;

Result<ir::Graph> import_bytes(const Bytes& bytes, const ImportOptions& options = {}) {
  const Folder folder;
  return import(folder.write("m.onnx", bytes), options);
}

std::string text_of(const Model& model, const ImportOptions& options = {}, bool origins = false) {
  const auto graph = import_bytes(model.bytes(), options);
  return graph ? ir::print(*graph, {.full_constants = false, .origins = origins})
               : "error: " + graph.error().to_string();
}

Error error_of(const Model& model, const ImportOptions& options = {}) {
  const auto graph = import_bytes(model.bytes(), options);
  EXPECT_FALSE(graph) << ir::print(*graph);
  return graph ? Error{} : graph.error();
}

Model one_node(Node node, std::vector<Bytes> inputs = {value_info("x", kFloat, {"batch", "seq", "8"})},
               std::int64_t opset = 20) {
  Model m;
  m.opset = opset;
  m.inputs = std::move(inputs);
  m.outputs = {value_info(node.outputs.front(), kFloat, {})};
  m.nodes = {std::move(node)};
  return m;
}

// ---- shapes

TEST(OnnxShapes, ReshapeThroughShapeGatherConcat) {
  Model m = one_node({"Reshape", {"x", "target"}, {"y"}});
  m.initializers = {raw_tensor("zero", kInt64, {}, raw<std::int64_t>({0})),
                    raw_tensor("one", kInt64, {}, raw<std::int64_t>({1})), i64_tensor("axes", {0}),
                    i64_tensor("tail", {2, -1})};
  m.nodes.insert(m.nodes.begin(), {{"Shape", {"x"}, {"s"}},
                                   {"Gather", {"s", "zero"}, {"b"}},
                                   {"Gather", {"s", "one"}, {"n"}},
                                   {"Unsqueeze", {"b", "axes"}, {"b1"}},
                                   {"Unsqueeze", {"n", "axes"}, {"n1"}},
                                   {"Concat", {"b1", "n1", "tail"}, {"target"}, {int_attribute("axis", 0)}}});
  const std::string text = text_of(m);
  EXPECT_THAT(text, HasSubstr("%y: f32[batch, seq, 2, 4] = reshape(%x) {shape=[batch, seq, 2, 4]}"));
  EXPECT_THAT(text, Not(HasSubstr("dims("))) << "no shape arithmetic is left at run time";
  EXPECT_THAT(text, Not(HasSubstr("const ")));
}

TEST(OnnxShapes, BecomeDataWhenAskedFor) {
  Model m = one_node({"Mul", {"f", "x"}, {"y"}});
  m.initializers = {raw_tensor("one", kInt64, {}, raw<std::int64_t>({1}))};
  m.nodes.insert(m.nodes.begin(), {{"Shape", {"x"}, {"s"}, {}, "shape_node"},
                                   {"Gather", {"s", "one"}, {"n"}, {}, "gather_node"},
                                   {"Cast", {"n"}, {"f"}, {int_attribute("to", kFloat)}}});
  const std::string text = text_of(m, {}, true);
  EXPECT_THAT(text, HasSubstr("dims() {values=[seq]} @ \"gather_node\""));
  EXPECT_THAT(text, HasSubstr("cast("));
}

TEST(OnnxShapes, WhereEqualPatternOfExpand) {
  Model m = one_node({"Expand", {"x", "target"}, {"y"}}, {value_info("x", kFloat, {"batch", "1"})});
  m.initializers = {i64_tensor("minus", {-1}), i64_tensor("size", {6})};
  m.nodes.insert(m.nodes.begin(),
                 {{"Shape", {"x"}, {"s"}, {int_attribute("end", 1)}},
                  {"Concat", {"s", "size"}, {"wanted"}, {int_attribute("axis", 0)}},
                  {"Shape", {"wanted"}, {"rank"}},
                  {"ConstantOfShape", {"rank"}, {"ones"}, {tensor_attribute("value", i64_tensor("", {1}))}},
                  {"Equal", {"wanted", "minus"}, {"unknown"}},
                  {"Where", {"unknown", "ones", "wanted"}, {"target"}}});
  EXPECT_THAT(text_of(m), HasSubstr("expand(%x) {shape=[batch, 6]}"));
}

TEST(OnnxShapes, RangeAndSliceOfSymbols) {
  Model m = one_node({"Range", {"zero", "n", "one"}, {"y"}});
  m.initializers = {raw_tensor("zero", kInt64, {}, raw<std::int64_t>({0})),
                    raw_tensor("one", kInt64, {}, raw<std::int64_t>({1}))};
  m.nodes.insert(m.nodes.begin(), {{"Shape", {"x"}, {"s"}}, {"Gather", {"s", "one"}, {"n"}}});
  EXPECT_THAT(text_of(m), HasSubstr("%y: i64[seq] = iota() {count=seq, start=0, step=1, to=i64}"));
}

// table[:, :seq] added to [batch, seq, 4]: the model only runs for seq <= 3, which becomes the range of seq.
TEST(OnnxShapes, ATableBoundsTheSequence) {
  Model m = one_node({"Add", {"x", "rows"}, {"y"}}, {value_info("x", kFloat, {"batch", "seq", "4"})});
  m.initializers = {raw_tensor("table", kFloat, {1, 3, 4}, raw<float>(std::vector<float>(12, 1.0f))),
                    i64_tensor("from", {0}), i64_tensor("axis", {1}), i64_tensor("at", {1})};
  m.nodes.insert(
      m.nodes.begin(),
      {{"Shape", {"x"}, {"s"}}, {"Gather", {"s", "at"}, {"n"}}, {"Slice", {"table", "from", "n", "axis"}, {"rows"}}});
  const std::string text = text_of(m);
  EXPECT_THAT(text, HasSubstr("symbol seq in [0, 3]"));
  EXPECT_THAT(text, HasSubstr("%rows: f32[1, seq, 4] = slice(%table) {axes=[1], starts=[0], ends=[seq], steps=[1]}"))
      << text;
  EXPECT_THAT(text, HasSubstr("%y: f32[batch, seq, 4]"));
  EXPECT_THAT(text, Not(HasSubstr("guard")));
}

TEST(OnnxShapes, RunTimeShapeOperandsAreRefusedWithAdvice) {
  const Model m = one_node({"Reshape", {"x", "target"}, {"y"}, {}, "the_reshape"},
                           {value_info("x", kFloat, {"4"}), value_info("target", kInt64, {"2"})});
  const Error error = error_of(m);
  EXPECT_EQ(error.code, ErrorCode::unsupported);
  EXPECT_THAT(error.to_string(), HasSubstr("the_reshape"));
  EXPECT_THAT(error.to_string(), HasSubstr("fixed_inputs"));
  ImportOptions options;
  const std::int64_t target[] = {2, -1};
  options.fixed_inputs.emplace("target", ir::Tensor::vector_i64(target).value());
  const std::string text = text_of(m, options);
  EXPECT_THAT(text, HasSubstr("%y: f32[2, 2] = reshape(%x)"));
  EXPECT_THAT(text, Not(HasSubstr("input \"target\"")));
}

TEST(OnnxShapes, ExplosiveArithmeticIsNotFollowed) {
  Model m = one_node({"ConstantOfShape", {"p40"}, {"y"}});
  m.nodes.insert(m.nodes.begin(), {{"Shape", {"x"}, {"p0"}, {int_attribute("end", 1)}}});
  m.nodes.insert(m.nodes.begin() + 1, {{"Shape", {"x"}, {"q"}, {int_attribute("start", 1), int_attribute("end", 2)}},
                                       {"Add", {"p0", "q"}, {"r0"}}});
  std::string last = "r0";
  for (int i = 0; i < 40; ++i) {
    const std::string next = i == 39 ? "p40" : "r" + std::to_string(i + 1);
    m.nodes.insert(m.nodes.end() - 1, Node{"Mul", {last, last}, {next}});
    last = next;
  }
  EXPECT_EQ(error_of(m).code, ErrorCode::unsupported);
}

// ---- inputs and names

TEST(OnnxImport, NamesSymbols) {
  Model m = one_node({"Concat", {"x", "y", "z"}, {"out"}, {int_attribute("axis", 0)}},
                     {value_info("x", kFloat, {"past seq + 1", "2"}), value_info("y", kFloat, {"past_seq_1", "2"}),
                      value_info("z", kFloat, {"", "2"})});
  EXPECT_THAT(text_of(m), HasSubstr("input \"z\" %z: f32[z_dim0, 2]"));
  const auto graph = import_bytes(m.bytes());
  ASSERT_TRUE(graph);
  EXPECT_EQ(graph->symbols.size(), 3u) << "two dim_params that look alike once sanitised stay apart";
}

TEST(OnnxImport, InitialisersThatAreInputsAreConstants) {
  Model m = one_node({"Add", {"x", "w"}, {"y"}}, {value_info("x", kFloat, {"2"}), value_info("w", kFloat, {"2"})});
  m.initializers = {raw_tensor("w", kFloat, {2}, raw<float>({1, 2}))};
  const std::string text = text_of(m);
  EXPECT_THAT(text, HasSubstr("const %w"));
  EXPECT_THAT(text, Not(HasSubstr("input \"w\"")));
}

TEST(OnnxImport, KeepsOrigins) {
  Model m = one_node({"Relu", {"x"}, {"t"}, {}, "/layer/Relu"});
  m.nodes.push_back({"Exp", {"t"}, {"y"}});
  m.outputs = {value_info("y", kFloat, {})};
  const std::string text = text_of(m, {}, true);
  EXPECT_THAT(text, HasSubstr("relu(%x) @ \"/layer/Relu\""));
  EXPECT_THAT(text, HasSubstr("exp(%t) @ \"Exp_1\""));
}

TEST(OnnxImport, FixedInputsAreChecked) {
  const Model m = one_node({"Neg", {"x"}, {"y"}});
  ImportOptions options;
  options.fixed_inputs.emplace("wrong", ir::Tensor::scalar_f32(1));
  EXPECT_EQ(error_of(m, options).code, ErrorCode::usage);
  EXPECT_THAT(error_of(m, options).to_string(), HasSubstr("the model's inputs are: x"));
  options.fixed_inputs = {{"x", ir::Tensor::scalar_i64(1)}};
  EXPECT_EQ(error_of(m, options).code, ErrorCode::usage);
  options.fixed_inputs = {{"x", ir::Tensor::scalar_f32(1)}};
  EXPECT_EQ(error_of(m, options).code, ErrorCode::usage);
}

// ---- ops

TEST(OnnxOps, GemmIsLinearWhereItCanBe) {
  Model m =
      one_node({"Gemm", {"x", "w", "b"}, {"y"}, {int_attribute("transB", 1)}}, {value_info("x", kFloat, {"n", "2"})});
  m.initializers = {raw_tensor("w", kFloat, {1, 2}, raw<float>({1, 2})), raw_tensor("b", kFloat, {1}, raw<float>({3}))};
  EXPECT_THAT(text_of(m), HasSubstr("%y: f32[n, 1] = linear(%x, %w, %b) {transposed=true}"));
  m.nodes[0].attributes.push_back(float_attribute("alpha", 0.5f));
  EXPECT_THAT(text_of(m), HasSubstr("matmul(%x, "));
}

TEST(OnnxOps, LayerNormalizationWithStatistics) {
  Model m = one_node({"LayerNormalization",
                      {"x", "g"},
                      {"y", "mean", "inv"},
                      {int_attribute("axis", 2), float_attribute("epsilon", 0.5f)}});
  m.initializers = {raw_tensor("g", kFloat, {8}, raw<float>(std::vector<float>(8, 1.0f)))};
  m.outputs.push_back(value_info("inv", kFloat, {}));
  const std::string text = text_of(m);
  EXPECT_THAT(text, HasSubstr("layer_norm(%x, %g, _) {axis=2, epsilon=0.5}"));
  EXPECT_THAT(text, HasSubstr("reciprocal("));
}

TEST(OnnxOps, ReductionAxesMovedToAnOperandAtOpset18) {
  Model old = one_node({"ReduceMean", {"x"}, {"y"}, {ints_attribute("axes", {-1}), int_attribute("keepdims", 0)}});
  old.opset = 13;
  Model now = one_node({"ReduceMean", {"x", "axes"}, {"y"}, {int_attribute("keepdims", 0)}});
  now.initializers = {i64_tensor("axes", {-1})};
  const std::string want = "reduce(%x) {kind=\"mean\", axes=[2], keepdims=false}";
  EXPECT_THAT(text_of(old), HasSubstr(want));
  EXPECT_THAT(text_of(now), HasSubstr(want));
}

TEST(OnnxOps, DynamicQuantisation) {
  Model m = one_node({"DynamicQuantizeLinear", {"x"}, {"q", "s", "z"}}, {value_info("x", kFloat, {"n", "2"})});
  m.initializers = {raw_tensor("w", kInt8, {2, 1}, raw<std::int8_t>({1, -1})),
                    raw_tensor("wz", kInt8, {1}, raw<std::int8_t>({0}))};
  m.nodes.push_back({"MatMulInteger", {"q", "w", "z", "wz"}, {"y"}});
  m.outputs = {value_info("y", kInt32, {})};
  const std::string text = text_of(m);
  EXPECT_THAT(text, HasSubstr("dynamic_quantize(%x)"));
  EXPECT_THAT(text, HasSubstr(": i32[n, 1] = matmul_integer(%q, %w, %q_zp, %wz_1)"));
}

Model attention(std::vector<Bytes> attributes, std::vector<std::string> inputs = {"q", "k", "v"},
                std::vector<std::string> outputs = {"y"}) {
  Model m = one_node({"Attention", std::move(inputs), std::move(outputs), std::move(attributes)},
                     {value_info("q", kFloat, {"b", "4", "s", "16"}), value_info("k", kFloat, {"b", "2", "t", "16"}),
                      value_info("v", kFloat, {"b", "2", "t", "16"}), value_info("pk", kFloat, {"b", "2", "p", "16"}),
                      value_info("pv", kFloat, {"b", "2", "p", "16"}), value_info("mask", kFloat, {"s", "t"})},
                     25);
  return m;
}

TEST(OnnxAttention, MapsDirectly) {
  EXPECT_THAT(text_of(attention({int_attribute("is_causal", 1)})),
              HasSubstr("attention(%q, %k, %v, _) {scale=0.25, causal=true}"));
  EXPECT_THAT(text_of(attention({}, {"q", "k", "v", "mask"})), HasSubstr("attention(%q, %k, %v, %mask)"));
}

TEST(OnnxAttention, TurnsACacheAndAWindowIntoOneMask) {
  const std::string text = text_of(attention({int_attribute("is_causal", 1), int_attribute("left_window_size", 3)},
                                             {"q", "k", "v", "", "pk", "pv"}, {"y", "nk"}));
  EXPECT_THAT(text, HasSubstr("concat(%pk, %k) {axis=2}"));
  EXPECT_THAT(text, HasSubstr("iota() {count=s, start=p, step=1, to=i64}"));
  EXPECT_THAT(text, Not(HasSubstr("causal=true")));
}

TEST(OnnxAttention, ComposesWhatTheIrDoesNotHave) {
  const std::string text = text_of(attention({float_attribute("softcap", 2)}));
  EXPECT_THAT(text, HasSubstr("tanh("));
  EXPECT_THAT(text, HasSubstr("softmax("));
  EXPECT_THAT(text, Not(HasSubstr("attention(")));
}

TEST(OnnxFunctions, AreInlinedWithTheirAttributes) {
  Model m = one_node({"Norm", {"x"}, {"y"}, {int_attribute("dim", 1)}, "call", "my.ops"});
  m.domains = {{"my.ops", 1}};
  m.functions = {{"Norm",
                  "my.ops",
                  {"a"},
                  {"b"},
                  {"dim"},
                  {},
                  {{"Softmax", {"a"}, {"s"}, {reference_attribute("axis", "dim")}, "soft"}, {"Neg", {"s"}, {"b"}}}}};
  const std::string text = text_of(m, {}, true);
  EXPECT_THAT(text, HasSubstr("softmax(%x) {axis=1} @ \"call/soft\""));
  EXPECT_THAT(text, HasSubstr("@ \"call/Neg_1\""));
  m.functions[0].attributes.clear();
  m.functions[0].defaults = {int_attribute("dim", 2)};
  m.nodes[0].attributes.clear();
  EXPECT_THAT(text_of(m), HasSubstr("axis=2"));
}

TEST(OnnxFunctions, RecursionAndBlowUpEnd) {
  Model m = one_node({"F0", {"x"}, {"y"}, {}, "", "my.ops"});
  m.domains = {{"my.ops", 1}};
  m.functions = {{"F0", "my.ops", {"a"}, {"b"}, {}, {}, {{"F0", {"a"}, {"b"}, {}, "", "my.ops"}}}};
  EXPECT_EQ(error_of(m).code, ErrorCode::file);
  m.functions.clear();
  for (int i = 0; i < 40; ++i) {
    const std::string next = i == 39 ? "Neg" : "F" + std::to_string(i + 1), domain = i == 39 ? "" : "my.ops";
    m.functions.push_back({"F" + std::to_string(i),
                           "my.ops",
                           {"a"},
                           {"b"},
                           {},
                           {},
                           {{next, {"a"}, {"t"}, {}, "", domain}, {next, {"t"}, {"b"}, {}, "", domain}}});
  }
  ImportOptions options;
  options.max_nodes = 1000;
  EXPECT_THAT(error_of(m, options).to_string(), HasSubstr("more than 1000 nodes"));
}

// ---- refusals

TEST(OnnxRefusals, AllUnknownOpsAreListedAtOnce) {
  Model inner;
  inner.nodes = {{"NonZero", {"x"}, {"i"}, {}, "deep"}};
  Model m = one_node({"QGemm", {"x"}, {"a"}, {}, "first", "com.microsoft"});
  m.nodes.push_back({"QGemm", {"a"}, {"b"}, {}, "second", "com.microsoft"});
  m.nodes.push_back({"If", {"b"}, {"y"}, {graph_attribute("then_branch", inner.graph())}, "branch"});
  const Error error = error_of(m);
  EXPECT_EQ(error.code, ErrorCode::unsupported);
  EXPECT_THAT(
      error.message,
      HasSubstr(
          "3 unsupported ops: com.microsoft::QGemm (nodes first, second), If (node branch), NonZero (node deep)"));
  EXPECT_FALSE(error.hint.empty());
}

TEST(OnnxRefusals, OpsetsOutsideTheTable) {
  Model m = one_node({"Softmax", {"x"}, {"y"}});
  m.opset = 11;
  EXPECT_THAT(error_of(m).to_string(), HasSubstr("from opset 13 on"));
  m.opset = kNewestOpset + 1;
  EXPECT_EQ(error_of(m).code, ErrorCode::unsupported);
  m.opset = kNewestOpset;
  EXPECT_THAT(text_of(m), HasSubstr("softmax("));
}

TEST(OnnxRefusals, BrokenGraphs) {
  Model m = one_node({"Neg", {"nowhere"}, {"y"}, {}, "n"});
  EXPECT_EQ(error_of(m).code, ErrorCode::file);
  EXPECT_THAT(error_of(m).to_string(), HasSubstr("'nowhere'"));
  m = one_node({"Neg", {"y"}, {"y"}});
  EXPECT_EQ(error_of(m).code, ErrorCode::file) << "a cycle";
  m = one_node({"Neg", {"x"}, {"x"}});
  EXPECT_THAT(error_of(m).to_string(), HasSubstr("defined twice"));
  m = one_node({"Neg", {"x"}, {"y"}});
  m.outputs = {value_info("z", kFloat, {})};
  EXPECT_THAT(error_of(m).to_string(), HasSubstr("output 'z'"));
  m = one_node({"Add", {"x"}, {"y"}});
  EXPECT_EQ(error_of(m).code, ErrorCode::file) << "an operand is missing";
  m = one_node({"Neg", {"x"}, {"y"}}, {value_info("x", 8, {"1"})});
  EXPECT_THAT(error_of(m).to_string(), HasSubstr("string"));
}

TEST(OnnxTable, RowsAreSoundAndUnique) {
  std::map<std::string_view, int> seen;
  for (const OpRow& row : op_table()) {
    EXPECT_EQ(++seen[row.op], 1) << row.op;
    EXPECT_EQ(row.domain, "");
    EXPECT_GE(row.since, 1);
    EXPECT_LE(row.since, row.newest) << row.op;
    EXPECT_LE(row.newest, kNewestOpset) << row.op;
    EXPECT_NE(row.translate, nullptr);
    EXPECT_EQ(find_op("ai.onnx", row.op), &row);
  }
  EXPECT_EQ(find_op("com.microsoft", "Add"), nullptr);
}

TEST(OnnxSummary, TellsWhatTheFileHolds) {
  Model m = one_node({"Add", {"x", "w"}, {"y"}});
  m.initializers = {raw_tensor("w", kFloat, {8}, raw<float>(std::vector<float>(8, 1.0f))), i64_tensor("i", {1, 2})};
  m.nodes.push_back({"QGemm", {"y"}, {"z"}, {}, "g", "com.microsoft"});
  const Folder folder;
  const auto summary = summarise(folder.write("m.onnx", m.bytes()), {});
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->format, "onnx");
  EXPECT_EQ(summary->version, "opset 20, IR 10");
  EXPECT_EQ(summary->producer, "test_model");
  ASSERT_EQ(summary->inputs.size(), 1u);
  EXPECT_THAT(summary->inputs[0].shape, ::testing::ElementsAre("batch", "seq", "8"));
  EXPECT_EQ(summary->inputs[0].dtype, "f32");
  EXPECT_EQ(summary->ops.at("Add"), 1);
  EXPECT_EQ(summary->parameters, 10);
  EXPECT_EQ(summary->weight_bytes, 48u);
  EXPECT_EQ(summary->dtypes.at("i64"), 2);
  ASSERT_EQ(summary->unsupported.size(), 1u);
  EXPECT_EQ(summary->unsupported[0].op, "com.microsoft::QGemm");
}

TEST(Frontend, DecidesByContent) {
  const Folder folder;
  const auto as_onnx = folder.write("model.pt2", one_node({"Neg", {"x"}, {"y"}}).bytes());
  EXPECT_TRUE(import_model(as_onnx)) << "the extension does not matter";
  const auto text = folder.write("text.pt2", "hello");
  const auto broken = import_model(text);
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().hint, HasSubstr(".pt2"));
  EXPECT_FALSE(import_model(folder.path() / "missing.onnx"));
  EXPECT_FALSE(import_model(folder.path()));
}

}  // namespace
}  // namespace intaglio::frontend::onnx
