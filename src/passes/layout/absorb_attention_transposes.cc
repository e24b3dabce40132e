// Before:  %q = transpose(%a) {perm=[0,2,1,3]}   (also %k, %v)      After:  %z = attention(%a, %b, %c, %mask)
// {layout="bshd"}
//          %y = attention(%q, %k, %v, %mask) {layout="bhsd"}
//          %z = transpose(%y) {perm=[0,2,1,3]}
// Projections write [batch, seq, heads, d] and attention reads it in place, so four copies disappear. An operand that
// is not such a transpose would need one: only done when it pays (at least two of q, k, v and the output are
// transposed).
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> absorb_attention_transposes(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "attention_layout";
const ir::Ints kSwap{0, 2, 1, 3};

// A transpose of heads and positions.
bool is_swap(const ir::Node* node) {
  return node != nullptr && node->op() == ir::Op::transpose && node->attrs().ints("perm") == kSwap;
}

Result<ir::Value*> swapped(ir::Graph& graph, ir::Value* value, ir::Node& before) {
  if (is_swap(value->producer())) return value->producer()->input(0);
  return graph.add1({ir::Op::transpose, {value}, {{"perm", kSwap}}, before.origin(), value->name(), {}}, &before);
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& node) {
  if (node.op() != ir::Op::attention || node.attrs().s("layout") != "bhsd") return false;
  int swaps = 0;
  for (std::size_t i = 0; i < 3; ++i) swaps += is_swap(node.input(i)->producer()) ? 1 : 0;
  ir::Node* after = only_user(node.output(), ir::Op::transpose);
  const bool output_swapped = is_swap(after);
  swaps += output_swapped ? 1 : 0;
  if (swaps == 0) return false;
  if (swaps < 3) {
    context.near_miss(kPattern, node, "only " + std::to_string(swaps) + " of q, k, v and the output are transposed");
    return false;
  }
  std::vector<ir::Value*> inputs(node.inputs().begin(), node.inputs().end());
  for (std::size_t i = 0; i < 3; ++i) {
    INTAGLIO_TRY(inputs[i], swapped(graph, inputs[i], node));
  }
  ir::Attrs attrs = node.attrs();
  attrs.set("layout", std::string("bshd"));
  ir::NodeSpec spec{ir::Op::attention, std::move(inputs), std::move(attrs), node.origin(), node.output()->name(), {}};
  INTAGLIO_TRY(ir::Node * attention, graph.add(std::move(spec), &node));
  INTAGLIO_TRY(ir::Value * back,
               graph.add1({ir::Op::transpose, {attention->output()}, {{"perm", kSwap}}, node.origin(), {}, {}}, &node));
  graph.replace_all_uses(node.output(), back);
  graph.erase(&node);
  context.applied(kPattern, *attention);
  return true;
}

}  // namespace

Result<int> absorb_attention_transposes(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
