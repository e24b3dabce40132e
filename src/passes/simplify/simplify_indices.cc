// Before:  %y = gather_nd(%x, concat(positions of axis a, positions of axis b))      After:  %y = reshape(%x)
//          where every index is the position itself: masks of transformers are read element by element in this spelling
// Before:  %y = eq(iota - iota, 0), a comparison of positions that is the same everywhere    After:  %y = full(true)
// Before:  %y = and(%x, true);  or(%x, false)                                        After:  %y = %x
// Before:  %y = gather(%x, iota) {axis}, within the bounds by the declared ranges    After:  %y = slice(%x)
// Exact: positions are integers, and what is assumed (a dim is at least 1) holds wherever there is an element.
#include "passes/index_form.h"
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> simplify_indices(ir::Graph& graph, PassContext& context);

namespace {

// The one axis along which `form` counts 1 by 1 from `constant`, all other axes of `value` being 1; or nullopt.
std::optional<std::size_t> counting_axis(const ir::Value& value, const IndexForm& form) {
  std::optional<std::size_t> axis;
  for (std::size_t i = 0; i < form.step.size(); ++i) {
    if (value.shape()[i] == Dim(1)) continue;
    if (axis || form.step[i] != 1) return std::nullopt;
    axis = i;
  }
  return axis;
}

// Does index k of gather_nd say the position along the result's axes, in the order of the axes of x?
bool is_identity_gather(const ir::Graph& graph, const ir::Node& node) {
  const ir::Value *x = node.input(0), *indices = node.input(1);
  const ir::Node* concat = made_by(indices, ir::Op::concat);
  const auto rank = static_cast<std::size_t>(x->rank());
  if (concat == nullptr || node.attrs().i("batch_dims") != 0 || concat->inputs().size() != rank ||
      concat->attrs().i("axis") != indices->rank() - 1)
    return false;
  std::size_t next = 0;  // the first axis of the result that has no index yet
  const Dims& out = node.output()->shape();
  IndexReader reader(graph, *node.output());
  for (std::size_t k = 0; k < rank; ++k) {
    const auto form = reader.form(concat->input(k));
    if (!form || form->constant != Dim(0) || concat->input(k)->shape().back() != Dim(1)) return false;
    while (next < out.size() && out[next] == Dim(1) && x->shape()[k] != Dim(1)) ++next;
    if (next == out.size() || out[next] != x->shape()[k]) return false;
    for (std::size_t axis = 0; axis + 1 < form->step.size(); ++axis) {
      if (out[axis] != Dim(1) && form->step[axis] != (axis == next ? 1 : 0)) return false;
    }
    ++next;
  }
  for (; next < out.size(); ++next) {
    if (out[next] != Dim(1)) return false;
  }
  return true;
}

// Where a gather reads x from: [start, start + length) of its axis, if it only counts and stays within it.
struct Window {
  Dim start, length;
};
std::optional<Window> match_window(const ir::Graph& graph, const ir::Node& node) {
  const ir::Value *x = node.input(0), *indices = node.input(1);
  IndexReader reader(graph, *node.output());
  const auto form = reader.form(indices);
  if (!form) return std::nullopt;
  const auto axis = static_cast<std::size_t>(node.attrs().i("axis"));
  const auto counting = counting_axis(*indices, *form);
  if (!counting) return std::nullopt;
  const Dim length = indices->shape()[*counting], size = x->shape()[axis];
  const SymbolRange begin = form->constant.bounds(graph.symbols);
  const SymbolRange left = (size - form->constant - length).bounds(graph.symbols);
  if (begin.min < 0 || left.min < 0) return std::nullopt;
  return Window{form->constant, length};
}

Result<ir::Value*> sliced(ir::Graph& graph, ir::Node& node, std::int64_t axis, const Window& window) {
  const ir::Attrs attrs{{"axes", ir::Ints{axis}},
                        {"starts", Dims{window.start}},
                        {"ends", Dims{window.start + window.length}},
                        {"steps", ir::Ints{1}}};
  INTAGLIO_TRY(ir::Value * slice,
               graph.add1({ir::Op::slice, {node.input(0)}, attrs, node.origin(), node.output()->name(), {}}, &node));
  return graph.add1(
      {ir::Op::reshape, {slice}, {{"shape", node.output()->shape()}}, node.origin(), node.output()->name(), {}}, &node);
}

// What the node's output is equal to (made before it), or nullptr.
Result<ir::Value*> equal_value(ir::Graph& graph, ir::Node& node) {
  const auto add = [&](ir::Op op, std::vector<ir::Value*> inputs, ir::Attrs attrs) {
    return graph.add1({op, std::move(inputs), std::move(attrs), node.origin(), node.output()->name(), {}}, &node);
  };
  const ir::OpGroup group = ir::schema(node.op()).group;
  if (group == ir::OpGroup::compare) {
    const auto truth = IndexReader(graph, *node.output()).truth(node.output());
    if (!truth) return nullptr;
    const ir::Attrs attrs{{"shape", node.output()->shape()}, {"value", *truth ? 1.0 : 0.0}, {"to", DType::boolean}};
    return add(ir::Op::full, {}, attrs);
  }
  switch (node.op()) {
    case ir::Op::logical_and:
    case ir::Op::logical_or: {
      if (node.output()->dtype() != DType::boolean) return nullptr;
      const double unit = node.op() == ir::Op::logical_and ? 1 : 0;
      for (std::size_t i = 0; i < 2; ++i) {
        if (splat_value(node.input(i)) == unit && same_shape(node.input(1 - i), node.output()))
          return node.input(1 - i);
      }
      return nullptr;
    }
    case ir::Op::gather_nd:
      if (!is_identity_gather(graph, node)) return nullptr;
      return add(ir::Op::reshape, {node.input(0)}, {{"shape", node.output()->shape()}});
    case ir::Op::gather: {
      const auto window = match_window(graph, node);
      return window ? sliced(graph, node, node.attrs().i("axis"), *window) : nullptr;
    }
    default:
      return nullptr;
  }
}

}  // namespace

Result<int> simplify_indices(ir::Graph& graph, PassContext&) {
  return replace_by_equals(graph, [&](ir::Node& node) { return equal_value(graph, node); });
}

}  // namespace intaglio::passes
