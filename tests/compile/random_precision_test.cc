// Random small nets in bf16 and with dynamic quantisation. Every step of the plan is judged on the very operands that
// it got: by the interpreter's answer for its node, within what the step's own roundings may do. And the rewriting to
// bf16 must not change what a net computes: with weights that bf16 holds exactly, both graphs agree in float64.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>

#include "base/half.h"
#include "compile/compile.h"
#include "interp/interp.h"
#include "ir/builder.h"
#include "ir/text.h"
#include "plan/context.h"

namespace intaglio {
namespace {

using ir::Op;

// A chain of the ops that transformers are made of, with residuals, on rows of 32, 48 or 64.
class RandomNet {
 public:
  explicit RandomNet(unsigned seed) : random_(seed), builder_(graph) {
    const auto width = static_cast<std::int64_t>(16 * (2 + pick(3)));
    shape_ = {static_cast<std::int64_t>(1 + pick(3)), static_cast<std::int64_t>(1 + pick(20)), width};
    ir::Value* x = graph.add_input("x", {DType::f32, {shape_[0], shape_[1], width}});
    for (std::size_t blocks = 2 + pick(5); blocks > 0; --blocks) x = block(x);
    graph.add_output("y", x);
    ir::Value* hidden = linear(x, 24 + static_cast<std::int64_t>(pick(80)));
    graph.add_output("hidden", hidden);
  }

  ir::Tensor input() {
    std::normal_distribution<float> normal;
    std::vector<float> values(static_cast<std::size_t>(shape_[0] * shape_[1] * shape_[2]));
    for (float& value : values) value = normal(random_);
    return *ir::Tensor::from<float>(shape_, values);
  }

  ir::Graph graph;

 private:
  std::size_t pick(std::size_t n) { return random_() % n; }
  std::int64_t width(const ir::Value* x) const { return *x->shape().back().constant(); }

  // Weights that bf16 holds exactly.
  ir::Value* weight(Shape shape, float mean, float deviation) {
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<float> values(static_cast<std::size_t>(*element_count(shape)));
    for (float& value : values) value = to_float(to_bfloat16(normal(random_)));
    return *builder_.constant(ir::Tensor::from<float>(shape, values));
  }

  ir::Value* linear(ir::Value* x, std::int64_t n, ir::Value* residual = nullptr, bool plain = false) {
    const std::int64_t k = width(x);
    const bool transposed = pick(2) == 0;
    const float deviation = 1 / std::sqrt(static_cast<float>(k));
    std::vector<ir::MaybeValue> inputs{x, weight(transposed ? Shape{n, k} : Shape{k, n}, 0, deviation)};
    inputs.push_back(pick(3) == 0 ? nullptr : weight({n}, 0, 0.1f));
    if (residual != nullptr) inputs.push_back(residual);
    static const char* const kActivations[] = {"none", "relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh"};
    return *builder_.op(Op::linear, inputs,
                        {{"transposed", transposed}, {"activation", std::string(kActivations[plain ? 0 : pick(7)])}});
  }

  ir::Value* attention(ir::Value* x) {
    const std::int64_t heads = 2, d = width(x) / heads;
    const Dims split{shape_[0], shape_[1], heads, d};
    ir::Value* parts[3];
    const bool plain = pick(3) != 0;  // become one linear
    for (ir::Value*& part : parts) part = *builder_.reshape(linear(x, width(x), nullptr, plain), split);
    ir::Value* y = *builder_.op(
        Op::attention, {parts[0], parts[1], parts[2]},
        {{"layout", std::string("bshd")}, {"scale", 1 / std::sqrt(static_cast<double>(d))}, {"causal", pick(2) == 0}});
    return *builder_.reshape(y, {shape_[0], shape_[1], width(x)});
  }

  ir::Value* block(ir::Value* x) {
    switch (pick(6)) {
      case 0:
        return linear(linear(x, 40 + static_cast<std::int64_t>(pick(60))), width(x), x);
      case 1:
        return *builder_.add(attention(x), x);
      case 2:
        return *builder_.op(Op::rms_norm, {x, weight({width(x)}, 1, 0.1f)}, {{"axis", std::int64_t{2}}});
      case 3:
        return *builder_.mul(linear(x, width(x)), *builder_.sigmoid(linear(x, width(x))));
      case 4:
        return *builder_.op(pick(2) == 0 ? Op::gelu : Op::silu, {linear(x, width(x))});
      default:
        return *builder_.layer_norm(x, weight({width(x)}, 1, 0.1f), weight({width(x)}, 0, 0.1f), 2, 1e-5);
    }
  }

