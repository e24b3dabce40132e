// Binding: symbols, guards and messages; where values live; what is shared.
#include "plan/binding.h"

#include <gmock/gmock.h>

#include <set>

#include "plan/plan_test_util.h"

namespace intaglio::plan {
namespace {

using testing::HasSubstr;

const Dim kN = Dim::symbol("n");
const Dim kM = Dim::symbol("m");

void expect_error(const Plan& plan, const std::vector<Shape>& shapes, ErrorCode code, const std::string& text,
                  const std::string& origin, const BindOptions& options = {}) {
  const auto bound = plan::bind(plan, shapes, options);
  ASSERT_FALSE(bound.has_value()) << text;
  EXPECT_EQ(bound.error().code, code) << bound.error().to_string();
  EXPECT_THAT(bound.error().message, HasSubstr(text));
  EXPECT_THAT(bound.error().origin, HasSubstr(origin));
}

// a [n, 3, 2*n], b [n, m] -> a itself; n in 1..10, guard m == n + 1.
std::shared_ptr<const Plan> symbolic_plan() {
  PlanBuilder b;
  const ValueId a = b.input("first", {kN, Dim(3), 2 * kN});
  const ValueId second = b.input("second", {kN, kM});
  b.plan.symbols["n"] = {1, 10};
  b.plan.guards.push_back({b.dim(kM), b.dim(kN + 1), "where/it/came/from"});
  b.output("y", b.elementwise("double", "add", {a, a}, {kN, Dim(3), 2 * kN}));
  b.output("z", b.elementwise("negate", "neg", {second}, {kN, kM}));
  return b.finish();
}

TEST(BindDims, SymbolsAndExpressions) {
  const auto plan = symbolic_plan();
  const auto dims = bind_dims(*plan, std::vector<Shape>{{4, 3, 8}, {4, 5}});
  ASSERT_TRUE(dims.has_value()) << dims.error().to_string();
  for (std::size_t i = 0; i < dims->size(); ++i) {
    EXPECT_EQ((*dims)[i], *plan->dims[i].evaluate({{"n", 4}, {"m", 5}})) << plan->dims[i].to_string();
  }
  const auto bound = plan::bind(*plan, std::vector<Shape>{{4, 3, 8}, {4, 5}}, {});
  ASSERT_TRUE(bound.has_value());
  EXPECT_EQ((*bound)->output_shapes, (std::vector<Shape>{{4, 3, 8}, {4, 5}}));
  EXPECT_EQ((*bound)->output_bytes, (std::vector<std::size_t>{384, 80}));
}

TEST(BindDims, ErrorsNameTheInput) {
  const auto plan = symbolic_plan();
  expect_error(*plan, {{4, 3, 8}}, ErrorCode::usage, "1 inputs were given; the model has 2", "");
  expect_error(*plan, {{4, 3, 8}, {4, 5}, {1}}, ErrorCode::usage, "3 inputs", "");
  expect_error(*plan, {{4, 3}, {4, 5}}, ErrorCode::usage, "rank 2; the model declares [n, 3, 2*n] of rank 3",
               "input 'first'");
  expect_error(*plan, {{4, 7, 8}, {4, 5}}, ErrorCode::usage, "dim 1 is 7; the model wants 3", "input 'first'");
  expect_error(*plan, {{4, 3, 9}, {4, 5}}, ErrorCode::usage, "dim 2 is 9; the model wants 8", "input 'first'");
  expect_error(*plan, {{4, 3, 8}, {5, 5}}, ErrorCode::usage, "dim 0 ('n') is 5, but an earlier input has 4",
               "input 'second'");
  expect_error(*plan, {{-4, 3, 8}, {4, 5}}, ErrorCode::usage, "negative", "input 'first'");
  expect_error(*plan, {{11, 3, 22}, {11, 12}}, ErrorCode::unsupported, "outside the declared range 1..10",
               "input 'first'");
  expect_error(*plan, {{0, 3, 0}, {0, 1}}, ErrorCode::unsupported, "dim 0 ('n') is 0", "input 'first'");
  expect_error(*plan, {{4, 3, 8}, {4, 6}}, ErrorCode::unsupported, "n + 1", "where/it/came/from");
}

TEST(BindDims, ArithmeticErrorsAreErrors) {
  PlanBuilder b;
  const ValueId x = b.input("x", {kN});
  b.dim(Dim::floordiv(Dim(12), kN));
  b.dim(kN * kN * kN);
  b.output("y", b.elementwise("neg", "neg", {x}, {kN}));
  const auto plan = b.finish();
  EXPECT_TRUE(plan::bind(*plan, std::vector<Shape>{{5}}, {}).has_value());
  expect_error(*plan, {{0}}, ErrorCode::usage, "division by zero", "");
  expect_error(*plan, {{std::int64_t{1} << 32}}, ErrorCode::usage, "64 bits", "");
}

TEST(Bind, ZeroLengthDims) {
  Runner runner(small_model().finish(), 2);
  runner.add<std::int64_t>({0, 5}, {});
  runner.add<float>({8}, ramp(8));
  const Status status = runner.run();
  ASSERT_TRUE(status.has_value()) << status.error().to_string();
  for (const auto& bytes : runner.outputs()) EXPECT_TRUE(bytes.empty());
}

TEST(Bind, ReshapeThatDoesNotFitNamesTheValue) {
  PlanBuilder b;
  const ValueId x = b.input("x", {kN});
  const ValueId y = b.elementwise("neg", "neg", {x}, {kN});
  b.output("z", b.alias("pairs", y, {Dim::floordiv(kN, 2), Dim(2)}));
  const auto plan = b.finish();
  EXPECT_TRUE(plan::bind(*plan, std::vector<Shape>{{6}}, {}).has_value());
  expect_error(*plan, {{7}}, ErrorCode::unsupported, "cannot reshape [7] to [3, 2]", "value 'pairs'");
}

TEST(Bind, ArenaLimitAndHugeShapes) {
  PlanBuilder b;
  const ValueId x = b.input("x", {kN});
  const ValueId y = b.elementwise("one", "neg", {x}, {kN});
  b.output("z", b.elementwise("two", "neg", {y}, {kN}));
  const auto plan = b.finish();
  BindOptions options;
  options.max_arena_bytes = 4096;
  EXPECT_TRUE(plan::bind(*plan, std::vector<Shape>{{1024}}, options).has_value());
  expect_error(*plan, {{1025}}, ErrorCode::unsupported,
               "these shapes need 4160 bytes of activation memory; the limit is 4096", "", options);
  expect_error(*plan, {{INT64_MAX}}, ErrorCode::usage, "too many bytes", "value 'x'");
  options.max_arena_bytes = SIZE_MAX;
  EXPECT_TRUE(
      plan::bind(*plan, std::vector<Shape>{{std::int64_t{1} << 58}}, options).has_value());  // nothing is allocated yet
}

TEST(Bind, SizesThatDoNotAddUp) {
  PlanBuilder b;
  const ValueId x = b.input("x", {kN});
  std::vector<ValueId> layers;
  for (int i = 0; i < 4; ++i) layers.push_back(b.elementwise("copy" + std::to_string(i), "neg", {x}, {kN}));
  ValueId sum = layers[0];
  for (int i = 1; i < 4; ++i)
    sum = b.elementwise("sum" + std::to_string(i), "add", {sum, layers[static_cast<std::size_t>(i)]}, {kN});
  b.output("y", sum);
  BindOptions options;
  options.max_arena_bytes = SIZE_MAX;
  expect_error(*b.finish(), {{std::int64_t{1} << 60}}, ErrorCode::unsupported, "more than 2^63", "", options);
}

TEST(Bind, EqualProblemsShareOneBinding) {
  PlanBuilder b;
  ValueId x = b.input("x", {kN, Dim(8)});
  for (int layer = 0; layer < 6; ++layer) {
    x = b.linear("linear" + std::to_string(layer), x, 8, 8, {kN, Dim(8)});
    x = b.elementwise("tanh" + std::to_string(layer), "tanh", {x}, {kN, Dim(8)});
  }
  b.output("y", x);
  const ValueId half = b.temporary("first", {Dim(1), Dim(8)});
  ops::CopyDescriptor slice;
  slice.kind = ops::CopyKind::slice;
  slice.axes = {0};
  slice.steps = {1};
  b.step("first", slice, {x}, {half}, {Dim(0), Dim(1)});
  b.output("last", b.elementwise("other_shape", "tanh", {half}, {Dim(1), Dim(8)}));
  const auto bound = plan::bind(*b.finish(), std::vector<Shape>{{5, 8}}, {});
  ASSERT_TRUE(bound.has_value()) << bound.error().to_string();
  std::set<const ops::Binding*> distinct;
  for (const BoundStep& step : (*bound)->steps) distinct.insert(step.binding.get());
  EXPECT_EQ((*bound)->steps.size(), 14u);
  EXPECT_EQ(distinct.size(), 4u);  // linear, tanh [5, 8], slice, tanh [1, 8]
  EXPECT_EQ((*bound)->distinct_bindings, 4u);
}

// Stands in front of a prepared op and counts its binds.
class CountingOp final : public ops::PreparedOp {
 public:
  CountingOp(std::shared_ptr<const ops::PreparedOp> op, int& binds) : op_(std::move(op)), binds_(binds) {}
  Result<std::unique_ptr<const ops::Binding>> bind(const ops::BindRequest& request) const override {
    ++binds_;
    return op_->bind(request);
  }
  ops::RunStatus run(const ops::Binding& binding, const ops::RunArgs& args,
                     const ops::Worker& worker) const noexcept override {
    return op_->run(binding, args, worker);
  }
  bool may_run_in_place(std::size_t index) const override { return op_->may_run_in_place(index); }
  Facts facts() const override { return op_->facts(); }

