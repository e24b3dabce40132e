// Before:  %y = %x * %C + concat(-%x[h:], %x[:h]) * %S           (rotate_half of Llama; h is half of the last dim)
// After:   %y = rotary(%x, %c, %s)                  %C = concat(%c, %c), %S = concat(%s, %s), possibly through cos, sin
// Before:  %y = %x * %C + stack(-%x[1::2], %x[::2]) * %S         (rotate_every_two of GPT-J)
// After:   %y = rotary(%x, %c, %s) {interleaved}    %C, %S: every element of %c, %s twice in a row
// Before:  concat(rotary(%x[:R], %c, %s), %x[R:])                 After:  rotary(%x, %c, %s)
// Exact: the same products and the same sum. Tables must provably hold every angle twice; their halves are computed
// anew from what the concat joined, so cos and sin are taken of half as many angles.
#include <cstring>

#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> recognise_rotary(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "rotary";

std::int64_t last_axis(const ir::Value* value) {
  return value->rank() - 1;
}

// The slice [start::step] up to `end` of the last axis: its operand, or nullptr.
ir::Value* part_of(const ir::Value* value, const Dim& start, const Dim& end, std::int64_t step) {
  const ir::Node* slice = made_by(value, ir::Op::slice);
  if (slice == nullptr || slice->attrs().ints("axes") != ir::Ints{last_axis(value)}) return nullptr;
  const ir::Attrs& attrs = slice->attrs();
  const bool same = attrs.dims("starts")[0] == start && attrs.dims("ends")[0] == end && attrs.ints("steps")[0] == step;
  return same ? slice->input(0) : nullptr;
}

struct Turned {
  ir::Value* x = nullptr;
  bool interleaved = false;
};

// concat(neg(x[h:]), x[:h]), or the stack of neg(x[1::2]) and x[::2].
std::optional<Turned> match_turned(const ir::Value* value) {
  const auto width = value->rank() == 0 ? std::nullopt : value->shape().back().constant();
  if (!width || *width % 2 != 0) return std::nullopt;
  const ir::Node* reshape = made_by(value, ir::Op::reshape);
  const ir::Node* concat = made_by(reshape != nullptr ? reshape->input(0) : value, ir::Op::concat);
  if (concat == nullptr || concat->inputs().size() != 2 || concat->attrs().i("axis") != last_axis(concat->output()))
    return std::nullopt;
  const ir::Value *first = concat->input(0), *second = concat->input(1);
  if (reshape != nullptr) {
    const ir::Node *a = made_by(first, ir::Op::reshape), *b = made_by(second, ir::Op::reshape);
    if (a == nullptr || b == nullptr || first->shape().back() != Dim(1) || second->shape().back() != Dim(1))
      return std::nullopt;
    first = a->input(0);
    second = b->input(0);
  }
  const ir::Node* neg = made_by(first, ir::Op::neg);
  if (neg == nullptr) return std::nullopt;
  // first and second are [.., h] with the leading dims of the value: the stack interleaves them.
  const Dim half(*width / 2);
  Dims wanted = value->shape();
  wanted.back() = half;
  if (first->shape() != wanted || second->shape() != wanted) return std::nullopt;
  const bool interleaved = reshape != nullptr;
  ir::Value* x = interleaved ? part_of(neg->input(0), 1, *width, 2) : part_of(neg->input(0), half, *width, 1);
  const ir::Value* again = interleaved ? part_of(second, 0, *width, 2) : part_of(second, 0, half, 1);
  if (interleaved && again == nullptr) again = part_of(second, 0, *width - 1, 2);
  if (x == nullptr || x != again) return std::nullopt;
  return Turned{x, interleaved};
}

// ---- tables that hold every angle twice

// [.., h] of a table [.., 2h] whose two halves are equal; a null value: not provably so. Adds nodes before `before`
// only when it succeeds.
class Halves {
 public:
  Halves(ir::Graph& graph, ir::Node& before) : graph_(graph), before_(before) {}

