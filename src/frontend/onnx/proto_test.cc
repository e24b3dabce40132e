// The wire reader: every field it needs, both spellings of repeated fields, limits, and damage of every kind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "frontend/onnx/proto.h"
#include "frontend/onnx/test_model.h"
#include "ir/text.h"

namespace intaglio::frontend::onnx {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A file that uses most features; small enough to try every truncation.
Model rich_model() {
  Model m;
  m.inputs = {value_info("x", kFloat, {"batch", "4", ""})};
  m.outputs = {value_info("y", kFloat, {})};
  m.initializers = {raw_tensor("w", kFloat, {2}, raw<float>({1, 2})), i64_tensor("shape", {0, -1})};
  m.nodes = {{"Twice", {"x"}, {"t"}, {int_attribute("axis", 1)}, "call", "local"},
             {"Reshape", {"t", "shape"}, {"y"}, {ints_attribute("unused", {1, 2, 3})}, "reshape"}};
  m.functions = {{"Twice",
                  "local",
                  {"a"},
                  {"b"},
                  {"axis"},
                  {},
                  {{"Softmax", {"a"}, {"s"}, {reference_attribute("axis", "axis")}}, {"Add", {"s", "s"}, {"b"}}}}};
  m.domains = {{"local", 1}};
  return m;
}

struct Parsed {
  Folder folder;
  std::shared_ptr<const MappedFile> file;
  Result<ModelProto> model = fail(ErrorCode::internal, "not parsed");

