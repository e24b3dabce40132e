#include "interp/interp.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>

#include "ir/random_graph.h"
#include "ir/text.h"

namespace intaglio::interp {
namespace {

using ir::Tensor;

constexpr const char* kText = R"(graph "g" {
  symbol batch in [1, 4]
  symbol seq in [1, 16]
  input "ids" %ids: i64[batch, seq]
  input "x" %x: f32[batch, seq, 2]
  const %table: f32[3, 2] = [1, 2, 3, 4, 5, 6]
  %e = gather(%table, %ids) {axis=0}
  %y = add(%e, %x)
  %m = reshape(%y) {shape=[batch*seq, 2]}
  %unused = neg(%m)
  output "y" %y
  output "m" %m
  output "x" %x
})";

Tensor ids(std::vector<std::int64_t> values, Shape shape) {
  return *Tensor::from<std::int64_t>(std::move(shape), values);
}
Tensor f32(std::vector<float> values, Shape shape) {
  return *Tensor::from<float>(std::move(shape), values);
}

TEST(Run, RunsAWholeGraph) {
  const auto g = ir::parse(kText);
  ASSERT_TRUE(g) << g.error().to_string();
  const Tensor inputs[] = {ids({2, 0, -3}, {1, 3}), f32({0, 0, 10, 10, 20, 20}, {1, 3, 2})};
  const auto out = run(*g, inputs);
  ASSERT_TRUE(out) << out.error().to_string();
  ASSERT_EQ(out->size(), 3u);
  EXPECT_EQ((*out)[1].shape, (Shape{3, 2}));
  const float want[] = {5, 6, 11, 12, 21, 22};
  EXPECT_EQ(std::memcmp((*out)[0].data, want, sizeof(want)), 0);
  EXPECT_EQ((*out)[2].data, inputs[1].data);  // passed through
}

TEST(Run, ObserverSeesEveryValueInOrder) {
  const auto g = ir::parse(kText);
  std::vector<std::string> seen;
  const Tensor inputs[] = {ids({1}, {1, 1}), f32({0, 0}, {1, 1, 2})};
  ASSERT_TRUE(run_observed(*g, inputs, {}, [&](const ir::Value& value, const Tensor& tensor) {
    seen.push_back(value.name() + to_string(std::span<const std::int64_t>(tensor.shape)));
  }));
  EXPECT_EQ(seen, (std::vector<std::string>{"e[1, 1, 2]", "y[1, 1, 2]", "m[1, 2]", "unused[1, 2]"}));
}

TEST(Run, DoublePrecisionTakesFloatOrDoubleInputs) {
  const auto g = ir::parse(kText);
  const Tensor single[] = {ids({1}, {1, 1}), f32({0.5f, 0}, {1, 1, 2})};
  const Tensor twice[] = {ids({1}, {1, 1}), *Tensor::from<double>({1, 1, 2}, {0.1, 0})};
  const auto a = run(*g, single, {Precision::f64}), b = run(*g, twice, {Precision::f64});
  ASSERT_TRUE(a && b);
  for (const Tensor& y : *a) EXPECT_EQ(y.dtype, DType::f64);
  EXPECT_EQ((*a)[0].load<double>(0), 3.5);
  EXPECT_EQ((*b)[0].load<double>(0), 3.0 + 0.1);
  EXPECT_EQ(run(*g, twice).error().code, ErrorCode::usage);  // f32 precision wants the dtype as declared
}

struct BadInputs {
  std::vector<Tensor> inputs;
  ErrorCode code;
  const char* what;
};

TEST(Run, RefusesInputsThatDoNotFit) {
  const auto g = ir::parse(kText);
  const BadInputs kCases[] = {
      {{ids({1}, {1, 1})}, ErrorCode::usage, "1 inputs given, the model has 2"},
      {{ids({1}, {1}), f32({0, 0}, {1, 1, 2})},
       ErrorCode::usage,
       "input 'ids': the shape [1] has rank 1, the model wants i64[batch, seq]"},
      {{f32({1}, {1, 1}), f32({0, 0}, {1, 1, 2})}, ErrorCode::usage, "input 'ids': dtype f32 given, i64 wanted"},
      {{ids({1}, {1, 1}), f32({0, 0, 0}, {1, 1, 3})}, ErrorCode::usage, "dimension 2 of [1, 1, 3] is 3, wanted 2"},
      {{ids({1, 1}, {1, 2}), f32({0, 0}, {1, 1, 2})},
       ErrorCode::usage,
       "input 'x': dimension 1 of [1, 1, 2] is 1, wanted seq = 2"},
      {{ids(std::vector<std::int64_t>(17), {1, 17}), f32(std::vector<float>(34), {1, 17, 2})},
       ErrorCode::unsupported,
       "input 'ids': 'seq' = 17 is outside its declared range [1, 16]"},
      {{ids({}, {1, 0}), f32({}, {1, 0, 2})}, ErrorCode::unsupported, "'seq' = 0 is outside"},
      {{ids({7}, {1, 1}), f32({0, 0}, {1, 1, 2})}, ErrorCode::data, "index 7"},
  };
  for (const BadInputs& c : kCases) {
    const auto out = run(*g, c.inputs);
    ASSERT_FALSE(out) << c.what;
    EXPECT_EQ(out.error().code, c.code) << c.what;
    EXPECT_NE(out.error().to_string().find(c.what), std::string::npos) << out.error().to_string();
  }
  Tensor lying = f32({0, 0}, {1, 1, 2});
  lying.bytes = 4;
  const Tensor inputs[] = {ids({1}, {1, 1}), lying};
  EXPECT_EQ(run(*g, inputs).error().code, ErrorCode::usage);
}

