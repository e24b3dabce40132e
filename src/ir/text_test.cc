#include "ir/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <set>

#include "ir/random_graph.h"
#include "ir/verifier.h"

namespace intaglio::ir {
namespace {

constexpr std::string_view kSeed = R"(graph "bert \"two\"" {
  symbol batch in [1, 64]
  symbol seq in [1, inf]
  symbol other
  guard seq == other "node \x0a that needs it"
  input "input_ids" %ids: i64[batch, seq]
  input "x" %x: f32[batch, other, 4]
  const %w: f32[4, 2] = [1, 2.5, -3, 4e-3, inf, -inf, 7, 8]
  const %z: f16[768] = splat 0.5
  const %r: f32[2, 3] = random 7   # a comment
  const %h: u8[4] = hex "00ff10a0"
  const %n: f32[2] = hex "0100c0ff0000807f"
  const %t: bool[2] = [true, false]
  const %e: f32[0, 3] = []
  const %i: i64[2] = [-9223372036854775808, 9223372036854775807]
  const %u: u64[] = [18446744073709551615]
  const %table: f32[10, 4] = random 3
  %y: f32[batch, other, 2] = linear(%x, %w, _) {activation="gelu"} @ "/layer/MatMul" "model.py:12"
  %g = gather(%table, %ids) {axis=0}
  %s: f32[batch, seq, 4] = add(%g, %x)
  %q, %q_scale, %q_zp: u8[batch, seq, 4], f32[], u8[] = dynamic_quantize(%s) @ "q"
  %c = reduce(%s) {kind="sum", axes=[2, 1], keepdims=false}
  %io = iota() {count=floordiv(seq + 1, 2), start=0, step=1, to=i64}
  %f = full() {shape=[batch, seq*2], value=-inf, to=bf16}
  output "y" %y
  output "q" %q
  output "c" %c
  output "x again" %x
}
)";

// Independent of print: walks both graphs.
void expect_same(const Graph& a, const Graph& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.symbols, b.symbols);
  ASSERT_EQ(a.guards.size(), b.guards.size());
  for (std::size_t i = 0; i < a.guards.size(); ++i) {
    EXPECT_TRUE(a.guards[i].a == b.guards[i].a && a.guards[i].b == b.guards[i].b);
    EXPECT_EQ(a.guards[i].origin, b.guards[i].origin);
  }
  ASSERT_EQ(a.values().size(), b.values().size());
  for (const Value& value : a.values()) {
    const Value* twin = b.find_value(value.name());
    ASSERT_NE(twin, nullptr) << value.name();
    EXPECT_EQ(value.type(), twin->type());
    ASSERT_EQ(value.is_constant(), twin->is_constant());
    if (value.is_constant()) {
      ASSERT_EQ(value.constant().bytes, twin->constant().bytes);
      if (value.constant().bytes > 0) {
        EXPECT_EQ(std::memcmp(value.constant().data, twin->constant().data, value.constant().bytes), 0) << value.name();
      }
    }
  }
  ASSERT_EQ(a.nodes().size(), b.nodes().size());
  auto other = b.nodes().begin();
  for (const Node& node : a.nodes()) {
    EXPECT_EQ(node.op(), other->op());
    EXPECT_EQ(node.attrs(), other->attrs());
    EXPECT_EQ(node.origin(), other->origin());
    ASSERT_EQ(node.inputs().size(), other->inputs().size());
    for (std::size_t i = 0; i < node.inputs().size(); ++i) {
      EXPECT_EQ(node.input(i) == nullptr, other->input(i) == nullptr);
      if (node.input(i) == nullptr || other->input(i) == nullptr) continue;
      EXPECT_EQ(node.input(i)->name(), other->input(i)->name());
    }
    for (std::size_t i = 0; i < node.outputs().size(); ++i) EXPECT_EQ(node.output(i)->name(), other->output(i)->name());
    ++other;
  }
  const auto same_ports = [](std::span<const Port> p, std::span<const Port> q) {
    ASSERT_EQ(p.size(), q.size());
    for (std::size_t i = 0; i < p.size(); ++i) {
      EXPECT_EQ(p[i].name, q[i].name);
      EXPECT_EQ(p[i].value->name(), q[i].value->name());
    }
  };
  same_ports(a.inputs(), b.inputs());
  same_ports(a.outputs(), b.outputs());
}