  static bool provable(const ir::Value* value, int depth = 0) {
    if (value->rank() == 0 || depth > 16 || !value->shape().back().constant()) return false;
    if (value->is_constant()) return equal_halves(value->constant());
    const ir::Node* node = value->producer();
    if (node == nullptr) return false;
    switch (node->op()) {
      case ir::Op::concat:
        return node->inputs().size() == 2 && node->input(0) == node->input(1) &&
               node->attrs().i("axis") == last_axis(value);
      case ir::Op::cos:
      case ir::Op::sin:
      case ir::Op::neg:
      case ir::Op::cast:
        return provable(node->input(0), depth + 1);
      case ir::Op::mul:
        return match_scale(value).has_value() && provable(match_scale(value)->x, depth + 1);
      case ir::Op::reshape:
        return node->input(0)->rank() > 0 && node->input(0)->shape().back() == value->shape().back() &&
               provable(node->input(0), depth + 1);
      default:
        return false;
    }
  }

  // Precondition: provable(value).
  Result<ir::Value*> half(ir::Value* value) {
    if (value->is_constant()) return slice(value);
    const ir::Node& node = *value->producer();
    if (node.op() == ir::Op::concat) return node.input(0);
    if (node.op() == ir::Op::mul) {
      const Scaled scaled = *match_scale(value);
      ir::Value* factor = scaled.x == node.input(0) ? node.input(1) : node.input(0);
      if (factor->rank() > 0 && factor->shape().back() != Dim(1)) return slice(value);
      INTAGLIO_TRY(ir::Value * x, half(scaled.x));
      return add(node, {x, factor}, node.attrs());
    }
    INTAGLIO_TRY(ir::Value * x, half(node.input(0)));
    if (node.op() != ir::Op::reshape) return add(node, {x}, node.attrs());
    Dims shape = value->shape();
    shape.back() = x->shape().back();
    return add(node, {x}, {{"shape", std::move(shape)}});
  }

 private:
  static bool equal_halves(const ir::Tensor& table) {
    const std::int64_t width = table.shape.back();
    if (width % 2 != 0 || width == 0) return false;
    const std::size_t half = static_cast<std::size_t>(width / 2) * size_of(table.dtype);
    for (std::size_t at = 0; at < table.bytes; at += 2 * half) {
      if (std::memcmp(table.data + at, table.data + at + half, half) != 0) return false;
    }
    return true;
  }
  Result<ir::Value*> add(const ir::Node& like, std::vector<ir::Value*> inputs, ir::Attrs attrs) {
    return graph_.add1({like.op(), std::move(inputs), std::move(attrs), like.origin(), like.output()->name(), {}},
                       &before_);
  }
  Result<ir::Value*> slice(ir::Value* value) {
    const Dim half(*value->shape().back().constant() / 2);
    const ir::Attrs attrs{
        {"axes", ir::Ints{last_axis(value)}}, {"starts", Dims{0}}, {"ends", Dims{half}}, {"steps", ir::Ints{1}}};
    return graph_.add1({ir::Op::slice, {value}, attrs, before_.origin(), value->name(), {}}, &before_);
  }

  ir::Graph& graph_;
  ir::Node& before_;
};

// [.., h] of a table [.., 2h] that repeats every element in place: reshape(expand([.., h, 1])) or nullptr. `shape` is
// filled in with the wanted shape.
ir::Value* match_doubled(const ir::Value* value, Dims& shape) {
  const ir::Node* merge = made_by(value, ir::Op::reshape);
  const ir::Node* expand = merge == nullptr ? nullptr : made_by(merge->input(0), ir::Op::expand);
  if (expand == nullptr || value->rank() < 1) return nullptr;
  const Dims &from = expand->input(0)->shape(), &to = expand->output()->shape();
  if (from.size() != to.size() || from.size() < 2 || from.back() != Dim(1) || to.back() != Dim(2)) return nullptr;
  for (std::size_t axis = 0; axis + 1 < from.size(); ++axis) {
    if (from[axis] != to[axis]) return nullptr;
  }
  const Dim& half = to[to.size() - 2];
  if (value->shape().back() != half * 2) return nullptr;
  shape = value->shape();
  shape.back() = half;
  return expand->input(0);
}

// ---- the sum

