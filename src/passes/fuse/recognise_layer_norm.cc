// Before:  %m = reduce(%x) {kind="mean", last axes, keepdims}      After:  %y = layer_norm(%x, %gamma, %beta) {axis,
// epsilon}
//          %d = sub(%x, %m)
//          %v = reduce(%d * %d) {kind="mean", last axes, keepdims}
//          %n = %d / sqrt(%v + epsilon)        or  %d * rsqrt(...)  or  %d * reciprocal(sqrt(...))
//          %y = %n * %gamma + %beta            (either or both may be missing)
#include "passes/norm_match.h"
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> recognise_layer_norm(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "layer_norm";

// The affine part after the normalised value: the last node of the pattern and its operands.
struct Affine {
  ir::Node* last = nullptr;
  ir::Value* gamma = nullptr;
  ir::Value* beta = nullptr;
};
Affine match_affine(ir::Node& normalised, const ir::Value* x, std::int64_t axis) {
  Affine affine{&normalised, nullptr, nullptr};
  const auto fits = [&](const ir::Value* v) { return over_normalised_axes(v, x, axis); };
  if (ir::Node* mul = only_user(affine.last->output(), ir::Op::mul)) {
    if (const auto parts = split_operands(*mul, fits)) affine = {mul, parts->second, nullptr};
  }
  if (ir::Node* add = only_user(affine.last->output(), ir::Op::add)) {
    if (const auto parts = split_operands(*add, fits)) affine = {add, affine.gamma, parts->second};
  }
  return affine;
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& node) {
  const auto normalised = match_normalised(node);
  if (!normalised || !is_floating(node.output()->dtype())) return false;
  const ir::Node* sub = made_by(normalised->d, ir::Op::sub);
  if (sub == nullptr) return false;
  const ir::Node* mean = made_by(sub->input(1), ir::Op::reduce);
  const auto axis = trailing_mean(mean);
  if (!axis || mean->input(0) != sub->input(0)) return false;
  // From here on it is meant to be a layer norm.
  const auto shifted = match_epsilon(normalised->under_root);
  if (!shifted) {
    context.near_miss(kPattern, node, "no constant epsilon is added to the variance");
    return false;
  }
  const ir::Node* variance = made_by(shifted->value, ir::Op::reduce);
  if (trailing_mean(variance) != axis || !is_square_of(variance->input(0), sub->output())) {
    context.near_miss(kPattern, node, "the variance is not the mean of (x - mean)^2 over the same axes");
    return false;
  }
  ir::Value* x = sub->input(0);
  Affine affine = match_affine(node, x, *axis);
  INTAGLIO_TRY(ir::Value * gamma, trailing(graph, affine.gamma, x, *axis, *affine.last));
  INTAGLIO_TRY(ir::Value * beta, trailing(graph, affine.beta, x, *axis, *affine.last));
  ir::Attrs attrs{{"axis", *axis}, {"epsilon", shifted->epsilon}};
  const ir::Node* last = affine.last == &node ? nullptr : affine.last;
  INTAGLIO_CHECK(replace(
      graph, context, kPattern, *affine.last,
      {ir::Op::layer_norm, {x, gamma, beta}, std::move(attrs), merge_origins({mean, sub, variance, &node, last})}));
  return true;
}

}  // namespace

Result<int> recognise_layer_norm(ir::Graph& graph, PassContext& context) {
  // The affine nodes that a rewrite erases come after the visited node.
  return for_each_node_again(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
