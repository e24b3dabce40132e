// Before:  %v = reduce(%x * %x) {kind="mean", last axes, keepdims}      After:  %y = rms_norm(%x, %gamma) {axis,
// epsilon}
//          %n = %x * rsqrt(%v + epsilon)       or  %x / sqrt(...)  or  %x * reciprocal(sqrt(...))
//          %y = %n * %gamma                    (may be missing)
// 16-bit models compute it in f32:
// Before:  %x = cast(%h) {f32};  %n as above;  %y = cast(%n) {dtype of %h} * %gamma     After:  %y = rms_norm(%h,
// %gamma) which rounds once where the graph rounded the normalised value and the product.
#include "passes/norm_match.h"
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> recognise_rms_norm(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "rms_norm";

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& node) {
  const auto normalised = match_normalised(node);
  if (!normalised || !is_floating(node.output()->dtype())) return false;
  const auto shifted = match_epsilon(normalised->under_root);
  const ir::Value* mean_value = shifted ? shifted->value : normalised->under_root;
  const ir::Node* mean = made_by(mean_value, ir::Op::reduce);
  const auto axis = trailing_mean(mean);
  if (!axis) return false;
  ir::Value* x = normalised->d;
  if (!is_square_of(mean->input(0), x)) {
    // A layer norm is another pattern's business.
    if (made_by(x, ir::Op::sub) == nullptr)
      context.near_miss(kPattern, node, "what is divided by the root is not what the mean of squares is taken of");
    return false;
  }
  // A centred x belongs to a layer norm (with or without epsilon).
  const ir::Node* sub = made_by(x, ir::Op::sub);
  if (sub != nullptr && trailing_mean(made_by(sub->input(1), ir::Op::reduce)) == axis) return false;
  if (!shifted) {
    context.near_miss(kPattern, node, "no constant epsilon is added to the mean of squares");
    return false;
  }
  ir::Node* last = &node;
  const ir::Node* widen = made_by(x, ir::Op::cast);
  if (ir::Node* narrow = only_user(node.output(), ir::Op::cast);
      narrow != nullptr && widen != nullptr && widen->input(0)->dtype() == narrow->output()->dtype() &&
      is_floating(narrow->output()->dtype()) && size_of(narrow->output()->dtype()) < size_of(x->dtype())) {
    x = widen->input(0);
    last = narrow;
  }
  ir::Value* gamma = nullptr;
  if (ir::Node* mul = only_user(last->output(), ir::Op::mul)) {
    const auto parts = split_operands(*mul, [&](const ir::Value* v) { return over_normalised_axes(v, x, *axis); });
    if (parts) {
      last = mul;
      gamma = parts->second;
    }
  }
  if (!same_shape(x, last->output())) return false;  // an epsilon or a factor of higher rank
  INTAGLIO_TRY(gamma, trailing(graph, gamma, x, *axis, *last));
  ir::Attrs attrs{{"axis", *axis}, {"epsilon", shifted->epsilon}};
  const ir::Origin origin = merge_origins({mean, &node, last == &node ? nullptr : last});
  INTAGLIO_CHECK(replace(graph, context, kPattern, *last, {ir::Op::rms_norm, {x, gamma}, std::move(attrs), origin}));
  return true;
}

}  // namespace

Result<int> recognise_rms_norm(ir::Graph& graph, PassContext& context) {
  // The nodes that a rewrite erases may come after the visited node.
  return for_each_node_again(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