  explicit Parsed(const Bytes& bytes, const ImportOptions& options = {}) {
    const auto path = folder.write("m.onnx", bytes);
    file = MappedFile::open(path).value();
    model = parse_model(*file, options);
  }
};

TEST(OnnxProto, ReadsEveryPart) {
  const Parsed p(rich_model().bytes());
  ASSERT_TRUE(p.model) << p.model.error().to_string();
  EXPECT_EQ(p.model->ir_version, 10);
  EXPECT_EQ(p.model->producer_name, "test_model");
  ASSERT_EQ(p.model->opset_imports.size(), 2u);
  EXPECT_EQ(p.model->opset_imports[0].version, 20);
  const GraphProto& graph = *p.model->graph;
  ASSERT_EQ(graph.inputs.size(), 1u);
  EXPECT_EQ(graph.inputs[0].dims[0].param, "batch");
  EXPECT_EQ(graph.inputs[0].dims[1].value, 4);
  EXPECT_FALSE(graph.inputs[0].dims[2].value);
  ASSERT_EQ(graph.nodes.size(), 2u);
  EXPECT_EQ(graph.nodes[0].domain, "local");
  EXPECT_THAT(graph.nodes[1].inputs, ElementsAre("t", "shape"));
  EXPECT_THAT(graph.nodes[1].attributes[0].ints, ElementsAre(1, 2, 3));
  EXPECT_THAT(graph.initializers[0].dims, ElementsAre(2));
  EXPECT_EQ(graph.initializers[0].raw_data->size(), 8u);
  ASSERT_EQ(p.model->functions.size(), 1u);
  EXPECT_EQ(p.model->functions[0].nodes[0].attributes[0].ref_attr_name, "axis");
}

TEST(OnnxProto, ReadsUnpackedRepeatedFields) {
  Model m = rich_model();
  m.nodes[1].attributes = {ints_attribute("unused", {-1, 300}, false), message([](Writer& w) {
                             w.add_string(1, "f");
                             w.add_float(7, 0.5f);
                             w.add_float(7, -2.0f);
                           })};
  m.initializers.push_back(message([](Writer& w) {
    w.add_int64(1, 3);
    w.add_int64(1, 1);
    w.add_int32(2, kFloat);
  }));
  const Parsed p(m.bytes());
  ASSERT_TRUE(p.model);
  EXPECT_THAT(p.model->graph->nodes[1].attributes[0].ints, ElementsAre(-1, 300));
  EXPECT_THAT(p.model->graph->nodes[1].attributes[1].floats, ElementsAre(0.5f, -2.0f));
  EXPECT_THAT(p.model->graph->initializers[2].dims, ElementsAre(3, 1));
}

TEST(OnnxProto, ReadsSubgraphsAndSkipsWhatItDoesNotKnow) {
  Model inner;
  inner.nodes = {{"Neg", {"a"}, {"b"}}};
  Model m = rich_model();
  m.nodes[0].attributes.push_back(graph_attribute("body", inner.graph()));
  Bytes bytes = m.bytes();
  Writer(bytes).add_string(99, "from the future");
  Writer(bytes).add_fixed64(98, 7);
  const Parsed p(bytes);
  ASSERT_TRUE(p.model);
  ASSERT_EQ(p.model->graph->nodes[0].attributes.back().graphs.size(), 1u);
  EXPECT_EQ(p.model->graph->nodes[0].attributes.back().graphs[0]->nodes[0].op_type, "Neg");
}

void expect_file_error(const Bytes& bytes, std::string_view text, const ImportOptions& options = {}) {
  const Parsed p(bytes, options);
  ASSERT_FALSE(p.model);
  EXPECT_EQ(p.model.error().code, ErrorCode::file);
  EXPECT_THAT(p.model.error().to_string(), HasSubstr(std::string(text)));
  EXPECT_THAT(p.model.error().origin, HasSubstr("m.onnx at byte "));
}

TEST(OnnxProto, RefusesWhatIsNotAModel) {
  expect_file_error("", "empty");
  expect_file_error("this is a text file, not a model", "not an ONNX model");
  expect_file_error(message([](Writer& w) { w.add_int64(1, 8); }), "no graph");
  expect_file_error(message([](Writer& w) { w.add_message(7, Model().graph()); }), "no opset_import");
}

TEST(OnnxProto, HoldsItsLimits) {
  ImportOptions options;
  options.max_nodes = 4;  // two in the graph, two in the function
  EXPECT_TRUE(Parsed(rich_model().bytes(), options).model);
  options.max_nodes = 3;
  expect_file_error(rich_model().bytes(), "more than 3 nodes", options);
  options = {};
  options.max_string = 3;
  expect_file_error(rich_model().bytes(), "a string of", options);
  options = {};
  const auto nested = [](int depth) {
    Model m = rich_model();
    Bytes graph = Model().graph();
    for (int i = 0; i < depth; ++i) {
      Model outer;
      outer.nodes = {{"If", {}, {}, {graph_attribute("then_branch", graph)}}};
      graph = outer.graph();
    }
    m.nodes[0].attributes.push_back(graph_attribute("body", graph));
    return m.bytes();
  };
  EXPECT_TRUE(Parsed(nested(20), options).model);
  expect_file_error(nested(60), "nested deeper", options);
  const std::vector<std::int64_t> ones17(17, 1), ones16(16, 1);
  Model m = rich_model();
  m.initializers.push_back(raw_tensor("r", kFloat, ones16, raw<float>({1})));
  EXPECT_TRUE(Parsed(m.bytes()).model);
  m.initializers.push_back(raw_tensor("s", kFloat, ones17, raw<float>({1})));
  expect_file_error(m.bytes(), "rank over 16");
}

// Any damage gives a model or an Error, never a crash (run under sanitizers).
void import_any(const Folder& folder, const Bytes& bytes, int& accepted) {
  const auto path = folder.write("damaged.onnx", bytes);
  const auto graph = import(path, {});
  if (graph) {
    ++accepted;
    EXPECT_FALSE(ir::print(*graph).empty());
  } else {
    EXPECT_TRUE(graph.error().code == ErrorCode::file || graph.error().code == ErrorCode::unsupported)
        << graph.error().to_string();
    EXPECT_FALSE(graph.error().message.empty());
  }
  (void)summarise(path, {});
}

TEST(OnnxProto, EveryTruncationIsAnErrorOrAModel) {
  const Folder folder;
  const Bytes bytes = rich_model().bytes();
  int accepted = 0;
  import_any(folder, bytes, accepted);
  EXPECT_EQ(accepted, 1);
  for (std::size_t size = 0; size < bytes.size(); ++size) import_any(folder, bytes.substr(0, size), accepted);
  EXPECT_LE(accepted, 4) << "only cuts between whole fields at the end can be models";
}

TEST(OnnxProto, RandomDamageIsAnErrorOrAModel) {
  const Folder folder;
  const Bytes clean = rich_model().bytes();
  const unsigned seed = 20240607;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  int accepted = 0;
  for (int i = 0; i < 4000; ++i) {
    Bytes bytes = clean;
    for (auto flips = 1 + random() % 3; flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    import_any(folder, bytes, accepted);
  }
  EXPECT_GT(accepted, 0) << "bytes of names and weights may change without harm";
}

}  // namespace
}  // namespace intaglio::frontend::onnx
