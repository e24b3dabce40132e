// Before:  %y = add(linear(%x, ...), %r)  (%r of the same shape)     After:  %y = linear(%x, ..., %r)
// Before:  %y = add(linear(%a, ..., linear(%b, ...)), %r)            After:  %y = linear(%a, ..., linear(%b, ..., %r))
// The second is the layer of GPT-J, attention + feed-forward + input: one f32 sum is associated in another way, which
// moves a result by the roundings of two additions; either order is as good as the other.
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> fuse_linear_residual(ir::Graph& graph, PassContext& context);

namespace {

// A linear that may still take a residual, and whose result only one node reads.
bool takes_residual(const ir::Node* linear) {
  return linear != nullptr && linear->input(residual_slot(*linear)) == nullptr && linear->output()->has_one_use();
}

// The second form of the head of this file.
Result<bool> push_down(ir::Graph& graph, PassContext& context, ir::Node& add) {
  for (std::size_t i = 0; i < 2; ++i) {
    const ir::Node* outer = linear_of(add.input(i));
    ir::Value* residual = add.input(1 - i);
    if (outer == nullptr || outer->attrs().s("residual_op") != "add" || !outer->output()->has_one_use()) continue;
    const ir::Node* inner = linear_of(outer->input(residual_slot(*outer)));
    if (!takes_residual(inner) || !same_shape(residual, add.output()) || !same_shape(inner->output(), residual))
      continue;
    if (!is_floating(add.output()->dtype()) || size_of(add.output()->dtype()) < 4) continue;
    ir::NodeSpec lower{inner->op(),
                       with_residual(*inner, residual),
                       inner->attrs(),
                       merge_origins({inner, &add}),
                       inner->output()->name(),
                       {}};
    INTAGLIO_TRY(ir::Value * sum, graph.add1(std::move(lower), &add));
    INTAGLIO_CHECK(replace(graph, context, "linear_residual", add,
                           {outer->op(), with_residual(*outer, sum), outer->attrs(), merge_origins({outer, &add})}));
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
    const auto miss = [&](std::string_view why) { context.near_miss("linear_residual", add, why); };
    if (linear->input(residual_slot(*linear)) != nullptr) continue;  // the other operand may still fit
    if (!linear->output()->has_one_use()) {
      miss("the product without residual is used elsewhere too");
      continue;
    }
    if (!same_shape(residual, add.output()) || !same_shape(linear->output(), add.output())) {
      miss("the residual would be broadcast: " + to_string(residual->type()));
      continue;
    }
    INTAGLIO_CHECK(
        replace(graph, context, "linear_residual", add,
                {linear->op(), with_residual(*linear, residual), linear->attrs(), merge_origins({linear, &add})}));
    return true;
  }
  return push_down(graph, context, add);
}

}  // namespace

Result<int> fuse_linear_residual(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
