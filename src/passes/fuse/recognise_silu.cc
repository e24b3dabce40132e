// Before:  %y = mul(%x, sigmoid(%x))      After:  %y = silu(%x)
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> recognise_silu(ir::Graph& graph, PassContext& context);

namespace {

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& mul) {
  if (mul.op() != ir::Op::mul) return false;
  for (std::size_t i = 0; i < 2; ++i) {
    const ir::Node* sigmoid = made_by(mul.input(i), ir::Op::sigmoid);
    if (sigmoid == nullptr || sigmoid->input(0) != mul.input(1 - i)) continue;
    INTAGLIO_CHECK(
        replace(graph, context, "silu", mul, {ir::Op::silu, {sigmoid->input(0)}, {}, merge_origins({sigmoid, &mul})}));
    return true;
  }
  return false;
}

}  // namespace

Result<int> recognise_silu(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
