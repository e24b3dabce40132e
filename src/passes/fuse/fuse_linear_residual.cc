// Before:  %y = add(linear(%x, ...), %r)  (%r of the same shape)     After:  %y = linear(%x, ..., %r)
// Before:  %y = add(linear(%a, ..., linear(%b, ...)), %r)            After:  %y = linear(%a, ..., linear(%b, ..., %r))
// The second is the layer of GPT-J, attention + feed-forward + input: one f32 sum is associated in another way, which
// moves a result by the roundings of two additions; either order is as good as the other.
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> fuse_linear_residual(ir::Graph& graph, PassContext& context);

namespace {

ir::Node* linear_of(const ir::Value* value) {
  ir::Node* linear = made_by(value, ir::Op::linear);
  return linear != nullptr ? linear : made_by(value, ir::Op::quantized_linear);
}

std::size_t slot_of(const ir::Node& linear) {
  return linear.op() == ir::Op::linear ? 3 : 7;
}

// A linear that may still take a residual, and whose result only one node reads.
bool takes_residual(const ir::Node* linear) {
  return linear != nullptr && linear->input(slot_of(*linear)) == nullptr && linear->output()->has_one_use();
}

// The linear again, before `before`, with a residual.
Result<ir::Value*> with_residual(ir::Graph& graph, const ir::Node& linear, ir::Value* residual, ir::Node& before) {
  std::vector<ir::Value*> inputs(linear.inputs().begin(), linear.inputs().end());
  inputs.resize(slot_of(linear) + 1, nullptr);
  inputs[slot_of(linear)] = residual;
  const std::string& name = linear.output()->name();
  return graph.add1({linear.op(), std::move(inputs), linear.attrs(), merge_origins({&linear, &before}), name, {}},
                    &before);
}

// The second form of the head of this file.
Result<bool> push_down(ir::Graph& graph, PassContext& context, ir::Node& add) {
  for (std::size_t i = 0; i < 2; ++i) {
    const ir::Node* outer = linear_of(add.input(i));
    ir::Value* residual = add.input(1 - i);
    if (outer == nullptr || outer->attrs().s("residual_op") != "add" || !outer->output()->has_one_use()) continue;
    const ir::Node* inner = linear_of(outer->input(slot_of(*outer)));
    if (!takes_residual(inner) || !same_shape(residual, add.output()) || !same_shape(inner->output(), residual))
      continue;
    if (!is_floating(add.output()->dtype()) || size_of(add.output()->dtype()) < 4) continue;
    INTAGLIO_TRY(ir::Value * sum, with_residual(graph, *inner, residual, add));
    std::vector<ir::Value*> inputs(outer->inputs().begin(), outer->inputs().end());
    inputs[slot_of(*outer)] = sum;
    INTAGLIO_CHECK(replace(graph, context, "linear_residual", add,
                           {outer->op(), std::move(inputs), outer->attrs(), merge_origins({outer, &add})}));
    return true;
  }
  return false;
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& add) {
  if (add.op() != ir::Op::add) return false;
  for (std::size_t i = 0; i < 2; ++i) {
    ir::Node* linear = linear_of(add.input(i));
    ir::Value* residual = add.input(1 - i);
    if (linear == nullptr || residual == linear->output()) continue;
    const std::size_t slot = slot_of(*linear);
    const auto miss = [&](std::string_view why) { context.near_miss("linear_residual", add, why); };
    if (linear->input(slot) != nullptr) continue;  // the other operand may still fit
    if (!linear->output()->has_one_use()) {
      miss("the product without residual is used elsewhere too");
      continue;
    }
    if (!same_shape(residual, add.output()) || !same_shape(linear->output(), add.output())) {
      miss("the residual would be broadcast: " + to_string(residual->type()));
      continue;
    }
    std::vector<ir::Value*> inputs(linear->inputs().begin(), linear->inputs().end());
    inputs.resize(slot + 1, nullptr);
    inputs[slot] = residual;
    INTAGLIO_CHECK(replace(graph, context, "linear_residual", add,
                           {linear->op(), std::move(inputs), linear->attrs(), merge_origins({linear, &add})}));
    return true;
  }
  return push_down(graph, context, add);
}

}  // namespace

Result<int> fuse_linear_residual(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
