// Before:  %y = add(linear(%x, ...), %r)  (%r of the same shape)     After:  %y = linear(%x, ..., %r)
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> fuse_linear_residual(ir::Graph& graph, PassContext& context);

namespace {

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& add) {
  if (add.op() != ir::Op::add) return false;
  for (std::size_t i = 0; i < 2; ++i) {
    ir::Node* linear = made_by(add.input(i), ir::Op::linear);
    if (linear == nullptr) linear = made_by(add.input(i), ir::Op::quantized_linear);
    ir::Value* residual = add.input(1 - i);
    if (linear == nullptr || residual == linear->output()) continue;
    const std::size_t slot = linear->op() == ir::Op::linear ? 3 : 7;
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
  return false;
}

}  // namespace

Result<int> fuse_linear_residual(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
