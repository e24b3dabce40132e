// Before:  %a = reshape(%q) {[b*h, s, d]};  %b = reshape(%k) {[b*h, d, t]}      After:  %y = matmul(%q, %k)
//          %p = matmul(%a, %b)
//          %y = reshape(%p) {[b, h, s, t]}
// Core ATen writes batched products as bmm on merged dims; attention is recognised on the dims that the model means.
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> lift_matmul_over_reshape(ir::Graph& graph, PassContext& context);

namespace {

// The value before a reshape that only merges the dims before the last two.
ir::Value* unmerged(ir::Value* value) {
  const ir::Node* reshape = made_by(value, ir::Op::reshape);
  if (reshape == nullptr || value->rank() != 3 || reshape->input(0)->rank() < 3) return nullptr;
  const Dims& before = reshape->input(0)->shape();
  const bool kept = before[before.size() - 2] == value->shape()[1] && before[before.size() - 1] == value->shape()[2];
  return kept ? reshape->input(0) : nullptr;
}

Dims leading(const Dims& shape) {
  return Dims(shape.begin(), shape.end() - 2);
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& last) {
  if (last.op() != ir::Op::reshape) return false;
  ir::Node* matmul = made_by(last.input(0), ir::Op::matmul);
  if (matmul == nullptr || !matmul->output()->has_one_use()) return false;
  ir::Value* a = unmerged(matmul->input(0));
  ir::Value* b = unmerged(matmul->input(1));
  if (a == nullptr || b == nullptr || leading(a->shape()) != leading(b->shape())) return false;
  Dims wanted = leading(a->shape());
  wanted.push_back(matmul->output()->shape()[1]);
  wanted.push_back(matmul->output()->shape()[2]);
  if (wanted != last.output()->shape()) return false;
  INTAGLIO_CHECK(replace(graph, context, "matmul_without_reshapes", last,
                         {ir::Op::matmul, {a, b}, {}, merge_origins({matmul, &last})}));
  return true;
}

}  // namespace

Result<int> lift_matmul_over_reshape(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
