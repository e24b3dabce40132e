// Before:  %y = layer_norm(%x, %g, %b)                                 (over the last axis; rms_norm too)
//          %z = quantized_linear(%y, %w, ...) {dynamic="token_symmetric"}    (any number of them)
// After:   %y, %q, %s = norm_quantize(%x, %g, %b)
//          %z = quantized_linear(%q, %w, %s, 128, ...)
// The rows are quantised while they are in the first cache, once for all linears that read them. Same bits.
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> quantize_in_norm(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "quantize_in_norm";
constexpr std::uint8_t kZero = 128;  // symmetric rows are stored as u8

// The norm that writes 8-bit rows in the place of this one.
Result<ir::Node*> quantising(ir::Graph& graph, PassContext& context, ir::Node& norm) {
  ir::NodeSpec spec{ir::Op::norm_quantize,
                    {norm.input(0), norm.input(1), norm.input(2)},
                    {{"kind", std::string(norm.op() == ir::Op::rms_norm ? "rms" : "layer")},
                     {"axis", norm.attrs().i("axis")},
                     {"epsilon", norm.attrs().f("epsilon")}},
                    norm.origin(),
                    norm.output()->name(),
                    {}};
  INTAGLIO_TRY(ir::Node * added, graph.add(std::move(spec), &norm));
  graph.replace_all_uses(norm.output(), added->output(0));
  context.applied(kPattern, *added);
  graph.erase(&norm);
  return added;
}

// The norm or quantising norm whose rows this linear reads; nullptr if there is none of use.
ir::Node* norm_before(PassContext& context, const ir::Node& linear) {
  ir::Node* norm = linear.input(0)->producer();
  if (norm == nullptr) return nullptr;
  if (norm->op() == ir::Op::norm_quantize) return linear.input(0) == norm->output(0) ? norm : nullptr;
  if (norm->op() != ir::Op::layer_norm && norm->op() != ir::Op::rms_norm) return nullptr;
  if (norm->attrs().i("axis") == norm->output()->rank() - 1) return norm;
  context.near_miss(kPattern, *norm, "the norm is over more than the last axis");
  return nullptr;
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& linear) {
  if (linear.op() != ir::Op::quantized_linear || linear.attrs().s("dynamic") != "token_symmetric") return false;
  ir::Node* norm = norm_before(context, linear);
  if (norm == nullptr) return false;
  if (norm->op() != ir::Op::norm_quantize) {
    INTAGLIO_TRY(norm, quantising(graph, context, *norm));
  }
  std::vector<ir::Value*> inputs(linear.inputs().begin(), linear.inputs().end());
  INTAGLIO_TRY(ir::Tensor zero, ir::Tensor::from(Shape{1}, std::vector<std::uint8_t>{kZero}));
  inputs[0] = norm->output(1);
  inputs[2] = norm->output(2);
  inputs[3] = graph.add_constant(std::move(zero), "zero_point");
  ir::Attrs attrs = linear.attrs();
  attrs.set("dynamic", std::string("none"));
  ir::NodeSpec spec{ir::Op::quantized_linear, std::move(inputs),       std::move(attrs),
                    linear.origin(),          linear.output()->name(), {}};
  INTAGLIO_TRY(ir::Value * y, graph.add1(std::move(spec), &linear));
  graph.replace_all_uses(linear.output(), y);
  graph.erase(&linear);
  return true;
}

}  // namespace

Result<int> quantize_in_norm(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
