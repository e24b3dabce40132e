// Before:  %m = and(le(%key, %query), %rest)     (%key, %query: positions along the last two axes)
//          %y = attention(%q, %k, %v, %m)
// After:   %y = attention(%q, %k, %v, %rest) {causal=true}
// Also lt, ge and gt in their spellings, a constant lower triangle, and masks where(%m, 0, -inf) that are added. With
// the lowest finite value in the place of -inf only where %rest is missing: a row that drops all keys by it attends
// evenly to all of them, the later ones included, so nothing can be split off. Exact.
#include <cmath>

#include "passes/index_form.h"
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> recognise_causal(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "causal";

// key <= query for positions along the last two axes?
bool is_causal_compare(const ir::Graph& graph, const ir::Node& node) {
  const auto rank = node.output()->shape().size();
  if (rank < 2) return false;
  auto d = IndexReader(graph, *node.output()).difference(node);
  if (!d) return false;
  // As "query - key + c >= 0".
  Dim c = d->constant;
  std::int64_t sign = 1;
  switch (node.op()) {
    case ir::Op::ge:
      break;
    case ir::Op::gt:
      c = c - 1;
      break;
    case ir::Op::le:
      sign = -1;
      break;
    case ir::Op::lt:
      sign = -1;
      c = c + 1;
      break;
    default:
      return false;
  }
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const std::int64_t wanted = axis + 1 == rank ? -1 : axis + 2 == rank ? 1 : 0;
    if (d->step[axis] * sign != wanted) return false;
  }
  return c == Dim(0);
}

// A constant lower triangle, or the beginning of one.
bool is_triangle(const ir::Value* value) {
  if (const ir::Node* slice = made_by(value, ir::Op::slice)) {
    for (std::size_t i = 0; i < slice->attrs().ints("axes").size(); ++i) {
      if (slice->attrs().dims("starts")[i] != Dim(0) || slice->attrs().ints("steps")[i] != 1) return false;
    }
    // One row or column of it, broadcast over queries or keys, is no triangle.
    const Dims& shape = value->shape();
    if (shape.size() < 2 || shape.back() == Dim(1) || shape[shape.size() - 2] == Dim(1)) return false;
    return is_triangle(slice->input(0));
  }
  if (!value->is_constant() || value->dtype() != DType::boolean || value->rank() < 2) return false;
  const ir::Tensor& mask = value->constant();
  const std::int64_t keys = mask.shape.back(), queries = mask.shape[mask.shape.size() - 2];
  if (mask.element_count() != keys * queries || keys < 2 || queries < 2) return false;
  for (std::int64_t i = 0; i < mask.element_count(); ++i) {
    if ((mask.as_int(i) != 0) != (i % keys <= i / keys)) return false;
  }
  return true;
}

struct Conjuncts {
  bool causal = false;
  std::vector<ir::Value*> rest;
};

void collect(const ir::Graph& graph, ir::Value* value, int depth, Conjuncts& out) {
  ir::Node* node = value->producer();
  if (node != nullptr && depth > 0) {
    if (node->op() == ir::Op::logical_and) {
      collect(graph, node->input(0), depth - 1, out);
      return collect(graph, node->input(1), depth - 1, out);
    }
    // Attention broadcasts its mask itself.
    if (node->op() == ir::Op::expand) return collect(graph, node->input(0), depth - 1, out);
  }
  const bool causal = node != nullptr && ir::schema(node->op()).group == ir::OpGroup::compare
                          ? is_causal_compare(graph, *node)
                          : is_triangle(value);
  if (causal)
    out.causal = true;
  else if (IndexReader(graph, *value).truth(value) != true)
    out.rest.push_back(value);
}

// The bool mask behind where(m, 0, low), and low; or the mask itself.
struct Mask {
  ir::Value* kept = nullptr;
  double low = -INFINITY;
};
std::optional<Mask> match_mask(ir::Value* value) {
  if (value->dtype() == DType::boolean) return Mask{value, -INFINITY};
  const ir::Node* where = made_by(value, ir::Op::where);
  if (where == nullptr || splat_value(where->input(1)) != 0.0) return std::nullopt;
  const auto low = splat_value(where->input(2));
  if (!low || *low > -3.3e38) return std::nullopt;
  return Mask{where->input(0), *low};
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& node) {
  if (node.op() != ir::Op::attention || node.input(3) == nullptr) return false;
  const auto mask = match_mask(node.input(3));
  if (!mask) return false;
  Conjuncts parts;
  collect(graph, mask->kept, 16, parts);
  if (!parts.causal) return false;
  if (std::isfinite(mask->low) && !parts.rest.empty()) {
    context.near_miss(
        kPattern, node,
        "keys are dropped with the lowest finite value: a row that drops all attends evenly to all, later "
        "keys included, so the causal part cannot be split from the rest of the mask");
    return false;
  }
  std::vector<ir::Value*> inputs{node.input(0), node.input(1), node.input(2)};
  ir::Value* rest = nullptr;
  for (ir::Value* part : parts.rest) {
    if (rest == nullptr) {
      rest = part;
      continue;
    }
    INTAGLIO_TRY(rest, graph.add1({ir::Op::logical_and, {rest, part}, {}, node.origin(), "mask", {}}, &node));
  }
  if (rest != nullptr) inputs.push_back(rest);
  ir::Attrs attrs = node.attrs();
  attrs.set("causal", true);
  INTAGLIO_CHECK(
      replace(graph, context, kPattern, node, {node.op(), std::move(inputs), std::move(attrs), node.origin()}));
  return true;
}

}  // namespace

Result<int> recognise_causal(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