void expect_round_trip(const Graph& graph) {
  const std::string text = print(graph, {.full_constants = true});
  const auto back = parse(text);
  ASSERT_TRUE(back) << back.error().to_string() << "\n" << text;
  expect_same(graph, *back);
  EXPECT_EQ(print(*back, {.full_constants = true}), text);
}

TEST(Text, ReadsAWholeGraph) {
  const auto g = parse(kSeed);
  ASSERT_TRUE(g) << g.error().to_string();
  EXPECT_EQ(g->name, "bert \"two\"");
  EXPECT_EQ(g->symbols.at("batch").max, 64);
  EXPECT_EQ(g->symbols.at("seq"), (SymbolRange{1, INT64_MAX}));
  ASSERT_EQ(g->guards.size(), 1u);  // add() needs it, and it was declared
  EXPECT_EQ(g->guards[0].origin, "node \n that needs it");
  const Tensor& w = g->find_value("w")->constant();
  EXPECT_EQ(w.load<float>(1), 2.5f);
  EXPECT_EQ(w.load<float>(4), INFINITY);
  EXPECT_EQ(g->find_value("z")->constant().as_double(767), 0.5);
  EXPECT_EQ(g->find_value("h")->constant().as_int(3), 0xa0);
  EXPECT_TRUE(std::isnan(g->find_value("n")->constant().load<float>(0)));
  EXPECT_EQ(g->find_value("i")->constant().as_int(0), INT64_MIN);
  const Node* linear = g->find_value("y")->producer();
  EXPECT_EQ(linear->attrs().s("activation"), "gelu");
  EXPECT_EQ(linear->origin().source, "model.py:12");
  EXPECT_EQ(linear->inputs().size(), 3u);
  EXPECT_EQ(g->find_value("c")->type(), (Type{DType::f32, {Dim::symbol("batch")}}));
  EXPECT_EQ(g->outputs()[3].value, g->inputs()[1].value);
  expect_round_trip(*g);
}

TEST(Text, RandomConstantsAreSeededAndLookLikeWeights) {
  const auto g = parse(
      "graph \"\" { const %a: f32[100, 100] = random 1\nconst %b: f32[100, 100] = random 1\n"
      "const %c: f32[100, 100] = random 2\nconst %d: i8[1000] = random 1 }");
  ASSERT_TRUE(g) << g.error().to_string();
  const Tensor &a = g->find_value("a")->constant(), &b = g->find_value("b")->constant(),
               &c = g->find_value("c")->constant();
  EXPECT_EQ(std::memcmp(a.data, b.data, a.bytes), 0);
  EXPECT_NE(std::memcmp(a.data, c.data, a.bytes), 0);
  double sum = 0, squares = 0;
  for (std::int64_t i = 0; i < 10000; ++i) {
    sum += a.as_double(i);
    squares += a.as_double(i) * a.as_double(i);
  }
  EXPECT_NEAR(sum / 10000, 0, 0.0025);                     // five standard errors
  EXPECT_NEAR(std::sqrt(squares / 10000), 0.05, 0.00177);  // the same
  std::set<std::int64_t> seen;
  for (std::int64_t i = 0; i < 1000; ++i) seen.insert(g->find_value("d")->constant().as_int(i));
  EXPECT_GT(seen.size(), 200u);
}

TEST(Text, LargeConstantsAreElidedUnlessWanted) {
  const auto g = parse("graph \"\" { const %a: f32[17] = random 1\noutput \"a\" %a }");
  ASSERT_TRUE(g);
  const std::string text = print(*g);
  EXPECT_NE(text.find("%a: f32[17] = elided"), std::string::npos);
  EXPECT_NE(parse(text).error().message.find("were not printed"), std::string::npos);
  expect_round_trip(*g);
}

