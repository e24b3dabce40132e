// Before:  %s = matmul(%q * a, transpose(%k) * b) * c        (any of the scales may be missing)
//          %m = add(%s, %mask)   or  where(%mask, %s, -inf or the lowest value)   or  where(%mask, -inf, %s), up to two
//               of them in turn
//          %p = softmax(%m) over the last axis
//          %p = where(isnan(%p), 0, %p)                       (ONNX exports of ATen's attention; may be missing)
//          %p = where(not any(not (%m == -inf)), 0, %p)       (core ATen; may be missing)
//          %p = where(all(%m == -inf), 0, %p)                 (_safe_softmax; may be missing)
//          %y = matmul(%p, %v)
// After:   %y = attention(%q, %k, %v, %mask) {layout="bhsd", scale=a*b*c, blind}
// A key dropped with the lowest finite value is not the same as one dropped with -inf: a row that drops all keys then
// attends evenly to all of them. Such a where becomes an added mask (0 or the lowest value), which keeps that; -inf
// becomes a bool mask. Of two masks the outer one applies to what the inner one left; they become one that is added.
// Operands of rank 3 ([batch*heads, seq, d]) become rank 4 with one head. `blind` is zero where the graph turns the NaN
// rows of a fully masked query into zeros, else nan. Such guards also hide NaN that come from the data; attention lets
// those through.
#include <cmath>

#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> recognise_attention(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "attention";

bool is_lowest(const ir::Value* value) {
  const auto splat = splat_value(value);
  return splat && (*splat == -INFINITY || *splat <= -3.3e38);
}

struct Probabilities {
  const ir::Node* softmax = nullptr;
  bool safe = false;
};

// The reduction by `kind` that makes `value`, else nullptr.
const ir::Node* reduced(const ir::Value* value, std::string_view kind) {
  const ir::Node* reduce = made_by(value, ir::Op::reduce);
  return reduce != nullptr && reduce->attrs().s("kind") == kind ? reduce : nullptr;
}

// scores == -inf (or !=)
bool compares_with_nothing(const ir::Node* compare, const ir::Value* scores) {
  if (compare == nullptr) return false;
  const auto other = split_operands(*compare, [&](const ir::Value* operand) { return operand == scores; });
  return other && splat_value(other->first) == -INFINITY;
}

// all(scores == -inf), or not any(not (scores == -inf)), over the last axis: "no key is visible".
bool is_nothing_visible(const ir::Value* value, const ir::Value* scores) {
  const ir::Node* all = reduced(value, "all");
  const ir::Node* outer = made_by(value, ir::Op::logical_not);
  const ir::Node* any = outer == nullptr ? nullptr : reduced(outer->input(0), "any");
  const ir::Node* reduce = all != nullptr ? all : any;
  if (reduce == nullptr || !reduce->attrs().b("keepdims") ||
      reduce->attrs().ints("axes") != ir::Ints{scores->rank() - 1})
    return false;
  if (all != nullptr) return compares_with_nothing(made_by(all->input(0), ir::Op::eq), scores);
  if (compares_with_nothing(made_by(any->input(0), ir::Op::ne), scores)) return true;
  const ir::Node* visible = made_by(any->input(0), ir::Op::logical_not);
  return visible != nullptr && compares_with_nothing(made_by(visible->input(0), ir::Op::eq), scores);
}

// softmax, or softmax with its NaN rows replaced by zeros.
Probabilities match_probabilities(const ir::Value* value) {
  if (const ir::Node* softmax = made_by(value, ir::Op::softmax)) return {softmax, false};
  const ir::Node* where = made_by(value, ir::Op::where);
  if (where == nullptr || splat_value(where->input(1)) != 0.0) return {};
  const ir::Node* softmax = made_by(where->input(2), ir::Op::softmax);
  if (softmax == nullptr) return {};
  const ir::Node* isnan = made_by(where->input(0), ir::Op::isnan);
  if (isnan != nullptr && isnan->input(0) == softmax->output()) return {softmax, true};
  if (is_nothing_visible(where->input(0), softmax->input(0))) return {softmax, true};
  return {};
}

// One step between the product and the softmax.
struct MaskStep {
  ir::Value* mask = nullptr;   // added, or the condition of a where
  bool inverted = false;       // the condition says which keys to drop
  double dropped = -INFINITY;  // what a where puts in the place of a dropped score
};

