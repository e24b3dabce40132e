#include "ir/graph.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "ir/builder.h"
#include "ir/text.h"
#include "ir/verifier.h"

namespace intaglio::ir {
namespace {

Type f32(Dims shape) {
  return Type{DType::f32, std::move(shape)};
}

TEST(Graph, KeepsUseLists) {
  Graph g;
  Value* x = g.add_input("x", f32({2}));
  Builder b(g);
  Value* y = *b.add(x, x);
  Value* z = *b.relu(y);
  g.add_output("out", z);
  EXPECT_EQ(x->uses().size(), 2u);
  EXPECT_TRUE(y->has_one_use());
  EXPECT_EQ(z->uses()[0].node, nullptr);
  ASSERT_TRUE(verify(g));

  g.replace_all_uses(y, x);
  EXPECT_TRUE(y->uses().empty());
  EXPECT_EQ(x->uses().size(), 3u);
  ASSERT_TRUE(verify(g));
  g.set_output(0, x);
  EXPECT_EQ(g.erase_dead(), 2);
  EXPECT_EQ(x->uses().size(), 1u);
  EXPECT_TRUE(g.nodes().empty());
  ASSERT_TRUE(verify(g));
}

TEST(Graph, RemembersWhatValuesCompute) {
  using Names = std::vector<std::string>;
  Graph g;
  Value* x = g.add_input("x", f32({2, 3}));
  Builder b(g);
  Value* y = *b.relu(x);
  g.add_output("out", y);
  EXPECT_TRUE(x->sources().empty());  // nobody asked
  g.remember_values();

  Value* added = *b.tanh(x);
  EXPECT_TRUE(added->sources().empty());
  Value* narrow = *b.cast(added, DType::bf16);
  Value* flat = *b.reshape(narrow, {6});
  Value* back = *b.reshape(flat, {2, 3});
  Value* wide = *b.cast(back, DType::f32);
  g.replace_all_uses(y, wide);
  for (const Value* value : {y, wide, back, flat, narrow, added}) EXPECT_EQ(value->sources(), Names{y->name()});
  EXPECT_EQ(x->sources(), Names{"x"});

  Value* of_input = *b.cast(x, DType::bf16);  // never put anywhere
  EXPECT_EQ(of_input->sources(), Names{"x"});
  EXPECT_TRUE((*b.cast(x, DType::i8))->sources().empty());
  g.replace_all_uses(wide, x);  // has a source of its own
  EXPECT_EQ(x->sources(), Names{"x"});

  Value* whole = *b.concat({x, y}, 1);
  Value* tail = *b.tanh(y);
  g.remember_parts(whole, std::vector<const Value*>{x, tail});
  EXPECT_TRUE(whole->sources().empty());
  g.remember_parts(whole, std::vector<const Value*>{x, y});
  EXPECT_EQ(whole->sources(), (Names{"x", y->name()}));

  const Graph twin = clone(g);
  EXPECT_EQ(twin.find_value(whole->name())->sources(), whole->sources());
}

TEST(Graph, SetInputExtendsWithAbsentOperands) {
  Graph g;
  Value* x = g.add_input("x", f32({2, 4}));
  Builder b(g);
  Value* w = *b.constant(Tensor::from<float>({4, 4}, std::vector<float>(16, 1.0f)));
  Value* y = *b.linear(x, w);
  g.add_output("y", y);
  EXPECT_EQ(y->producer()->inputs().size(), 2u);
  g.set_input(y->producer(), 3, x);  // the residual
  EXPECT_EQ(y->producer()->input(2), nullptr);
  EXPECT_EQ(y->producer()->input(3), x);
  EXPECT_EQ(y->producer()->input(9), nullptr);
  ASSERT_TRUE(verify(g));
  g.set_input(y->producer(), 3, nullptr);
  EXPECT_EQ(x->uses().size(), 1u);
  ASSERT_TRUE(verify(g));
}

TEST(Graph, InsertsBeforeANode) {
  Graph g;
  Value* x = g.add_input("x", f32({2}));
  Value* y = *Builder(g).relu(x);
  g.add_output("y", y);
  Value* z = *Builder(g, y->producer()).tanh(x);
  g.set_input(y->producer(), 0, z);
  EXPECT_EQ(g.nodes().front().op(), Op::tanh);
  ASSERT_TRUE(verify(g));
}

TEST(Graph, NamesAreUniqueAndLegal) {
  Graph g;
  EXPECT_EQ(g.add_input("a/b:0", f32({}))->name(), "a_b_0");
  EXPECT_EQ(g.add_input("a_b_0", f32({}))->name(), "a_b_0_1");
  EXPECT_EQ(g.add_input("", f32({}))->name(), "v");
  EXPECT_EQ(g.add_input("p", f32({}), "q")->name(), "q");
  EXPECT_EQ(g.add_constant(Tensor::scalar_f32(1))->name(), "c");
  EXPECT_EQ(g.add_constant(Tensor::scalar_f32(1), "c_1")->name(), "c_1");
  EXPECT_EQ(g.add_constant(Tensor::scalar_f32(1))->name(), "c_2");
  EXPECT_EQ(g.find_value("q"), g.find_input("p")->value);
  EXPECT_EQ(g.find_value("nothing"), nullptr);
}

TEST(Graph, DeclaresSymbolsAndKeepsRanges) {
  Graph g;
  g.symbols["s"] = {1, 9};
  Value* x = g.add_input("x", f32({Dim::symbol("s"), Dim::symbol("t")}));
  EXPECT_EQ(g.symbols.at("s").max, 9);
  EXPECT_EQ(g.symbols.count("t"), 1u);
  g.add_output("y", *Builder(g).reshape(x, {Dim::symbol("u")}));
  EXPECT_EQ(g.symbols.count("u"), 1u);
  ASSERT_EQ(g.guards.size(), 1u);
  ASSERT_TRUE(verify(g));
}

TEST(Graph, EraseDeadKeepsWhatOutputsNeed) {
  Graph g;
  Value* x = g.add_input("x", f32({2}));
  Builder b(g);
  Value* c = *b.scalar(2);
  Value* unused = *b.scalar(3);
  Value* y = *b.mul(x, c);
  ASSERT_TRUE(b.add(*b.add(x, unused), y));
  g.add_output("y", y);
  EXPECT_EQ(g.erase_dead(), 2);
  EXPECT_EQ(g.values().size(), 3u);
  EXPECT_EQ(g.constant_bytes(), 4u);
  ASSERT_TRUE(verify(g));
}

TEST(Graph, EraseOfAUsedNodeIsABug) {
  Graph g;
  Value* y = *Builder(g).relu(g.add_input("x", f32({2})));
  g.add_output("y", y);
  EXPECT_THROW(g.erase(y->producer()), std::logic_error);
}

TEST(Graph, CloneIsDeepButSharesConstants) {
  Graph g;
  g.name = "g";
  Value* x = g.add_input("x", f32({Dim::symbol("s"), 2}));
  Builder b(g);
  b.set_origin({"n", "f.py:1"});
  Value* c = *b.constant(Tensor::from<float>({2}, {1, 2}));
  g.add_output("y", *b.linear(*b.add(x, c), *b.constant(Tensor::from<float>({2, 2}, {1, 2, 3, 4})), nullptr, x));
  Graph copy = clone(g);
  const std::string text = print(g);
  EXPECT_EQ(print(copy), text);
  ASSERT_TRUE(verify(copy));
  EXPECT_EQ(copy.find_value("c")->constant().data, c->constant().data);
  copy.set_output(0, copy.inputs()[0].value);
  copy.erase_dead();
  ASSERT_TRUE(verify(copy));
  EXPECT_EQ(print(g), text);
  Graph moved = std::move(g);
  ASSERT_TRUE(verify(moved));
  EXPECT_EQ(print(moved), text);
}

TEST(Graph, BytesOfConstantsGoWithTheirLastHolder) {
  Graph g;
  Builder b(g);
  Value* c = *b.constant(Tensor::from<float>({2}, {1, 2}));
  Value* d = *b.constant(Tensor::from<float>({3}, {1, 2, 3}));
  g.add_output("y", *b.relu(c));
  const std::weak_ptr<const void> bytes = c->constant().owner;
  Graph twin = clone(g);
  g.drop_bytes(c);
  EXPECT_EQ(c->constant().bytes, 0u);
  EXPECT_EQ(c->shape(), Dims{2});
  EXPECT_FALSE(bytes.expired());
  EXPECT_TRUE(verify(twin));
  twin.drop_bytes(twin.find_value(c->name()));
  EXPECT_TRUE(bytes.expired());
  const std::string name = d->name();
  g.erase_constant(d);
  EXPECT_EQ(g.find_value(name), nullptr);
}

TEST(Graph, ReleasedPagesOfAFileStayReadable) {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("intaglio_graph_test_{}", ::getpid());
  const std::size_t bytes = std::size_t{1} << 20;
  std::ofstream(path, std::ios::binary) << std::string(bytes, 'x');
  Graph g;
  g.files.push_back(*MappedFile::open(path));
  std::filesystem::remove(path);
  const std::byte* data = g.files[0]->bytes().data();
  const auto in_memory = [&] {
    // Of private mappings, mincore says what the page cache holds; smaps what this process does.
    std::ifstream maps("/proc/self/smaps");
    const std::string begin = fmt::format("{:x}-", reinterpret_cast<std::uintptr_t>(data));
    std::size_t kilobytes = 0;
    bool here = false;
    for (std::string line; std::getline(maps, line);) {
      if (line.find('-') < line.find(' ')) here = line.starts_with(begin);
      if (here && line.starts_with("Rss:")) kilobytes = std::stoul(line.substr(4));
    }
    return kilobytes;
  };
  const Tensor tensor{DType::u8, {static_cast<std::int64_t>(bytes) - 5000}, g.files[0], data + 5000, bytes - 5000};
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < tensor.element_count(); ++i) sum += tensor.as_int(i);
  EXPECT_GE(in_memory(), 1000u);
  g.release_pages(tensor);
  EXPECT_LE(in_memory(), 8u);
  for (std::int64_t i = 0; i < tensor.element_count(); ++i) sum -= tensor.as_int(i);
  EXPECT_EQ(sum, 0);
  g.release_pages(Tensor::scalar_f32(1));  // of no file: nothing happens
}

TEST(Builder, HandsTheFirstErrorOn) {
  Graph g;
  Value* x = g.add_input("x", f32({2}));
  Builder b(g);
  b.set_origin({"layer", ""});
  const auto y = b.relu(b.add(x, b.reshape(x, {3})));
  ASSERT_FALSE(y);
  EXPECT_EQ(y.error().code, ErrorCode::unsupported);
  EXPECT_EQ(y.error().origin, "layer");
  EXPECT_NE(y.error().message.find("reshape"), std::string::npos);
  EXPECT_FALSE(b.scalar(300, DType::u8));
  EXPECT_EQ((*b.scalar(0.5, DType::f16))->constant().as_double(0), 0.5);
}

// ---- the verifier finds what is broken
struct Broken {
  Graph g;
  Value* x = g.add_input("x", f32({Dim::symbol("s")}));
  Value* z = g.add_input("z", f32({3}));
  Value* y = *Builder(g).add(x, z);
  Value* w = *Builder(g).relu(y);
  Broken() { g.add_output("w", w); }
  std::string message() const {
    const auto status = verify(g);
    return status ? "fine" : std::string(name_of(status.error().code)) + ": " + status.error().to_string();
  }
};

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(Verifier, AcceptsAndNamesTheNode) {
  Broken b;
  EXPECT_EQ(b.message(), "fine");
  b.y->producer()->set_origin({"my add", ""});
  b.g.guards.clear();
  expect_contains(b.message(), "internal: node 'my add'");
  expect_contains(b.message(), "guard s == 3 is missing");
}

TEST(Verifier, FindsUndeclaredSymbolsAndBadRanges) {
  Broken b;
  b.g.symbols.clear();
  expect_contains(b.message(), "undeclared symbol s");
  Broken c;
  c.g.symbols["s"] = {4, 2};
  EXPECT_NE(c.message(), "fine");
}

TEST(Verifier, FindsUseBeforeDefinition) {
  Broken b;
  b.g.set_input(b.y->producer(), 1, b.w);  // a cycle
  expect_contains(b.message(), "%relu is used before it is defined");
}

TEST(Verifier, FindsWrongTypes) {
  Broken b;
  Value* other = b.g.add_input("other", f32({2, 3}));
  b.g.replace_all_uses(b.y, other);
  expect_contains(b.message(), "result %relu has type f32[3], but relu gives f32[2, 3]");
}

TEST(Verifier, FindsMissingOperands) {
  Broken b;
  b.g.set_input(b.y->producer(), 1, nullptr);
  expect_contains(b.message(), "the operand 'b' is missing");
  Broken c;
  c.g.set_input(c.y->producer(), 4, c.x);
  expect_contains(c.message(), "at most 2");
}

TEST(Verifier, FindsForeignValues) {
  Broken b, other;
  b.g.set_input(b.y->producer(), 0, other.x);
  expect_contains(b.message(), "operand 0 belongs to no value of this graph");
}

TEST(Verifier, FindsRepeatedPorts) {
  Broken b;
  b.g.add_output("w", b.y);
  expect_contains(b.message(), "two outputs are called 'w'");
  Broken c;
  c.g.add_input("x", f32({}));
  expect_contains(c.message(), "two inputs are called 'x'");
}

TEST(Verifier, FindsBadConstants) {
  Broken b;
  Tensor tensor = Tensor::scalar_f32(1);
  tensor.shape = {7};
  b.g.add_constant(tensor);
  expect_contains(b.message(), "the bytes of %c do not fit its shape");
}

}  // namespace
}  // namespace intaglio::ir