TEST(Run, KeepsWithinItsMemory) {
  const auto g = ir::parse(
      "graph \"\" { const %a: f32[1] = [1]\n%b = expand(%a) {shape=[1000000]}\n%c = neg(%b)\noutput \"c\" %c }");
  ASSERT_TRUE(g);
  EXPECT_TRUE(run(*g, {}, {Precision::f32, 200 << 20}));
  const auto refused = run(*g, {}, {Precision::f32, 1 << 20});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("out of memory"), std::string::npos);
  const auto huge = ir::parse(
      "graph \"\" { const %a: f32[1] = [1]\n%b = expand(%a) {shape=[4611686018427387904]}\noutput \"b\" %b }");
  ASSERT_TRUE(huge);
  EXPECT_FALSE(run(*huge, {}));
}

TEST(Bind, SolvesChecksAndGuards) {
  const auto g = ir::parse(R"(graph "g" {
    symbol s in [1, 100]
    symbol t
    symbol fixed in [3, 3]
    input "a" %a: f32[2*s + 1]
    input "b" %b: f32[s, t]
    const %c: f32[5] = splat 1
    %r = reshape(%b) {shape=[5]}
    %q = add(%r, %c)
    output "q" %q
  })");
  ASSERT_TRUE(g) << g.error().to_string();
  const auto bind = [&](Shape a, Shape b) { return bind_symbols(*g, std::vector<Shape>{std::move(a), std::move(b)}); };
  const auto good = bind({11}, {5, 1});
  ASSERT_TRUE(good) << good.error().to_string();
  EXPECT_EQ(*good, (SymbolValues{{"fixed", 3}, {"s", 5}, {"t", 1}}));
  EXPECT_EQ(bind({10}, {5, 1}).error().code, ErrorCode::usage);  // 2 s + 1 is odd
  EXPECT_EQ(bind({203}, {101, 1}).error().code, ErrorCode::unsupported);
  const auto guard = bind({11}, {5, 2});
  ASSERT_FALSE(guard);
  EXPECT_EQ(guard.error().code, ErrorCode::unsupported);
  EXPECT_EQ(guard.error().message, "the model needs s*t == 5, but here they are 10 and 5");
  EXPECT_EQ(guard.error().origin, "reshape");
  EXPECT_FALSE(bind({11}, {-5, 1}));
}

TEST(Bind, KnownSymbolsHelpToSolveOthers) {
  const auto g = ir::parse(
      "graph \"\" { symbol s\nsymbol t\ninput \"a\" %a: f32[s*t + 2]\ninput \"b\" %b: f32[s]\noutput \"a\" %a }");
  ASSERT_TRUE(g);
  EXPECT_EQ(*bind_symbols(*g, std::vector<Shape>{{14}, {4}}), (SymbolValues{{"s", 4}, {"t", 3}}));
  EXPECT_FALSE(bind_symbols(*g, std::vector<Shape>{{13}, {4}}));
  EXPECT_FALSE(bind_symbols(*g, std::vector<Shape>{{2}, {0}}));  // any t would do
}

TEST(Bind, ASymbolThatNoInputGivesIsAnError) {
  const auto g = ir::parse("graph \"\" { symbol s\nsymbol t\ninput \"a\" %a: f32[s*t]\noutput \"a\" %a }");
  ASSERT_TRUE(g);
  const auto bound = bind_symbols(*g, std::vector<Shape>{{6}});
  ASSERT_FALSE(bound);
  EXPECT_EQ(bound.error().origin, "input 'a'");
}

// Whatever the shape functions accept evaluates to the promised shapes, or fails for a reason that lies in the data.
TEST(Run, RandomGraphsKeepTheirPromises) {
  int finished = 0, guarded = 0;
  std::set<ir::Op> used;
  for (unsigned seed = 0; seed < 200; ++seed) {
    ir::RandomGraph random(seed);
    random.with_guards = seed % 4 == 0;
    random.grow(400);
    if (random.with_guards) ++guarded;
    std::mt19937 bits(seed);
    const SymbolValues symbols = {{"s", 1 + bits() % 8}, {"t", bits() % 4}};
    std::vector<Tensor> inputs;
    for (const ir::Port& port : random.graph.inputs()) {
      Shape shape;
      for (const Dim& dim : port.value->shape()) shape.push_back(*dim.evaluate(symbols));
      std::byte* out = nullptr;
      inputs.push_back(*Tensor::allocate(port.value->dtype(), shape, &out));
      for (std::size_t i = 0; i < inputs.back().bytes; ++i) {
        const bool small = port.value->dtype() == DType::boolean || port.value->dtype() == DType::i64;
        out[i] = static_cast<std::byte>(small ? (i % 8 == 0 ? bits() % 2 : 0) : bits());
      }
    }
    for (const Precision precision : {Precision::f32, Precision::f64}) {
      const auto out = run(random.graph, inputs, {precision, std::size_t{64} << 20});
      if (out) {
        ++finished;
        used.insert(random.used.begin(), random.used.end());
        continue;
      }
      const bool expected = out.error().code == ErrorCode::data || out.error().code == ErrorCode::unsupported ||
                            out.error().message.find("has no value") != std::string::npos ||
                            out.error().message.find("out of memory") != std::string::npos;
      EXPECT_TRUE(expected) << seed << ": " << out.error().to_string();
    }
  }
  EXPECT_EQ(guarded, 50);
  EXPECT_GT(finished, 60);
  EXPECT_GT(used.size(), 55u);
}

}  // namespace
}  // namespace intaglio::interp
