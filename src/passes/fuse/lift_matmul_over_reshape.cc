// Before:  %a = reshape(%q) {[b*h, s, d]};  %b = reshape(%k) {[b*h, d, t]}      After:  %y = matmul(%q, %k)
//          %p = matmul(%a, %b)
//          %y = reshape(%p) {[b, h, s, t]}
// Where only one operand was [b, h, ..], the other one is reshaped to it: it has other dims before (grouped-query
// attention merges [b, kv heads, group, ..]), which passes that know them look at.
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

Dims with_leading(Dims leading, const Dims& matrix) {
  leading.insert(leading.end(), matrix.end() - 2, matrix.end());
  return leading;
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& last) {
  if (last.op() != ir::Op::reshape || last.output()->rank() < 3) return false;
  ir::Node* matmul = made_by(last.input(0), ir::Op::matmul);
  if (matmul == nullptr || !matmul->output()->has_one_use() || matmul->output()->rank() != 3) return false;
  const Dims wanted = leading(last.output()->shape());
  if (with_leading(wanted, matmul->output()->shape()) != last.output()->shape()) return false;
  std::vector<ir::Value*> operands;
  bool any = false;
  for (ir::Value* operand : matmul->inputs()) {
    ir::Value* before = unmerged(operand);
    const bool fits = before != nullptr && leading(before->shape()) == wanted;
    any = any || fits;
    // Of the same batch, not repeated along it.
    if (!fits && (before == nullptr || operand->shape()[0] != matmul->output()->shape()[0])) return false;
    operands.push_back(fits ? before : operand);
  }
  if (!any) return false;
  for (ir::Value*& operand : operands) {
    if (operand->rank() > 3 || leading(operand->shape()) == wanted) continue;
    const ir::Attrs shape{{"shape", with_leading(wanted, operand->shape())}};
    INTAGLIO_TRY(
        operand,
        graph.add1({ir::Op::reshape, {operand}, shape, operand->producer()->origin(), operand->name(), {}}, &last));
  }
  INTAGLIO_CHECK(replace(graph, context, "matmul_without_reshapes", last,
                         {ir::Op::matmul, std::move(operands), {}, merge_origins({matmul, &last})}));
  return true;
}

}  // namespace

Result<int> lift_matmul_over_reshape(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