struct Scores {
  ir::Node* product = nullptr;  // matmul(q, k^T)
  std::vector<MaskStep> masks;  // from the product outwards
  double scale = 1;
};

constexpr std::size_t kMostMasks = 2;

// Scales between `value` and the product below it.
ir::Node* peel_scales(ir::Value* value, double& scale) {
  while (const auto scaled = match_scale(value)) {
    scale *= scaled->factor;
    value = scaled->x;
  }
  return made_by(value, ir::Op::matmul);
}

// The scores below a mask that makes `value`, and the mask; several where it can be read in several ways.
std::vector<std::pair<ir::Value*, MaskStep>> below_mask(const ir::Value* value) {
  std::vector<std::pair<ir::Value*, MaskStep>> out;
  const auto candidate = [&](ir::Value* below, const MaskStep& step) {
    if (same_shape(below, value)) out.emplace_back(below, step);
  };
  if (const ir::Node* add = made_by(value, ir::Op::add)) {
    for (std::size_t i = 0; i < 2; ++i) candidate(add->input(i), {add->input(1 - i)});
  }
  if (const ir::Node* where = made_by(value, ir::Op::where)) {
    for (std::size_t keep = 1; keep <= 2; ++keep) {
      if (!is_lowest(where->input(3 - keep))) continue;
      candidate(where->input(keep), {where->input(0), keep == 2, *splat_value(where->input(3 - keep))});
    }
  }
  return out;
}

std::optional<Scores> match_scores(ir::Value* value, std::size_t most_masks = kMostMasks) {
  Scores scores;
  if ((scores.product = peel_scales(value, scores.scale)) != nullptr) return scores;
  if (most_masks == 0) return std::nullopt;
  for (const auto& [below, step] : below_mask(value)) {
    auto found = match_scores(below, most_masks - 1);
    if (!found) continue;
    found->masks.push_back(step);
    return found;
  }
  return std::nullopt;
}

// Adds nodes before `before` and remembers the first error.
class Editor {
 public:
  Editor(ir::Graph& graph, ir::Node& before) : graph_(graph), before_(before) {}
  ir::Value* add(ir::Op op, ir::Value* x, ir::Attrs attrs) {
    if (!status_ || x == nullptr) return x;
    auto value = graph_.add1({op, {x}, std::move(attrs), before_.origin(), x->name(), {}}, &before_);
    if (value) return *value;
    status_ = fail(std::move(value).error());
    return nullptr;
  }
  // All masks as one: bool if it is a single one that drops with -inf, else added.
  ir::Value* mask_of(const Scores& scores) {
    if (scores.masks.size() == 1 && is_bool(scores.masks[0]) && std::isinf(scores.masks[0].dropped)) {
      ir::Value* mask = scores.masks[0].mask;
      return scores.masks[0].inverted ? add(ir::Op::logical_not, mask, {}) : mask;
    }
    ir::Value* sum = nullptr;
    for (const MaskStep& step : scores.masks) {
      if (!is_bool(step)) {
        sum = sum == nullptr ? step.mask : add_all(ir::Op::add, {sum, step.mask});
        continue;
      }
      const DType dtype = scores.product->output()->dtype();
      ir::Value* kept = sum != nullptr ? sum : add_scalar(0, dtype);
      ir::Value* low = add_scalar(step.dropped, dtype);
      sum = add_all(ir::Op::where, {step.mask, step.inverted ? low : kept, step.inverted ? kept : low});
    }
    return sum;
  }
  ir::Value* swap_last(ir::Value* x) {
    ir::Ints perm;
    for (int i = 0; i < x->rank(); ++i) perm.push_back(i);
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    return add(ir::Op::transpose, x, {{"perm", perm}});
  }
  // [n, s, d] to [n, 1, s, d]; a mask of rank 3 likewise, lower ranks broadcast anyway.
  ir::Value* with_head(ir::Value* x) {
    if (x == nullptr || x->rank() != 3) return x;
    Dims shape = x->shape();
    shape.insert(shape.begin() + 1, Dim(1));
    return add(ir::Op::reshape, x, {{"shape", std::move(shape)}});
  }
  Status status() const { return status_; }

