// Every op of the IR as it comes up in random valid graphs: compiled alone and run, against the reference interpreter;
// with several thread counts, the same bits. What compilation refuses must be refused with a reason, and is counted.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "compile/compile.h"
#include "interp/interp.h"
#include "ir/random_graph.h"
#include "ir/text.h"
#include "plan/context.h"

namespace intaglio {
namespace {

const SymbolValues kSymbols{{"s", 3}, {"t", 5}};

struct Tally {
  std::map<std::string, int> ran;
  std::map<std::string, std::map<std::string, int>> refused;
};

// One node with concrete types as a graph of its own. Operands that must be constant stay constant.
struct Alone {
  ir::Graph graph;
  std::vector<ir::Tensor> inputs;
};

bool must_be_constant(ir::Op op, std::size_t operand) {
  if (op == ir::Op::linear) return operand == 1 || operand == 2;
  return op == ir::Op::quantized_linear && (operand == 1 || operand >= 4) && operand != 7;
}

Result<Alone> isolate(const ir::Node& node, const std::map<const ir::Value*, ir::Tensor>& values) {
  Alone alone;
  std::vector<ir::Value*> operands;
  for (std::size_t i = 0; i < node.inputs().size(); ++i) {
    if (node.input(i) == nullptr) {
      operands.push_back(nullptr);
      continue;
    }
    const ir::Tensor& tensor = values.at(node.input(i));
    if (must_be_constant(node.op(), i)) {
      operands.push_back(alone.graph.add_constant(tensor));
      continue;
    }
    operands.push_back(alone.graph.add_input("in" + std::to_string(i), {tensor.dtype, constant_dims(tensor.shape)}));
    alone.inputs.push_back(tensor);
  }
  ir::Attrs attrs;
  for (const auto& [name, attr] : node.attrs().items()) {
    if (const auto* dim = std::get_if<Dim>(&attr)) {
      INTAGLIO_TRY(const std::int64_t value, dim->evaluate(kSymbols));
      attrs.set(name, Dim(value));
    } else if (const auto* dims = std::get_if<Dims>(&attr)) {
      Dims out;
      for (const Dim& one : *dims) {
        INTAGLIO_TRY(const std::int64_t value, one.evaluate(kSymbols));
        out.emplace_back(value);
      }
      attrs.set(name, out);
    } else {
      attrs.set(name, attr);
    }
  }
  INTAGLIO_TRY(ir::Node * copy, alone.graph.add({node.op(), operands, attrs, {"node", ""}, "", {}}));
  for (std::size_t i = 0; i < copy->outputs().size(); ++i)
    alone.graph.add_output("y" + std::to_string(i), copy->output(i));
  return alone;
}

// Seeded values of any dtype: small integers (legal indices now and then), normal floats.
Result<ir::Tensor> random_tensor(const ir::Value& value, std::mt19937& random) {
  Shape shape;
  for (const Dim& dim : value.shape()) {
    INTAGLIO_TRY(const std::int64_t size, dim.evaluate(kSymbols));
    shape.push_back(size);
  }
  INTAGLIO_TRY(const std::int64_t count, element_count(shape));
  std::vector<float> floats;
  std::normal_distribution<float> normal;
  for (std::int64_t i = 0; i < count; ++i)
    floats.push_back(is_floating(value.dtype()) ? normal(random) : static_cast<float>(random() % 3));
  INTAGLIO_TRY(const ir::Tensor plain, ir::Tensor::from(shape, floats));
  ir::Graph graph;
  ir::Value* x = graph.add_input("x", {DType::f32, constant_dims(shape)});
  INTAGLIO_TRY(ir::Value * y, graph.add1({ir::Op::cast, {x}, {{"to", value.dtype()}}, {}, "", {}}));
  graph.add_output("y", y);
  INTAGLIO_TRY(const auto cast, interp::run(graph, std::vector<ir::Tensor>{plain}));
  return cast[0];
}

using Bytes = std::vector<std::vector<std::byte>>;

Result<Bytes> run_plan(const std::shared_ptr<const plan::Plan>& plan, const std::vector<ir::Tensor>& inputs,
                       int threads) {
  // The process keeps a shared pool only while somebody holds it.
  static std::map<int, std::shared_ptr<threads::Pool>> pools;
  if (!pools[threads]) {
    INTAGLIO_TRY(pools[threads], threads::shared_pool({.threads = threads}));
  }
  const auto& pool = pools[threads];
  plan::Context context(plan, {.pool = pool});
  std::vector<Shape> shapes;
  std::vector<plan::InputView> views;
  std::vector<Buffer> copies;
  for (const ir::Tensor& tensor : inputs) {
    INTAGLIO_TRY(Buffer copy, Buffer::allocate(std::max<std::size_t>(tensor.bytes, 1)));
    if (tensor.bytes != 0) std::memcpy(copy.data(), tensor.data, tensor.bytes);
    shapes.push_back(tensor.shape);
    views.push_back({copy.data(), tensor.dtype, tensor.shape});
    copies.push_back(std::move(copy));
  }
  INTAGLIO_TRY(const plan::BoundPlan* bound, context.prepare(shapes));
  Bytes bytes;
  std::vector<plan::OutputView> outputs;
  for (std::size_t size : bound->output_bytes) bytes.emplace_back(size);
  for (auto& one : bytes) outputs.push_back({one.data(), one.size()});
  INTAGLIO_CHECK(context.run(views, outputs));
  return bytes;
}

double largest_finite(const ir::Tensor& tensor) {
  double largest = 0;
  for (std::int64_t i = 0; i < tensor.element_count(); ++i) {
    const double value = std::abs(tensor.as_double(i));
    if (std::isfinite(value)) largest = std::max(largest, value);
  }
  return largest;
}

// Floats may differ by the roundings of the op's own sums, relative to the result and to the largest number that went
// in; everything else must be equal.
void expect_close(const ir::Tensor& expected, const std::vector<std::byte>& bytes, double largest,
                  const std::string& what) {
  ASSERT_EQ(expected.bytes, bytes.size()) << what;
  ir::Tensor got = expected;
  got.data = bytes.data();
  const bool half = expected.dtype == DType::f16 || expected.dtype == DType::bf16;
  const double relative = !is_floating(expected.dtype) ? 0 : half ? 0.01 : 1e-5;
  for (std::int64_t i = 0; i < expected.element_count(); ++i) {
    const double a = expected.as_double(i);
    const double b = got.as_double(i);
    if ((std::isnan(a) && std::isnan(b)) || a == b) continue;
    ASSERT_LE(std::abs(a - b), relative * std::abs(a) + 0.1 * relative * largest)
        << what << "\nelement " << i << ": " << b << ", expected " << a;
  }
}

void judge(const ir::Node& node, const std::map<const ir::Value*, ir::Tensor>& values, Tally& tally) {
  const std::string op(ir::name_of(node.op()));
  auto alone = isolate(node, values);
  ASSERT_TRUE(alone) << op << ": " << alone.error().to_string();
  const std::string text = ir::print(alone->graph);
  const auto expected = interp::run(alone->graph, alone->inputs);
  compile::CompileOptions options;
  for (const auto& pass : passes::all_passes()) {
    if (pass.stage != "layout" && pass.stage != "precision") options.passes.disabled.emplace(pass.name);
  }
  auto plan = compile::compile_graph(std::move(alone->graph), "random", "test", options);
  if (!plan) {
    EXPECT_EQ(plan.error().code, ErrorCode::unsupported) << text << plan.error().to_string();
    ++tally.refused[op][plan.error().message];
    return;
  }
  const auto one = run_plan(*plan, alone->inputs, 1);
  if (!expected) {
    EXPECT_FALSE(one) << text << "the interpreter says: " << expected.error().to_string();
    return;
  }
  ASSERT_TRUE(one) << text << one.error().to_string();
  double largest = 1e-30;
  for (const ir::Tensor& input : alone->inputs) largest = std::max(largest, largest_finite(input));
  for (std::size_t i = 0; i < expected->size(); ++i) expect_close((*expected)[i], (*one)[i], largest, text);
  const auto many = run_plan(*plan, alone->inputs, 3);
  ASSERT_TRUE(many);
  EXPECT_EQ(*one, *many) << "3 threads\n" << text;
  ++tally.ran[op];
}

// Grows the graphs of the seeds and judges every node of theirs.
void judge_graphs(unsigned first_seed, unsigned end_seed, Tally& tally) {
  for (unsigned seed = first_seed; seed < end_seed; ++seed) {
    ir::RandomGraph random(seed);
    random.grow(150);
    std::map<const ir::Value*, ir::Tensor> values;
    for (const ir::Value& value : random.graph.values()) {
      if (value.is_constant()) values.emplace(&value, value.constant());
    }
    std::mt19937 numbers(seed);
    for (const ir::Port& port : random.graph.inputs()) {
      auto tensor = random_tensor(*port.value, numbers);
      if (tensor) values.emplace(port.value, *std::move(tensor));
    }
    for (const ir::Node& node : random.graph.nodes()) {
      std::vector<const ir::Tensor*> operands;
      bool known = true;
      for (const ir::Value* input : node.inputs()) {
        known = known && (input == nullptr || values.contains(input));
        operands.push_back(input == nullptr || !known ? nullptr : &values.at(input));
      }
      if (!known) continue;
      auto results = interp::eval(node, operands, kSymbols);
      if (!results) continue;  // data errors; judged where they come up alone
      for (std::size_t i = 0; i < results->size(); ++i) values.emplace(node.output(i), (*results)[i]);
      judge(node, values, tally);
      if (testing::Test::HasFatalFailure()) {
        FAIL() << "seed " << seed;
      }
    }
  }
}

void tell(const Tally& tally) {
  int ran = 0;
  for (const auto& [op, count] : tally.ran) ran += count;
  std::string refused;
  for (const auto& [op, reasons] : tally.refused) {
    for (const auto& [reason, count] : reasons) refused += fmt::format("\n  {} x{}: {}", op, count, reason);
  }
  fmt::print("{} nodes of {} ops ran; refused:{}\n", ran, tally.ran.size(), refused.empty() ? " none" : refused);
}

TEST(RandomNodes, AgreeWithTheInterpreter) {
  Tally tally;
  judge_graphs(0, 4, tally);
  tell(tally);
  EXPECT_GT(tally.ran.size(), 30u);
}

TEST(RandomNodesSlow, AgreeWithTheInterpreter) {
  Tally tally;
  judge_graphs(4, 30, tally);
  tell(tally);
  EXPECT_GT(tally.ran.size(), 40u);
}

}  // namespace
}  // namespace intaglio
