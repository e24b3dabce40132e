// The fused kernels compute in f32. What comes in another floating dtype is written out with ops that take it:
// Before:  %y = attention(%q, %k, %v, %mask)   (f16)             After:  attention between casts to f32 and back
// Before:  %y = attention(%q, %k, %v, %mask)   (bf16, %mask too)         After:  attention with a cast of %mask to f32
// Before:  %y = linear(%x, %w, %b, %r)         (f64, or %w not constant)  After:  matmul, add, activation, add
// Before:  %y = linear(%x, %w, %b)             (f16 or bf16, %b too)      After:  linear with a cast of %b to f32
// Before:  %y = quantize(%x, %s, %z)           (not f32)         After:  quantize after casts to f32
// Before:  %y = dequantize(%x, %s, %z)         (not f32)         After:  a cast of the f32 dequantize
// Each is reported as a near miss of its family: it runs, but not in the fused form.
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> expand_other_dtypes(ir::Graph& graph, PassContext& context);

namespace {

// Adds nodes before the one that is being replaced; the first error sticks.
class Writer {
 public:
  Writer(ir::Graph& graph, ir::Node& before) : graph_(graph), before_(before) {}

  ir::Value* add(ir::Op op, std::vector<ir::Value*> inputs, ir::Attrs attrs = {}) {
    if (!status_) return nullptr;
    auto value = graph_.add1({op, std::move(inputs), std::move(attrs), before_.origin(), before_.output()->name(), {}},
                             &before_);
    if (value) return *value;
    status_ = fail(std::move(value).error());
    return nullptr;
  }
  ir::Value* cast(ir::Value* value, DType to) {
    if (value == nullptr || value->dtype() == to || !is_floating(value->dtype())) return value;
    return add(ir::Op::cast, {value}, {{"to", to}});
  }
  // The replacement takes over; false if anything failed.
  Status finish(ir::Value* value) {
    if (!status_) return status_;
    graph_.replace_all_uses(before_.output(), value);
    graph_.erase(&before_);
    return {};
  }

 private:
  ir::Graph& graph_;
  ir::Node& before_;
  Status status_;
};

ir::Value* activated(Writer& write, ir::Value* x, const std::string& activation) {
  if (activation == "none" || x == nullptr) return x;
  if (activation == "gelu_tanh") return write.add(ir::Op::gelu, {x}, {{"approximate", std::string("tanh")}});
  const auto op = ir::parse_op(activation);  // relu, gelu, silu, sigmoid, tanh are ops of the same names
  return op ? write.add(*op, {x}) : x;
}

Status expand_linear(ir::Graph& graph, ir::Node& node) {
  Writer write(graph, node);
  ir::Value* weight = node.input(1);
  if (node.attrs().b("transposed")) weight = write.add(ir::Op::transpose, {weight}, {{"perm", ir::Ints{1, 0}}});
  ir::Value* y = write.add(ir::Op::matmul, {node.input(0), weight});
  if (node.input(2) != nullptr) y = write.add(ir::Op::add, {y, write.cast(node.input(2), node.output()->dtype())});
  y = activated(write, y, node.attrs().s("activation"));
  const ir::Op join = node.attrs().s("residual_op") == "mul" ? ir::Op::mul : ir::Op::add;
  if (node.input(3) != nullptr) y = write.add(join, {y, node.input(3)});
  return write.finish(y);
}

// Floating operands as f32, the op, and its result as what it was.
Status through_f32(ir::Graph& graph, ir::Node& node, ir::Attrs attrs) {
  Writer write(graph, node);
  std::vector<ir::Value*> inputs;
  for (ir::Value* input : node.inputs()) inputs.push_back(write.cast(input, DType::f32));
  ir::Value* y = write.add(node.op(), std::move(inputs), std::move(attrs));
  return write.finish(write.cast(y, node.output()->dtype()));
}

bool other_float(const ir::Value* value) {
  return value != nullptr && is_floating(value->dtype()) && value->dtype() != DType::f32;
}

// Kernels add the bias of a linear and the mask of an attention in f32.
Result<bool> widen(ir::Graph& graph, ir::Node& node, std::size_t operand) {
  ir::Value* value = node.input(operand);
  if (!other_float(value)) return false;
  ir::NodeSpec cast{ir::Op::cast, {value}, {{"to", DType::f32}}, node.origin(), value->name(), {}};
  INTAGLIO_TRY(ir::Value * wide, graph.add1(std::move(cast), &node));
  graph.set_input(&node, operand, wide);
  return true;
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& node) {
  const auto report = [&](const ir::Value* value) {
    context.near_miss(ir::name_of(node.op()), node,
                      "there is no " + std::string(name_of(value->dtype())) + " kernel of it; it runs in parts");
  };
  switch (node.op()) {
    case ir::Op::linear: {
      const bool constant = node.input(1)->is_constant() && (node.input(2) == nullptr || node.input(2)->is_constant());
      if (constant && node.output()->dtype() != DType::f64) return widen(graph, node, 2);
      if (constant)
        report(node.output());
      else
        context.near_miss("linear", node, "the weight or the bias is not constant");
      INTAGLIO_CHECK(expand_linear(graph, node));
      return true;
    }
    case ir::Op::attention:
    case ir::Op::attention_packed:
      if (!other_float(node.input(0)) || node.output()->dtype() == DType::f64) return false;
      if (node.input(0)->dtype() == DType::bf16) return widen(graph, node, node.op() == ir::Op::attention ? 3 : 1);
      report(node.input(0));
      INTAGLIO_CHECK(through_f32(graph, node, node.attrs()));
      return true;
    case ir::Op::quantize:
    case ir::Op::dequantize:
      if (!other_float(node.input(0)) && !other_float(node.input(1))) return false;
      report(other_float(node.input(0)) ? node.input(0) : node.input(1));
      INTAGLIO_CHECK(through_f32(graph, node, node.attrs()));
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<int> expand_other_dtypes(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
