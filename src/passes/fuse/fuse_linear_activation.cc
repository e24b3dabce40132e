// Before:  %y = gelu(linear(%x, ...))      After:  %y = linear(%x, ...) {activation="gelu"}
// Also relu, gelu_tanh, silu, sigmoid, tanh; for linear and quantized_linear.
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> fuse_linear_activation(ir::Graph& graph, PassContext& context);

namespace {

std::string activation_of(const ir::Node& node) {
  switch (node.op()) {
    case ir::Op::relu:
      return "relu";
    case ir::Op::gelu:
      return node.attrs().s("approximate") == "tanh" ? "gelu_tanh" : "gelu";
    case ir::Op::silu:
      return "silu";
    case ir::Op::sigmoid:
      return "sigmoid";
    case ir::Op::tanh:
      return "tanh";
    default:
      return {};
  }
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& node) {
  const std::string activation = activation_of(node);
  if (activation.empty()) return false;
  ir::Node* linear = linear_of(node.input(0));
  if (linear == nullptr) return false;
  const auto miss = [&](std::string_view why) {
    context.near_miss("linear_activation", node, why);
    return false;
  };
  if (!linear->output()->has_one_use()) return miss("the value before the activation is used elsewhere too");
  if (linear->input(residual_slot(*linear)) != nullptr) return miss("a residual is added before the activation");
  if (linear->attrs().s("activation") != "none") return miss("there is an activation already");
  ir::Attrs attrs = linear->attrs();
  attrs.set("activation", activation);
  std::vector<ir::Value*> inputs(linear->inputs().begin(), linear->inputs().end());
  INTAGLIO_CHECK(replace(graph, context, "linear_activation", node,
                         {linear->op(), std::move(inputs), std::move(attrs), merge_origins({linear, &node})}));
  return true;
}

}  // namespace

Result<int> fuse_linear_activation(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