TEST(Text, OriginsCanBeLeftOut) {
  const auto g = parse(kSeed);
  ASSERT_TRUE(g);
  EXPECT_NE(print(*g).find("@ \"/layer/MatMul\" \"model.py:12\""), std::string::npos);
  EXPECT_EQ(print(*g, {.full_constants = false, .origins = false}).find('@'), std::string::npos);
}

TEST(Text, ErrorsHaveLineAndColumn) {
  const struct {
    const char *body, *where, *what;
  } kCases[] = {
      {"nonsense", "line 2, column 1", "expected symbol, guard"},
      {"symbol 3", "line 2, column 8", "'3' is no symbol"},
      {"symbol s in [5, 4]", "line 2, column 14", "empty"},
      {"symbol s\nsymbol s", "line 3, column 8", "declared twice"},
      {"symbol s in [1 4]", "line 2, column 16", "expected ','"},
      {"symbol s in [1, 99999999999999999999]", "line 2, column 17", "64-bit integer"},
      {"guard a == 3", "line 2, column 7", "a is not declared"},
      {"guard 3 = 3", "line 2, column 11", "expected '='"},
      {"input x %x: f32[]", "line 2, column 7", "in quotes"},
      {"input \"x\" %x f32[]", "line 2, column 14", "expected ':'"},
      {"input \"x\" %x: f33[]", "line 2, column 15", "'f33' is no dtype"},
      {"input \"x\" %x: f32[k]", "line 2, column 19", "k is not declared"},
      {"input \"x\" %x: f32[2 +]", "line 2, column 19", "is no dimension"},
      {"input \"x\" %x: f32[-2]", "line 2, column 18", "negative dimension"},
      {"input \"x\" %x: f32[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "line 2, column 18", "limit of 16"},
      {"input \"x\" %x: f32[]\ninput \"x\" %y: f32[]", "line 3, column 7", "two inputs"},
      {"input \"x\" %x: f32[]\ninput \"y\" %x: f32[]", "line 3, column 12", "defined twice"},
      {"const %c: f32[2] = [1]", "line 2, column 20", "1 elements for [2]"},
      {"const %c: i8[1] = [128]", "line 2, column 20", "'128' is no i8"},
      {"const %c: u8[1] = [-1]", "line 2, column 20", "'-1' is no u8"},
      {"const %c: bool[1] = [2]", "line 2, column 22", "is no bool"},
      {"const %c: f32[1] = [1x]", "line 2, column 21", "'1x' is no f32"},
      {"const %c: u8[2] = hex \"00f\"", "line 2, column 23", "3 hex digits for 2 bytes"},
      {"const %c: u8[1] = hex \"g0\"", "line 2, column 23", "only hex"},
      {"const %c: bool[1] = hex \"02\"", "line 2, column 25", "00 or 01"},
      {"const %c: f32[999999999, 999999999, 999999999] = splat 1", "line 2, column 11", "too many"},
      {"const %c: f32[99999999999] = splat 1", "line 2, column 30", "more than"},
      {"symbol s\nconst %c: f32[s] = splat 1", "line 3, column 11", "constant dimensions"},
      {"%y = relu(%x)", "line 2, column 12", "%x is not defined above"},
      {"%y = relu(%y)", "line 2, column 12", "not defined above"},
      {"const %c: f32[1] = [1]\n%y = sofmax(%c)", "line 3, column 6", "did you mean softmax"},
      {"const %c: f32[1] = [1]\n%y = softmax(%c) {axis=0, axis=0}", "line 3, column 27", "given twice"},
      {"const %c: f32[1] = [1]\n%y = softmax(%c) {axes=0}", "line 3, column 19", "no attribute 'axes'"},
      {"const %c: f32[1] = [1]\n%y = softmax(%c) {axis=0, log=1}", "line 3, column 31", "true or false"},
      {"const %c: f32[1] = [1]\n%y = softmax(%c)", "line 3, column 1", "'axis' is missing"},
      {"const %c: f32[1] = [1]\n%y: f32[2] = relu(%c)", "line 3, column 1", "%y is f32[1], not f32[2]"},
      {"const %c: f32[1] = [1]\n%y, %z = relu(%c)", "line 3, column 1", "1 results"},
      {"const %c: f32[1] = [1]\n%y = relu(%c) @ \"a", "line 3, column 17", "closing quote"},
      {"const %c: f32[1] = [1]\n%y = relu(%c) @ \"\\q\"", "line 3, column 19", "unknown escape"},
      {"const %c: f32[1] = [1]\noutput \"o\" %c\noutput \"o\" %c", "line 4, column 8", "two outputs"},
  };
  for (const auto& c : kCases) {
    const auto g = parse(std::string("graph \"\" {\n") + c.body + "\n}");
    ASSERT_FALSE(g) << c.body;
    EXPECT_EQ(g.error().code, ErrorCode::file) << c.body;
    EXPECT_EQ(g.error().origin, c.where) << c.body << ": " << g.error().message;
    EXPECT_NE(g.error().message.find(c.what), std::string::npos) << c.body << ": " << g.error().message;
  }
  EXPECT_EQ(parse("").error().origin, "line 1, column 1");
  EXPECT_NE(parse("graph \"\" {").error().message.find("closing '}'"), std::string::npos);
  EXPECT_NE(parse("graph \"\" {} x").error().message.find("after the closing"), std::string::npos);
}

// ---- damaged texts: an error or a verified graph, never a crash
TEST(Text, EveryTruncationIsHandled) {
  const std::size_t whole = kSeed.rfind('}');
  for (std::size_t length = 0; length <= whole; ++length) {
    const auto g = parse(kSeed.substr(0, length));
    ASSERT_FALSE(g) << length;
    EXPECT_EQ(g.error().code, ErrorCode::file);
  }
}

TEST(Text, DamagedTextsNeverCrash) {
  std::mt19937 random(5);
  int good = 0;
  for (int round = 0; round < 6000; ++round) {
    std::string text(kSeed);
    const int edits = 1 + static_cast<int>(random() % 3);
    for (int i = 0; i < edits; ++i) {
      const std::size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = static_cast<char>(random() % 256);
          break;
        case 1:
          text[at] = static_cast<char>(text[at] ^ (1 << (random() % 8)));
          break;
        case 2:
          text.erase(at, 1 + random() % 8);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 12));
          break;
      }
    }
    auto g = parse(text);
    if (!g) {
      EXPECT_EQ(g.error().code, ErrorCode::file);
      continue;
    }
    ++good;
    EXPECT_TRUE(verify(*g));
    if (round % 8 == 0) expect_round_trip(*g);
  }
  EXPECT_GT(good, 100);
}

// ---- random graphs: whatever add() accepts is verified and reads back
TEST(Text, RandomGraphsRoundTrip) {
  std::set<Op> used;
  for (unsigned seed = 0; seed < 60; ++seed) {
    RandomGraph random(seed);
    random.grow(1500);
    used.insert(random.used.begin(), random.used.end());
    const auto status = verify(random.graph);
    ASSERT_TRUE(status) << seed << ": " << status.error().to_string();
    expect_round_trip(random.graph);
    Graph copy = clone(random.graph);
    expect_same(random.graph, copy);
    copy.erase_dead();
    ASSERT_TRUE(verify(copy)) << seed;
    expect_round_trip(copy);
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed;
  }
  // Few operands fit the strictest ops by chance; the others must all have occurred.
  for (int i = 0; i < kOpCount; ++i) {
    const auto op = static_cast<Op>(i);
    const OpGroup group = schema(op).group;
    if (group == OpGroup::attention || group == OpGroup::matmul || group == OpGroup::quant || op == Op::slice ||
        op == Op::pad)
      continue;
    EXPECT_TRUE(used.count(op)) << name_of(op);
  }
}

}  // namespace
}  // namespace intaglio::ir
