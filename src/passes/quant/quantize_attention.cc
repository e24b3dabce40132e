// Before:  %y = attention_packed(%qkv, %mask)                    (f32 or bf16; --quantize dynamic; attention too)
// After:   %y = attention_packed(%qkv, %mask) {compute="int8"}
// Rows of q and k, and v, are quantised inside; the softmax and the result stay in floating point.
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> quantize_attention(ir::Graph& graph, PassContext& context);

namespace {

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& node) {
  if (node.op() != ir::Op::attention && node.op() != ir::Op::attention_packed) return false;
  if (node.attrs().s("compute") != "float") return false;
  const DType dtype = node.input(0)->dtype();
  if (dtype != DType::f32 && dtype != DType::bf16) {
    context.kept_float("the model computes it in another dtype than f32", node);
    return false;
  }
  ir::Attrs attrs = node.attrs();
  attrs.set("compute", std::string("int8"));
  std::vector<ir::Value*> inputs(node.inputs().begin(), node.inputs().end());
  INTAGLIO_CHECK(
      replace(graph, context, "int8_attention", node, {node.op(), std::move(inputs), std::move(attrs), node.origin()}));
  return true;
}

}  // namespace

Result<int> quantize_attention(ir::Graph& graph, PassContext& context) {
  if (context.options().precision.quantize == Quantize::none) return 0;
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