  std::mt19937 random_;
  ir::Builder builder_;
  Shape shape_;
};

double largest(const ir::Tensor& tensor) {
  double most = 0;
  for (std::int64_t i = 0; i < tensor.element_count(); ++i) most = std::max(most, std::abs(tensor.as_double(i)));
  return most;
}

// What the roundings inside one step may do to an element of its result: of sums of K products in float, of the result
// to its dtype, and what the op's own contract leaves open.
struct Bound {
  double relative = 0, absolute = 0;
};

// The interpreter multiplies floats. Codes of q and k are off by 1/254 of their rows' largest, so scores by `score` and
// probabilities by e^(2 score) relatively; v by 1/254; and each byte of the probabilities by half a step of 255.
double bound_of_int8(const ir::Node& node, const ir::Tensor& q, double largest_value) {
  const bool packed = node.op() == Op::attention_packed;
  const bool bhsd = !packed && node.attrs().s("layout") == "bhsd";
  const std::int64_t heads = packed ? node.attrs().i("heads") + 2 * node.attrs().i("kv_heads") : 1;
  const auto depth = static_cast<double>(q.shape.back() / heads);
  const auto keys = static_cast<double>(q.shape[bhsd ? 2 : 1]);
  const double score =
      node.attrs().f("scale") * depth * largest_value * largest_value * (2.0 / 254 + 1.0 / (254 * 254));
  return largest_value * (std::expm1(2 * score) + 1.0 / 254 + keys / 255);
}

Bound bound_of(const ir::Node& node, const std::vector<const ir::Tensor*>& operands, DType dtype) {
  // A float next to the middle of two bf16 numbers may go to either: they are up to 2^-7 of it apart.
  constexpr double kFloat = 0x1p-24, kBf16 = 0x1p-7;
  const double relative = dtype == DType::bf16 ? kBf16 : 4 * kFloat;
  double inside = 0;
  for (const ir::Tensor* operand : operands) {
    if (operand != nullptr && is_floating(operand->dtype)) inside = std::max(inside, largest(*operand));
  }
  const double all = std::max(1.0, inside);
  switch (node.op()) {
    case Op::linear: {
      const auto k = static_cast<double>(operands[0]->shape.back());
      return {relative, 2 * k * kFloat * largest(*operands[0]) * largest(*operands[1]) + 8 * kFloat * all};
    }
    case Op::quantized_linear: {
      // A float on the border of two codes may become either: one code of one element, times the largest weight.
      const double step = operands[2] == nullptr ? 2 * largest(*operands[0]) / 255 : 0;
      return {relative, 1.01 * step * largest(*operands[4]) * 127 + 16 * kFloat * all};
    }
    case Op::attention:
    case Op::attention_packed:
      if (node.attrs().s("compute") == "int8") return {relative, bound_of_int8(node, *operands[0], inside)};
      // Scores are off by some 2 D eps of their size, probabilities by as much relatively, and may be rounded to the
      // dtype.
      return {relative, (dtype == DType::bf16 ? 2 * kBf16 : 0x1p-16) * inside};
    default:
      return {relative, 64 * kFloat * all};
  }
}

class StepJudge {
 public:
  StepJudge(const ir::Graph& graph, const plan::Plan& plan, plan::Context& context)
      : graph_(graph), plan_(plan), context_(context) {
    for (plan::ValueId id = 0; id < plan.values.size(); ++id) ids_.emplace(plan.values[id].name, id);
  }

  void judge(std::uint32_t step) {
    for (const ir::Node& node : graph_.nodes()) {
      if (node.output()->name() == plan_.values[plan_.steps[step].outputs[0]].name || wrote(step, node)) {
        return judge_node(node);
      }
    }
    ADD_FAILURE() << "step " << step << " has no node";
  }
  int judged = 0;

 private:
  bool wrote(std::uint32_t step, const ir::Node& node) const {
    const auto& outputs = plan_.steps[step].outputs;
    return std::ranges::any_of(node.outputs(), [&](const ir::Value* value) {
      const auto found = ids_.find(value->name());
      return found != ids_.end() && std::ranges::find(outputs, found->second) != outputs.end();
    });
  }

  Shape shape_of(const ir::Value& value) const { return *constant_values(value.shape()); }

  void judge_node(const ir::Node& node) {
    std::vector<ir::Tensor> kept(node.inputs().size());
    std::vector<const ir::Tensor*> operands(kept.size(), nullptr);
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const ir::Value* value = node.input(i);
      if (value == nullptr) continue;
      kept[i] = value->is_constant() ? value->constant() : before_.at(value);
      operands[i] = &kept[i];
    }
    const auto exact = interp::eval(node, operands, {});
    ASSERT_TRUE(exact) << exact.error().to_string();
    for (std::size_t o = 0; o < exact->size(); ++o) {
      const auto id = ids_.find(node.output(o)->name());
      if (id == ids_.end()) continue;  // nobody reads it
      const auto bytes = context_.value_bytes(id->second);
      const ir::Tensor& wanted = (*exact)[o];
      ASSERT_EQ(bytes.size(), wanted.bytes);
      const ir::Tensor got = *ir::Tensor::copy_of(wanted.dtype, wanted.shape, bytes);
      const Bound bound = bound_of(node, operands, wanted.dtype);
      for (std::int64_t i = 0; i < got.element_count(); ++i) {
        const double a = got.as_double(i), b = wanted.as_double(i);
        if (!is_floating(wanted.dtype)) {
          ASSERT_LE(std::abs(a - b), 1) << ir::name_of(node.op());  // a float next to the border of two codes
          continue;
        }
        ASSERT_LE(std::abs(a - b), bound.relative * std::abs(b) + bound.absolute)
            << ir::name_of(node.op()) << " element " << i << ": " << a << ", the interpreter says " << b;
      }
      remember(node.output(o), got);
    }
    ++judged;
  }

