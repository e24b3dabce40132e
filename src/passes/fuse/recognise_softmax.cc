// Before:  %m = reduce(%x) {kind="max", axes=[a], keepdims}     After:  %y = softmax(%x) {axis=a}
//          %e = exp(sub(%x, %m))
//          %s = reduce(%e) {kind="sum", axes=[a], keepdims}
//          %y = div(%e, %s)
// The form without the maximum (exp(x) / sum exp(x)) is not rewritten: it overflows where softmax does not.
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> recognise_softmax(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "softmax";

const ir::Node* reduction(const ir::Value* value, std::string_view kind) {
  const ir::Node* node = made_by(value, ir::Op::reduce);
  if (node == nullptr || node->attrs().s("kind") != kind || !node->attrs().b("keepdims")) return nullptr;
  return node->attrs().ints("axes").size() == 1 ? node : nullptr;
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& div) {
  if (div.op() != ir::Op::div) return false;
  const ir::Node* exp = made_by(div.input(0), ir::Op::exp);
  const ir::Node* sum = reduction(div.input(1), "sum");
  if (exp == nullptr || sum == nullptr || sum->input(0) != exp->output()) return false;
  const ir::Node* sub = made_by(exp->input(0), ir::Op::sub);
  const ir::Node* max = sub == nullptr ? nullptr : reduction(sub->input(1), "max");
  if (max == nullptr || max->input(0) != sub->input(0)) {
    context.near_miss(kPattern, div, "the maximum along the same axis is not subtracted before exp");
    return false;
  }
  if (max->attrs().ints("axes") != sum->attrs().ints("axes")) {
    context.near_miss(kPattern, div, "the maximum and the sum run along different axes");
    return false;
  }
  ir::Attrs attrs{{"axis", sum->attrs().ints("axes")[0]}};
  INTAGLIO_CHECK(
      replace(graph, context, kPattern, div,
              {ir::Op::softmax, {sub->input(0)}, std::move(attrs), merge_origins({max, sub, exp, sum, &div})}));
  return true;
}

}  // namespace

Result<int> recognise_softmax(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
