// Before:  %m = reduce(%x) {kind="mean", last axes, keepdims}      After:  %y = layer_norm(%x, %gamma, %beta) {axis,
// epsilon}
//          %d = sub(%x, %m)
//          %v = reduce(%d * %d) {kind="mean", last axes, keepdims}
//          %n = %d / sqrt(%v + epsilon)        or  %d * rsqrt(...)  or  %d * reciprocal(sqrt(...))
//          %y = %n * %gamma + %beta            (either or both may be missing)
#include <algorithm>

#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> recognise_layer_norm(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "layer_norm";

// The mean over the trailing axes from `axis` on, with keepdims; the axis, or nullopt.
std::optional<std::int64_t> trailing_mean(const ir::Node* reduce) {
  if (reduce == nullptr || reduce->attrs().s("kind") != "mean" || !reduce->attrs().b("keepdims")) return std::nullopt;
  ir::Ints axes = reduce->attrs().ints("axes");
  std::sort(axes.begin(), axes.end());
  const auto rank = static_cast<std::int64_t>(reduce->input(0)->rank());
  if (axes.empty() || axes.back() != rank - 1 || axes.front() != rank - static_cast<std::int64_t>(axes.size()))
    return std::nullopt;
  return axes.front();
}

bool is_square_of(const ir::Value* value, const ir::Value* d) {
  if (const ir::Node* pow = made_by(value, ir::Op::pow)) return pow->input(0) == d && is_splat(pow->input(1), 2.0);
  const ir::Node* mul = made_by(value, ir::Op::mul);
  return mul != nullptr && mul->input(0) == d && mul->input(1) == d;
}

// d * 1/sqrt(u) in its three spellings: d and u.
struct Normalised {
  ir::Value* d = nullptr;
  ir::Value* under_root = nullptr;
};
std::optional<Normalised> match_normalised(const ir::Node& node) {
  if (node.op() == ir::Op::div) {
    const ir::Node* sqrt = made_by(node.input(1), ir::Op::sqrt);
    if (sqrt != nullptr) return Normalised{node.input(0), sqrt->input(0)};
  }
  if (node.op() != ir::Op::mul) return std::nullopt;
  for (std::size_t i = 0; i < 2; ++i) {
    if (const ir::Node* rsqrt = made_by(node.input(i), ir::Op::rsqrt))
      return Normalised{node.input(1 - i), rsqrt->input(0)};
    const ir::Node* inverse = made_by(node.input(i), ir::Op::reciprocal);
    const ir::Node* sqrt = inverse == nullptr ? nullptr : made_by(inverse->input(0), ir::Op::sqrt);
    if (sqrt != nullptr) return Normalised{node.input(1 - i), sqrt->input(0)};
  }
  return std::nullopt;
}

// A tensor over the normalised axes only: trailing dims equal to those of x, leading dims absent or 1.
bool over_normalised_axes(const ir::Value* value, const ir::Value* x, std::int64_t axis) {
  const int normalised = x->rank() - static_cast<int>(axis);
  if (value == nullptr || !value->is_constant() || value->rank() < normalised || value->rank() > x->rank())
    return false;
  for (int i = 1; i <= value->rank(); ++i) {
    const Dim& dim = value->shape()[static_cast<std::size_t>(value->rank() - i)];
    const Dim& wanted = i <= normalised ? x->shape()[static_cast<std::size_t>(x->rank() - i)] : Dim(1);
    if (dim != wanted) return false;
  }
  return true;
}

// The operand without leading 1s.
Result<ir::Value*> trailing(ir::Graph& graph, ir::Value* value, const ir::Value* x, std::int64_t axis,
                            ir::Node& before) {
  const auto normalised = static_cast<std::size_t>(x->rank() - axis);
  if (value == nullptr || value->shape().size() == normalised) return value;
  Dims shape(value->shape().end() - static_cast<std::ptrdiff_t>(normalised), value->shape().end());
  return graph.add1({ir::Op::reshape, {value}, {{"shape", std::move(shape)}}, {}, value->name(), {}}, &before);
}

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
  const ir::Node* add = made_by(normalised->under_root, ir::Op::add);
  const auto parts = add == nullptr
                         ? std::nullopt
                         : split_operands(*add, [](const ir::Value* v) { return splat_value(v).has_value(); });
  if (!parts) {
    context.near_miss(kPattern, node, "no constant epsilon is added to the variance");
    return false;
  }
  const ir::Node* variance = made_by(parts->first, ir::Op::reduce);
  if (trailing_mean(variance) != axis || !is_square_of(variance->input(0), sub->output())) {
    context.near_miss(kPattern, node, "the variance is not the mean of (x - mean)^2 over the same axes");
    return false;
  }
  ir::Value* x = sub->input(0);
  Affine affine = match_affine(node, x, *axis);
  INTAGLIO_TRY(ir::Value * gamma, trailing(graph, affine.gamma, x, *axis, *affine.last));
  INTAGLIO_TRY(ir::Value * beta, trailing(graph, affine.beta, x, *axis, *affine.last));
  ir::Attrs attrs{{"axis", *axis}, {"epsilon", *splat_value(parts->second)}};
  const ir::Node* last = affine.last == &node ? nullptr : affine.last;
  INTAGLIO_CHECK(replace(
      graph, context, kPattern, *affine.last,
      {ir::Op::layer_norm, {x, gamma, beta}, std::move(attrs), merge_origins({mean, sub, variance, &node, last})}));
  return true;
}

}  // namespace

Result<int> recognise_layer_norm(ir::Graph& graph, PassContext& context) {
  // The affine nodes that a rewrite erases come after the visited node: restart after each success.
  int rewrites = 0;
  for (bool again = true; again;) {
    again = false;
    for (ir::Node& node : graph.nodes()) {
      INTAGLIO_TRY(const bool changed, rewrite(graph, context, node));
      if (!changed) continue;
      ++rewrites;
      again = true;
      break;
    }
  }
  return rewrites;
}

}  // namespace intaglio::passes