 private:
  static bool is_bool(const MaskStep& step) { return step.mask->dtype() == DType::boolean; }
  ir::Value* add_all(ir::Op op, std::vector<ir::Value*> inputs) {
    if (!status_) return nullptr;
    auto value = graph_.add1({op, std::move(inputs), {}, before_.origin(), "mask", {}}, &before_);
    if (value) return *value;
    status_ = fail(std::move(value).error());
    return nullptr;
  }
  ir::Value* add_scalar(double value, DType dtype) {
    if (!status_) return nullptr;
    auto full = graph_.add1(
        {ir::Op::full, {}, {{"shape", Dims{}}, {"value", value}, {"to", dtype}}, before_.origin(), "c", {}}, &before_);
    if (full) return *full;
    status_ = fail(std::move(full).error());
    return nullptr;
  }

  ir::Graph& graph_;
  ir::Node& before_;
  Status status_;
};

// Why the operands cannot be an attention's, or empty. Shapes are those of matmul operands: q [.., Sq, D], kt [.., D,
// Sk].
std::string_view unfit(const ir::Value* q, const ir::Value* kt, const ir::Value* v, const Scores& scores) {
  const int rank = q->rank();
  if (rank != 3 && rank != 4) return "the operands have neither rank 3 nor rank 4";
  if (kt->rank() != rank || v->rank() != rank) return "the operands differ in rank";
  // In the 16-bit types the parts round after every step, and models were judged with those roundings.
  if (q->dtype() != DType::f32) return "there is no kernel for this dtype";
  for (int axis = 0; axis + 2 < rank; ++axis) {
    const auto a = static_cast<std::size_t>(axis);
    if (q->shape()[a] != kt->shape()[a] || q->shape()[a] != v->shape()[a])
      return "batch or heads of q, k and v are not provably equal";
  }
  for (const MaskStep& step : scores.masks) {
    if (step.mask->dtype() != DType::boolean && step.mask->dtype() != q->dtype())
      return "the mask is neither bool nor of the operands' dtype";
    if (step.mask->rank() > rank) return "the mask has a higher rank than the scores";
  }
  return {};
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& last) {
  if (last.op() != ir::Op::matmul) return false;
  const Probabilities probabilities = match_probabilities(last.input(0));
  if (probabilities.softmax == nullptr) return false;
  const auto miss = [&](std::string_view why) {
    context.near_miss(kPattern, last, why);
    return false;
  };
  const ir::Node& softmax = *probabilities.softmax;
  if (softmax.attrs().b("log") || softmax.attrs().i("axis") != softmax.output()->rank() - 1)
    return miss("the softmax does not run over the last axis");
  auto scores = match_scores(softmax.input(0));
  if (!scores) return miss("the softmax is not of a scaled and masked product of two matrices");
  ir::Value* q = scores->product->input(0);
  ir::Value* kt = scores->product->input(1);
  const auto peel = [&](ir::Value*& value) {
    while (const auto scaled = match_scale(value)) {
      scores->scale *= scaled->factor;
      value = scaled->x;
    }
  };
  peel(q);
  peel(kt);
  if (const auto why = unfit(q, kt, last.input(1), *scores); !why.empty()) return miss(why);

  Editor edit(graph, last);
  const bool ranked = q->rank() == 4;
  ir::Value* mask = edit.mask_of(*scores);
  std::vector<ir::Value*> inputs{edit.with_head(q), edit.with_head(edit.swap_last(kt)), edit.with_head(last.input(1)),
                                 edit.with_head(mask)};
  INTAGLIO_CHECK(edit.status());
  ir::Attrs attrs{{"scale", scores->scale}, {"blind", std::string(probabilities.safe ? "zero" : "nan")}};
  const ir::Origin origin = merge_origins({scores->product, probabilities.softmax, &last});
  if (ranked) {
    INTAGLIO_CHECK(
        replace(graph, context, kPattern, last, {ir::Op::attention, std::move(inputs), std::move(attrs), origin}));
    return true;
  }
  INTAGLIO_TRY(
      ir::Node * attention,
      graph.add({ir::Op::attention, std::move(inputs), std::move(attrs), origin, last.output()->name(), {}}, &last));
  ir::Attrs shape{{"shape", last.output()->shape()}};
  INTAGLIO_CHECK(
      replace(graph, context, kPattern, last, {ir::Op::reshape, {attention->output()}, std::move(shape), origin}));
  return true;
}

}  // namespace

Result<int> recognise_attention(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
