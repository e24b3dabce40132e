// Before:  %m = and(le(%key, %query), %rest)     (%key, %query: positions along the last two axes)
//          %y = attention(%q, %k, %v, %m)
// After:   %y = attention(%q, %k, %v, %rest) {causal=true}
// Also lt, ge and gt in their spellings, a constant lower triangle, and masks that are added: where(%m, 0, low),
// constant ones too, and where(%m, %added, -inf) or where(%m, 0, -inf) + %added, of which %added stays.
//
// low = -inf: exact for finite scores. low = the lowest finite value, as exporters write it: a row that sees a key
// gives those that it does not see the weight exp(score + low - max), and one that sees none is even over all keys,
// later ones too, because every score + low is low. So without %rest (key 0 is visible to all) nothing remains of the
// mask, and with it rows without a visible key say blind="mean". In f32 that is the same bits of weights (0, and 1
// before the division by the sum)
//   * of rows that see a key while all scores are below 1.7e38 in absolute value, half the largest float;
//   * of rows that see none while they are below 2^103 = 1e31, half a unit in the last place of low.
// An infinite score, a NaN, or an infinite v of a hidden key makes the whole row NaN in the spelling with low (NaN +
// low, 0 * inf), and touches nothing here: hidden keys are not read. Visible ones do the same in both, but where all
// that a row sees are -inf: it is even over the hidden keys with low, and blind here. With %added besides and a finite
// low, rows that %added hides depend on its values: left alone.
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

// A constant whose lower triangle has the value `kept` and the rest one other value, or the beginning of one: that
// other value.
std::optional<double> triangle(const ir::Value* value, double kept) {
  if (const ir::Node* slice = made_by(value, ir::Op::slice)) {
    for (std::size_t i = 0; i < slice->attrs().ints("axes").size(); ++i) {
      if (slice->attrs().dims("starts")[i] != Dim(0) || slice->attrs().ints("steps")[i] != 1) return std::nullopt;
    }
    // One row or column of it, broadcast over queries or keys, is no triangle.
    const Dims& shape = value->shape();
    if (shape.size() < 2 || shape.back() == Dim(1) || shape[shape.size() - 2] == Dim(1)) return std::nullopt;
    return triangle(slice->input(0), kept);
  }
  if (!value->is_constant() || value->rank() < 2) return std::nullopt;
  const ir::Tensor& mask = value->constant();
  const std::int64_t keys = mask.shape.back(), queries = mask.shape[mask.shape.size() - 2];
  if (mask.element_count() != keys * queries || keys < 2 || queries < 2) return std::nullopt;
  const double dropped = mask.as_double(1);  // of query 0 and key 1
  if (dropped == kept) return std::nullopt;
  for (std::int64_t i = 0; i < mask.element_count(); ++i) {
    if (mask.as_double(i) != (i % keys <= i / keys ? kept : dropped)) return std::nullopt;
  }
  return dropped;
}

bool is_triangle(const ir::Value* value) {
  return value->dtype() == DType::boolean && triangle(value, 1).has_value();
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

// where(kept, added, low), with `added` also from an add around it; or the bool mask itself.
struct Mask {
  ir::Value* kept = nullptr;   // nullptr: a constant triangle
  ir::Value* added = nullptr;  // nullptr: 0
  double low = -INFINITY;
};
std::optional<Mask> match_dropped(ir::Value* value) {
  if (const auto low = triangle(value, 0); low && *low < 0) return Mask{nullptr, nullptr, *low};
  const ir::Node* where = made_by(value, ir::Op::where);
  const auto low = where == nullptr ? std::nullopt : splat_value(where->input(2));
  if (!low || !(*low < 0)) return std::nullopt;
  return Mask{where->input(0), splat_value(where->input(1)) == 0.0 ? nullptr : where->input(1), *low};
}
std::optional<Mask> match_mask(ir::Value* value) {
  if (value->dtype() == DType::boolean) return Mask{value};
  const ir::Node* add = made_by(value, ir::Op::add);
  if (add == nullptr) return match_dropped(value);
  for (std::size_t i = 0; i < 2; ++i) {
    auto mask = match_dropped(add->input(i));
    if (!mask || mask->added != nullptr) continue;
    mask->added = add->input(1 - i);
    return mask;
  }
  return std::nullopt;
}

// Why the causal part cannot be split off, or empty.
std::string_view unfit(const ir::Node& attention, const Mask& mask, bool has_rest) {
  if (mask.low == -INFINITY) return {};
  // The lowest value of bf16 counts too; of a larger one a score could make up for it.
  if (mask.low > -3.3e38)
    return "hidden keys get a value that scores could outweigh: neither -inf nor the lowest finite float";
  if (mask.added != nullptr)
    return "keys are dropped with the lowest finite value beside another added mask: a row whose earlier keys that "
           "mask hides attends to later keys too";
  if (has_rest && attention.attrs().b("causal"))
    return "the attention is causal besides: a row without a visible key is even over the keys up to its own only";
  return {};
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& node) {
  if (node.op() != ir::Op::attention || node.input(3) == nullptr) return false;
  const auto mask = match_mask(node.input(3));
  if (!mask) return false;
  Conjuncts parts;
  if (mask->kept == nullptr)
    parts.causal = true;
  else
    collect(graph, mask->kept, 16, parts);
  if (!parts.causal) return false;
  if (const std::string_view why = unfit(node, *mask, !parts.rest.empty()); !why.empty()) {
    context.near_miss(kPattern, node, why);
    return false;
  }
  const auto add = [&](ir::Op op, std::vector<ir::Value*> inputs, ir::Attrs attrs = {}) {
    return graph.add1({op, std::move(inputs), std::move(attrs), node.origin(), "mask", {}}, &node);
  };
  ir::Value* rest = nullptr;
  for (ir::Value* part : parts.rest) {
    if (rest == nullptr) {
      rest = part;
      continue;
    }
    INTAGLIO_TRY(rest, add(ir::Op::logical_and, {rest, part}));
  }
  ir::Attrs attrs = node.attrs();
  attrs.set("causal", true);
  if (rest != nullptr && std::isfinite(mask->low)) attrs.set("blind", std::string("mean"));
  if (mask->added != nullptr && rest != nullptr) {
    const ir::Attrs low{{"shape", Dims{}}, {"value", mask->low}, {"to", mask->added->dtype()}};
    INTAGLIO_TRY(ir::Value * hidden, add(ir::Op::full, {}, low));
    INTAGLIO_TRY(rest, add(ir::Op::where, {rest, mask->added, hidden}));
  } else if (mask->added != nullptr) {
    rest = mask->added;
  }
  std::vector<ir::Value*> inputs{node.input(0), node.input(1), node.input(2)};
  if (rest != nullptr) inputs.push_back(rest);
  INTAGLIO_CHECK(
      replace(graph, context, kPattern, node, {node.op(), std::move(inputs), std::move(attrs), node.origin()}));
  return true;
}

}  // namespace

Result<int> recognise_causal(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