  // The bytes as they are now: later steps may write over them. Reshapes of them are the same bytes.
  void remember(const ir::Value* value, const ir::Tensor& tensor) {
    before_[value] = tensor;
    for (const ir::Use& use : value->uses()) {
      if (use.node == nullptr || use.node->op() != Op::reshape) continue;
      ir::Tensor view = tensor;
      view.shape = shape_of(*use.node->output());
      remember(use.node->output(), view);
    }
  }

 public:
  void input(const ir::Tensor& tensor) { remember(graph_.inputs()[0].value, tensor); }

 private:
  const ir::Graph& graph_;
  const plan::Plan& plan_;
  plan::Context& context_;
  std::map<std::string, plan::ValueId> ids_;
  std::map<const ir::Value*, ir::Tensor> before_;
};

using Bytes = std::vector<std::vector<std::byte>>;

Bytes memory_for(const plan::BoundPlan& bound, std::vector<plan::OutputView>& views) {
  Bytes bytes;
  for (const std::size_t size : bound.output_bytes) bytes.emplace_back(size);
  for (auto& one : bytes) views.push_back({one.data(), one.size()});
  return bytes;
}

// The process keeps a shared pool only while somebody holds it.
std::shared_ptr<threads::Pool> pool_of(int threads) {
  static std::map<int, std::shared_ptr<threads::Pool>> pools;
  if (!pools[threads]) pools[threads] = *threads::shared_pool({.threads = threads});
  return pools[threads];
}

void judge_net(unsigned seed, const passes::Precision& precision, int& steps) {
  RandomNet net(seed);
  const ir::Tensor x = net.input();
  compile::CompileOptions options;
  options.passes.precision = precision;
  ir::Graph lowered = ir::clone(net.graph);
  passes::PassContext passes_context(options.passes);
  ASSERT_TRUE(passes::run_passes(lowered, passes_context));  // the names are those of the plan's graph
  const auto plan = compile::compile_graph(ir::clone(net.graph), "net", "test", options);
  ASSERT_TRUE(plan) << ir::print(net.graph) << plan.error().to_string();

  const std::vector<plan::InputView> inputs{{x.data, x.dtype, x.shape}};
  const std::vector<Shape> shapes{x.shape};
  Bytes first;
  for (const int threads : {1, 2, 3, 4}) {
    plan::Context context(*plan, {.pool = pool_of(threads)});
    const auto bound = context.prepare(shapes);
    ASSERT_TRUE(bound) << bound.error().to_string();
    std::vector<plan::OutputView> views;
    const Bytes bytes = memory_for(**bound, views);
    if (threads == 1) {
      StepJudge judge(lowered, **plan, context);
      judge.input(x);
      ASSERT_TRUE(context.run_observed(inputs, views, [&](std::uint32_t step) {
        if (!testing::Test::HasFatalFailure()) judge.judge(step);
      }));
      steps += judge.judged;
      first = bytes;
    } else {
      ASSERT_TRUE(context.run(inputs, views));
      EXPECT_EQ(first, bytes) << threads << " threads";
    }
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed << "\n" << ir::print(lowered);
  }
  if (precision.quantize != passes::Quantize::none) return;
  const interp::Options f64{interp::Precision::f64};
  const auto before = interp::run(net.graph, {{x}}, f64), after = interp::run(lowered, {{x}}, f64);
  ASSERT_TRUE(before && after);
  for (std::size_t o = 0; o < before->size(); ++o) {
    const ir::Tensor &a = (*before)[o], &b = (*after)[o];
    const double allowed = 1e-9 * std::max(1.0, largest(a));
    for (std::int64_t i = 0; i < a.element_count(); ++i)
      ASSERT_NEAR(a.as_double(i), b.as_double(i), allowed) << "seed " << seed;
  }
}

void judge_nets(unsigned first, unsigned end) {
  const passes::Precision precisions[] = {
      {},
      {.dtype = DType::bf16},
      {.quantize = passes::Quantize::dynamic},
      {.dtype = DType::bf16, .quantize = passes::Quantize::dynamic},
      {.quantize = passes::Quantize::dynamic, .activations = passes::Activations::tensor},
  };
  int steps = 0;
  for (unsigned seed = first; seed < end; ++seed) {
    for (const passes::Precision& precision : precisions) {
      judge_net(seed, precision, steps);
      if (testing::Test::HasFailure()) return;
    }
  }
  fmt::print("{} steps of {} nets judged\n", steps, (end - first) * std::size(precisions));
}

TEST(RandomPrecision, StepsDoWhatTheInterpreterSays) {
  judge_nets(0, 20);
}

TEST(RandomPrecisionSlow, StepsDoWhatTheInterpreterSays) {
  judge_nets(20, 400);
}

}  // namespace
}  // namespace intaglio