 private:
  std::shared_ptr<const ops::PreparedOp> op_;
  int& binds_;
};

TEST(Bind, EqualStepsBindOncePerProblemAndContext) {
  PlanBuilder b;
  ValueId x = b.input("x", {kN, Dim(8)});
  for (int layer = 0; layer < 12; ++layer) {
    x = b.linear("linear" + std::to_string(layer), x, 8, 8, {kN, Dim(8)});
    x = b.elementwise("tanh" + std::to_string(layer), "tanh", {x}, {kN, Dim(8)});
  }
  b.output("y", x);
  int binds = 0;
  for (Step& step : b.plan.steps) step.prepared = std::make_shared<CountingOp>(step.prepared, binds);
  Runner runner(b.finish(), 2);
  int expected = 0;
  for (const int round : {0, 1}) {
    for (const std::int64_t n : {1, 5, 9}) {
      runner.clear();
      runner.add<float>({n, 8}, ramp(static_cast<std::size_t>(n) * 8));
      ASSERT_TRUE(runner.run().has_value());
      if (round == 0) expected += 2;  // of 24 steps
      EXPECT_EQ(binds, expected) << n;
    }
  }
}

// Zero points that are all zero once packed leave no blob: that linear has no prologue, its neighbour of the same
// descriptor has one.
// Names of blobs come from the file: none may make two lists of blobs look alike.
TEST(Bind, NamesOfBlobsCannotForgeAGroup) {
  Plan plan;
  plan.blobs.resize(3);
  plan.blobs[0].layout = "x:64 linear_column_zero_i32";
  plan.blobs[0].bytes = 16;
  plan.blobs[1].layout = "x";
  plan.blobs[1].bytes = 64;
  plan.blobs[2].layout = "linear_column_zero_i32";
  plan.blobs[2].bytes = 16;
  plan.steps.resize(2);
  for (Step& step : plan.steps) {
    step.candidate = "intaglio.linear";
    step.descriptor = std::make_unique<ops::LinearDescriptor>();
  }
  plan.steps[0].blobs = {0};
  plan.steps[1].blobs = {1, 2};
  assign_bind_groups(plan);
  EXPECT_NE(plan.steps[0].bind_group, plan.steps[1].bind_group);
}

TEST(Bind, LinearsWithOtherBlobsDoNotShare) {
  constexpr std::int64_t kRows = 3, kDepth = 8, kColumns = 4;
  PlanBuilder b;
  const ValueId x = b.input("x", {Dim(kRows), Dim(kDepth)}, DType::u8);
  ops::LinearDescriptor descriptor;
  descriptor.k = kDepth;
  descriptor.n = kColumns;
  descriptor.input = descriptor.weight = DType::u8;
  descriptor.output = DType::i32;
  descriptor.weight_zero = true;
  std::vector<std::uint8_t> weight(kDepth * kColumns), data(kRows * kDepth);
  for (std::size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<std::uint8_t>(i * 29 + 3);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i * 53 + 7);
  const std::vector<std::uint8_t> zeros{128, 5, 77};
  for (const std::uint8_t& zero : zeros) {
    const std::string name = "zero" + std::to_string(zero);
    const ValueId out = b.temporary(name, {Dim(kRows), Dim(kColumns)}, DType::i32);
    b.step(name, descriptor, {x}, {out}, {},
           {{DType::u8, {kColumns, kDepth}, reinterpret_cast<const std::byte*>(weight.data()), weight.size()},
            {DType::u8, {}, reinterpret_cast<const std::byte*>(&zero), 1},
            {},
            {}});
    b.output(name, out);
  }
  const auto plan = b.finish();
  ASSERT_NE(plan->steps[0].blobs.size(), plan->steps[1].blobs.size());
  const auto bound = plan::bind(*plan, std::vector<Shape>{{kRows, kDepth}}, {});
  ASSERT_TRUE(bound.has_value()) << bound.error().to_string();
  EXPECT_EQ((*bound)->distinct_bindings, 2u);
  Runner runner(plan, 2);
  runner.add<std::uint8_t>({kRows, kDepth}, data);
  ASSERT_TRUE(runner.run().has_value());
  for (std::size_t which = 0; which < zeros.size(); ++which) {
    std::vector<std::int32_t> expected;
    for (std::size_t i = 0; i < kRows; ++i) {
      for (std::size_t j = 0; j < kColumns; ++j) {
        std::int32_t sum = 0;
        for (std::size_t k = 0; k < kDepth; ++k) sum += data[i * kDepth + k] * (weight[j * kDepth + k] - zeros[which]);
        expected.push_back(sum);
      }
    }
    EXPECT_EQ(runner.output<std::int32_t>(which), expected) << which;
  }
}

TEST(Bind, InPlaceChainUsesOneBuffer) {
  PlanBuilder b;
  const ValueId x = b.input("x", {kN});
  ValueId y = x;
  for (int i = 0; i < 5; ++i) y = b.elementwise("neg" + std::to_string(i), "neg", {y}, {kN});
  b.output("y", b.elementwise("last", "add", {y, x}, {kN}));
  const auto plan = b.finish();
  const auto bound = plan::bind(*plan, std::vector<Shape>{{100}}, {});
  ASSERT_TRUE(bound.has_value());
  EXPECT_EQ((*bound)->arena_bytes, 448u);  // 400 bytes rounded to 64, once
  Runner runner(plan, 3);
  runner.add<float>({100}, ramp(100));
  ASSERT_TRUE(runner.run().has_value());
  EXPECT_EQ(runner.output<float>(0), std::vector<float>(100, 0.0f));
}

// A value that is read again later, is read twice by the step, or is broadcast must keep its bytes.
TEST(Bind, InPlaceOnlyWhereTheInputDies) {
  PlanBuilder b;
  const ValueId x = b.input("x", {kN});
  const ValueId small = b.input("small", {Dim(1)});
  const ValueId a = b.elementwise("a", "neg", {x}, {kN});
  const ValueId c = b.elementwise("c", "exp", {a}, {kN});     // a lives on
  const ValueId d = b.elementwise("d", "mul", {c, c}, {kN});  // twice
  const ValueId one = b.elementwise("one", "neg", {small}, {Dim(1)});
  const ValueId e = b.elementwise("e", "add", {one, d}, {kN});  // broadcast
  const ValueId view = b.alias("view", e, {kN, Dim(1)});
  const ValueId f = b.elementwise("f", "neg", {e}, {kN});  // e lives on as its alias
  const ValueId g = b.elementwise("g", "add", {view, small}, {kN, Dim(1)});
  b.output("y", b.elementwise("y", "sub", {b.elementwise("h", "add", {f, a}, {kN}), b.alias("flat", g, {kN})}, {kN}));
  for (const int threads : {1, 3}) {
    Runner runner(b.finish(), threads);
    const std::size_t count = threads == 1 ? 1 : 77;  // with one element everything has the same size
    const std::vector<float> data = ramp(count, -2, 0.03125f);
    runner.add<float>({static_cast<std::int64_t>(count)}, data);
    runner.add<float>({1}, {0.5f});
    ASSERT_TRUE(runner.run().has_value());
    const auto got = runner.output<float>(0);
    for (std::size_t i = 0; i < count; ++i) {
      const double e_value = -0.5 + std::exp(-2.0 * static_cast<double>(data[i]));
      EXPECT_NEAR(got[i], (-e_value - static_cast<double>(data[i])) - (e_value + 0.5), 2e-4 * (1 + std::abs(e_value)));
    }
  }
}

TEST(Bind, OutputsThatAreInputsConstantsAliasesAndTwins) {
  PlanBuilder b;
  const ValueId x = b.input("x", {kN, Dim(2)});
  const ValueId table = b.constant<float>("table", {3}, {1, 2, 3});
  const ValueId y = b.elementwise("neg", "neg", {x}, {kN, Dim(2)});
  const ValueId flat = b.alias("flat", y, {2 * kN});
  const ValueId flat_input = b.alias("flat_input", x, {2 * kN});
  b.output("input", x);
  b.output("constant", table);
  b.output("alias", flat);
  b.output("owner", y);
  b.output("owner_again", y);
  b.output("input_alias", flat_input);
  b.output("read_later", b.elementwise("twice", "neg", {flat}, {2 * kN}));
  const auto plan = b.finish();
  const auto bound = plan::bind(*plan, std::vector<Shape>{{2, 2}}, {});
  ASSERT_TRUE(bound.has_value());
  EXPECT_EQ((*bound)->arena_bytes, 0u);
  EXPECT_EQ((*bound)->copies.size(), 5u);  // all but "alias" and "read_later"
  EXPECT_EQ((*bound)->output_shapes[2], (Shape{4}));
  Runner runner(plan, 2);
  runner.add<float>({2, 2}, {1, 2, 3, 4});
  ASSERT_TRUE(runner.run().has_value());
  const std::vector<float> plus{1, 2, 3, 4}, minus{-1, -2, -3, -4};
  EXPECT_EQ(runner.output<float>(0), plus);
  EXPECT_EQ(runner.output<float>(1), (std::vector<float>{1, 2, 3}));
  for (const std::size_t i : {2, 3, 4}) EXPECT_EQ(runner.output<float>(i), minus) << i;
  EXPECT_EQ(runner.output<float>(5), plus);
  EXPECT_EQ(runner.output<float>(6), plus);
}

// Every buffer of the small model apart from every other that is alive at the same step.
TEST(Bind, LocationsDoNotOverlapWhileAlive) {
  PlanBuilder b;
  const ValueId x = b.input("x", {kN});
  std::vector<ValueId> live{x};
  for (std::size_t i = 0; i < 40; ++i) {
    const ValueId left = live[i * 7 % live.size()], right = live[i * 5 % live.size()];
    live.push_back(b.elementwise("v" + std::to_string(i), i % 2 == 0 ? "add" : "maximum", {left, right}, {kN}));
    if (live.size() > 6) live.erase(live.begin() + static_cast<std::ptrdiff_t>(i % 5));
  }
  ValueId sum = live[0];
  for (std::size_t i = 1; i < live.size(); ++i)
    sum = b.elementwise("s" + std::to_string(i), "add", {sum, live[i]}, {kN});
  b.output("y", sum);
  const auto plan = b.finish();
  const auto bound = plan::bind(*plan, std::vector<Shape>{{33}}, {});
  ASSERT_TRUE(bound.has_value());
  // The last step that reads each value, by definition.
  std::vector<int> born(plan->values.size(), -1), dies(plan->values.size(), -1);
  for (std::size_t i = 0; i < plan->steps.size(); ++i) {
    for (ValueId id : plan->steps[i].inputs) dies[id] = static_cast<int>(i);
    for (ValueId id : plan->steps[i].outputs) born[id] = dies[id] = static_cast<int>(i);
  }
  for (ValueId a = 0; a < plan->values.size(); ++a) {
    for (ValueId c = 0; c < a; ++c) {
      const Location& p = (*bound)->locations[a];
      const Location& q = (*bound)->locations[c];
      if (p.home != Home::arena || q.home != Home::arena || p.offset != q.offset) continue;
      EXPECT_TRUE(dies[a] <= born[c] || dies[c] <= born[a]) << a << " and " << c;
    }
  }
  EXPECT_GE((*bound)->arena_bytes, (*bound)->arena_lower_bound);
}

}  // namespace
}  // namespace intaglio::plan
