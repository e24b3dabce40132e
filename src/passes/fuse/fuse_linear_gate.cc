// Before:  %y = mul(%g, linear(%x, %w, %b))  (%g of the same shape)     After:  %y = linear(%x, %w, %b, %g)
// {residual_op="mul"} The gated feed-forward layers: %g is silu(linear) of Llama, gelu(linear) of GLU variants; its
// activation is in its own linear's epilogue already. Where both factors are such products, the one without an
// activation takes the other. Exact: the same product of the same rounded values.
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> fuse_linear_gate(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "linear_gate";

// Which operand of the product takes the other one, or nullopt: 1 before 0, one without an activation before others.
std::optional<std::size_t> choose(const ir::Node& mul) {
  std::optional<std::size_t> chosen;
  for (std::size_t i = 0; i < 2; ++i) {
    const ir::Node* linear = linear_of(mul.input(i));
    if (linear == nullptr || linear->input(residual_slot(*linear)) != nullptr) continue;
    if (!chosen || linear->attrs().s("activation") == "none") chosen = i;
  }
  return chosen;
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& mul) {
  if (mul.op() != ir::Op::mul || mul.input(0) == mul.input(1)) return false;
  const auto index = choose(mul);
  if (!index) return false;
  ir::Node* linear = linear_of(mul.input(*index));
  ir::Value* gate = mul.input(1 - *index);
  if (splat_value(gate) || gate->is_constant()) return false;  // a scale or a gain
  if (!linear->output()->has_one_use()) {
    context.near_miss(kPattern, mul, "the product before the gate is used elsewhere too");
    return false;
  }
  if (!same_shape(gate, mul.output()) || !same_shape(linear->output(), mul.output())) {
    context.near_miss(kPattern, mul, "the gate would be broadcast: " + to_string(gate->type()));
    return false;
  }
  ir::Attrs attrs = linear->attrs();
  attrs.set("residual_op", std::string("mul"));
  INTAGLIO_CHECK(
      replace(graph, context, kPattern, mul,
              {linear->op(), with_residual(*linear, gate), std::move(attrs), merge_origins({linear, &mul})}));
  return true;
}

}  // namespace

Result<int> fuse_linear_gate(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