struct Match {
  ir::Value *x = nullptr, *cos = nullptr, *sin = nullptr;  // tables as the graph has them
  bool interleaved = false;
};

// x * C + turned(x) * S; `plain` and `other` are the two products.
std::optional<Match> match_products(const ir::Node& plain, const ir::Node& other) {
  for (std::size_t i = 0; i < 2; ++i) {
    const auto turned = match_turned(other.input(i));
    if (!turned) continue;
    Match match{turned->x, nullptr, other.input(1 - i), turned->interleaved};
    for (std::size_t k = 0; k < 2; ++k) {
      if (plain.input(k) == turned->x) match.cos = plain.input(1 - k);
    }
    return match;
  }
  return std::nullopt;
}

Result<ir::Value*> table_of(ir::Graph& graph, ir::Node& before, ir::Value* table, bool interleaved) {
  if (!interleaved) {
    if (!Halves::provable(table)) return nullptr;
    return Halves(graph, before).half(table);
  }
  Dims shape;
  ir::Value* half = match_doubled(table, shape);
  if (half == nullptr) return nullptr;
  return graph.add1({ir::Op::reshape, {half}, {{"shape", std::move(shape)}}, before.origin(), table->name(), {}},
                    &before);
}

Result<bool> from_sum(ir::Graph& graph, PassContext& context, ir::Node& add) {
  const ir::Node *a = made_by(add.input(0), ir::Op::mul), *b = made_by(add.input(1), ir::Op::mul);
  if (a == nullptr || b == nullptr) return false;
  auto match = match_products(*a, *b);
  if (!match) match = match_products(*b, *a);
  if (!match || !is_floating(add.output()->dtype())) return false;
  const auto miss = [&](std::string_view why) {
    context.near_miss(kPattern, add, why);
    return false;
  };
  if (match->cos == nullptr) return miss("the operand that is turned is not the one that is multiplied plainly");
  if (!same_shape(match->x, add.output()) || match->x->rank() < 2) return miss("the tables broadcast the operand");
  INTAGLIO_TRY(ir::Value * cos, table_of(graph, add, match->cos, match->interleaved));
  INTAGLIO_TRY(ir::Value * sin, table_of(graph, add, match->sin, match->interleaved));
  if (cos == nullptr || sin == nullptr) return miss("the tables do not provably hold every angle twice");
  if (cos->rank() != sin->rank() || !same_shape(cos, sin)) return miss("cos and sin differ in shape");
  ir::Attrs attrs{{"interleaved", match->interleaved}};
  INTAGLIO_CHECK(replace(graph, context, kPattern, add,
                         {ir::Op::rotary, {match->x, cos, sin}, std::move(attrs), merge_origins({a, b, &add})}));
  return true;
}

Result<bool> from_parts(ir::Graph& graph, PassContext& context, ir::Node& concat) {
  if (concat.inputs().size() != 2 || concat.attrs().i("axis") != last_axis(concat.output())) return false;
  const ir::Node* rotary = made_by(concat.input(0), ir::Op::rotary);
  const auto width = concat.output()->shape().back().constant(), rotated = concat.input(0)->shape().back().constant();
  if (rotary == nullptr || !width || !rotated) return false;
  ir::Value* x = part_of(rotary->input(0), 0, *rotated, 1);
  if (x == nullptr || x != part_of(concat.input(1), *rotated, *width, 1) || !same_shape(x, concat.output())) {
    context.near_miss("partial_rotary", concat, "the parts that are joined are not the two parts of one tensor");
    return false;
  }
  if (rotary->attrs().b("interleaved") || rotary->input(1)->shape().back() * 2 == Dim(*rotated)) {
    INTAGLIO_CHECK(replace(
        graph, context, "partial_rotary", concat,
        {ir::Op::rotary, {x, rotary->input(1), rotary->input(2)}, rotary->attrs(), merge_origins({rotary, &concat})}));
    return true;
  }
  return false;
}

}  // namespace

Result<int> recognise_rotary(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) -> Result<bool> {
    if (node.op() == ir::Op::add) return from_sum(graph, context, node);
    if (node.op() == ir::Op::concat) return from_parts(graph, context, node);
    return false;
  });
}

}  // namespace intaglio::passes
