// Before:  %a = reshape(%x);  %y = reshape(%a)            After:  %y = reshape(%x)
// Before:  %a = transpose(%x) {p};  %y = transpose(%a) {q}  After:  %y = transpose(%x) {p[q[i]]}
// Before:  %y = transpose(%x) that only moves dims of 1   After:  %y = reshape(%x)
// Before:  %a = expand(%x);  %y = expand(%a)              After:  %y = expand(%x)
// Before:  %y = add(%a, expand(%x)) where broadcasting does the same   After:  %y = add(%a, %x)
// Before:  %a = reshape(%x) {[b*h, s, d]};  %b = transpose(%a) {[0, 2, 1]};  %y = reshape(%b) {[b, h, d, s]}
// After:   %y = transpose(%x) {[0, 1, 3, 2]}; where %x has its leading dims in other parts: of a reshape of %x
// Before:  %a = cast(%x) {wider}; %y = cast(%a)           After:  %y = cast(%x), if the first cast loses nothing
#include <algorithm>

#include "passes/match.h"
#include "passes/pass.h"

namespace intaglio::passes {

Result<int> merge_movement(ir::Graph& graph, PassContext& context);

namespace {

// Every value of `from` has an exact image in `to`.
bool lossless(DType from, DType to) {
  if (from == to) return true;
  if (from == DType::boolean) return to != DType::boolean;
  if (is_floating(from)) return is_floating(to) && (to == DType::f64 || (to == DType::f32 && from != DType::f64));
  if (is_floating(to)) return size_of(from) * 2 <= size_of(to);  // i8 in f16, i16 in f32, i32 in f64
  if (is_unsigned_integer(from))
    return size_of(to) > size_of(from) || (is_unsigned_integer(to) && size_of(to) >= size_of(from));
  return is_signed_integer(to) && size_of(to) >= size_of(from);
}

// A transpose whose dims other than 1 keep their order moves no element.
bool moves_only_ones(const ir::Node& transpose) {
  const Dims& shape = transpose.input(0)->shape();
  std::int64_t last = -1;
  for (std::int64_t axis : transpose.attrs().ints("perm")) {
    if (shape[static_cast<std::size_t>(axis)] == Dim(1)) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

// x, if `reshape` is the last of reshape, transpose of the last two dims, reshape, where the reshapes only merge and
// split the dims before those two.
ir::Value* swapped_through_reshapes(const ir::Node& reshape) {
  const ir::Node* transpose = made_by(reshape.input(0), ir::Op::transpose);
  if (transpose == nullptr || transpose->attrs().ints("perm") != ir::Ints{0, 2, 1}) return nullptr;
  const ir::Node* merge = made_by(transpose->input(0), ir::Op::reshape);
  if (merge == nullptr || merge->input(0)->rank() < 3) return nullptr;
  const Dims& merged = merge->output()->shape();
  Dims wanted = merge->input(0)->shape();
  const std::size_t rank = wanted.size();
  if (wanted[rank - 2] != merged[1] || wanted[rank - 1] != merged[2]) return nullptr;
  std::swap(wanted[rank - 2], wanted[rank - 1]);
  return wanted == reshape.output()->shape() ? merge->input(0) : nullptr;
}

// reshape, transpose of the last two dims, reshape that only regroup the dims before those two: the dims before the
// transpose as the last reshape groups them; empty for anything else.
Dims regrouped_before_swap(const ir::Node& reshape) {
  const ir::Node* transpose = made_by(reshape.input(0), ir::Op::transpose);
  if (transpose == nullptr || transpose->attrs().ints("perm") != ir::Ints{0, 2, 1}) return {};
  const ir::Node* merge = made_by(transpose->input(0), ir::Op::reshape);
  if (merge == nullptr || merge->input(0)->rank() < 3) return {};
  const Dims &from = merge->input(0)->shape(), &merged = merge->output()->shape();
  Dims out = reshape.output()->shape();
  const std::size_t rank = out.size();
  if (rank < 3 || from[from.size() - 2] != merged[1] || from.back() != merged[2]) return {};
  if (out[rank - 2] != merged[2] || out[rank - 1] != merged[1]) return {};
  std::swap(out[rank - 2], out[rank - 1]);
  return out;
}

// What the node should become, or an empty spec (op input list empty).
std::optional<ir::NodeSpec> merged(const ir::Node& node) {
  ir::Value* x = node.input(0);
  const auto with = [&](ir::Op op, ir::Value* source, ir::Attrs attrs) {
    return ir::NodeSpec{op, {source}, std::move(attrs), node.origin(), node.output()->name(), {}};
  };
  switch (node.op()) {
    case ir::Op::reshape:
      if (const ir::Node* inner = made_by(x, ir::Op::reshape))
        return with(ir::Op::reshape, inner->input(0), node.attrs());
      if (ir::Value* source = swapped_through_reshapes(node)) {
        ir::Ints perm;
        for (int i = 0; i < source->rank(); ++i) perm.push_back(i);
        std::swap(perm[perm.size() - 2], perm[perm.size() - 1]);
        return with(ir::Op::transpose, source, {{"perm", perm}});
      }
      return std::nullopt;
    case ir::Op::expand:
      if (const ir::Node* inner = made_by(x, ir::Op::expand))
        return with(ir::Op::expand, inner->input(0), node.attrs());
      return std::nullopt;
    case ir::Op::transpose: {
      if (const ir::Node* inner = made_by(x, ir::Op::transpose)) {
        ir::Ints perm;
        for (std::int64_t axis : node.attrs().ints("perm"))
          perm.push_back(inner->attrs().ints("perm")[static_cast<std::size_t>(axis)]);
        return with(ir::Op::transpose, inner->input(0), {{"perm", perm}});
      }
      if (moves_only_ones(node)) return with(ir::Op::reshape, x, {{"shape", node.output()->shape()}});
      return std::nullopt;
    }
    case ir::Op::cast:
      if (const ir::Node* inner = made_by(x, ir::Op::cast); inner != nullptr &&
                                                            lossless(inner->input(0)->dtype(), x->dtype()) &&
                                                            node.output()->dtype() != DType::boolean) {
        return with(ir::Op::cast, inner->input(0), node.attrs());
      }
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

bool broadcasts(const ir::Node& node) {
  switch (ir::schema(node.op()).group) {
    case ir::OpGroup::binary:
    case ir::OpGroup::compare:
    case ir::OpGroup::ternary:
      return true;
    default:
      return false;
  }
}

// Elementwise ops broadcast on their own: an expanded operand is not needed if the others already have the full shape.
bool absorb_expand(ir::Graph& graph, ir::Node& node) {
  if (!broadcasts(node)) return false;
  for (std::size_t i = 0; i < node.inputs().size(); ++i) {
    const ir::Node* expand = made_by(node.input(i), ir::Op::expand);
    if (expand == nullptr) continue;
    const bool others_full = std::any_of(node.inputs().begin(), node.inputs().end(), [&](const ir::Value* other) {
      return other != node.input(i) && made_by(other, ir::Op::expand) == nullptr && same_shape(other, node.output());
    });
    if (!others_full) continue;
    graph.set_input(&node, i, expand->input(0));
    return true;
  }
  return false;
}

// Puts the regrouping before the swap; the node may be erased.
Result<bool> regroup_before_swap(ir::Graph& graph, ir::Node& node) {
  if (node.op() != ir::Op::reshape || swapped_through_reshapes(node) != nullptr) return false;
  Dims shape = regrouped_before_swap(node);
  if (shape.empty()) return false;
  ir::Value* x = node.input(0)->producer()->input(0)->producer()->input(0);
  const std::string& name = node.output()->name();
  INTAGLIO_TRY(ir::Value * grouped,
               graph.add1({ir::Op::reshape, {x}, {{"shape", std::move(shape)}}, node.origin(), name, {}}, &node));
  ir::Ints perm;
  for (int i = 0; i < grouped->rank(); ++i) perm.push_back(i);
  std::swap(perm[perm.size() - 2], perm[perm.size() - 1]);
  INTAGLIO_TRY(ir::Value * swapped,
               graph.add1({ir::Op::transpose, {grouped}, {{"perm", perm}}, node.origin(), name, {}}, &node));
  graph.replace_all_uses(node.output(), swapped);
  graph.erase(&node);
  return true;
}

}  // namespace

Result<int> merge_movement(ir::Graph& graph, PassContext&) {
  int rewrites = 0;
  for (auto position = graph.nodes().begin(); position != graph.nodes().end();) {
    ir::Node& node = *position++;
    if (absorb_expand(graph, node)) {
      ++rewrites;
      continue;
    }
    INTAGLIO_TRY(const bool regrouped, regroup_before_swap(graph, node));
    if (regrouped) {
      ++rewrites;
      continue;
    }
    auto spec = merged(node);
    if (!spec) continue;
    INTAGLIO_TRY(ir::Value * value, graph.add1(*std::move(spec), &node));
    graph.replace_all_uses(node.output(), value);
    graph.erase(&node);
    ++rewrites;
  }
  return rewrites;
}

}  // namespace intaglio::passes
