// Before:  %y = reshape(%x) {shape = shape of %x}      After:  %x
// The same for: cast to the own dtype, transpose with the identity, expand to the own shape, slices of everything,
// concat of one part, pad by nothing, x * 1, x / 1, x + 0, x - 0 and where with equal branches. x + 0 turns -0 into +0;
// nobody can tell the two apart after an addition, but x - 0 and x * 1 are exact for every x.
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> remove_identities(ir::Graph& graph, PassContext& context);

namespace {

bool is_identity(const ir::Ints& perm) {
  for (std::size_t i = 0; i < perm.size(); ++i) {
    if (perm[i] != static_cast<std::int64_t>(i)) return false;
  }
  return true;
}

bool all_zero(const Dims& dims) {
  for (const Dim& dim : dims) {
    if (dim != Dim(0)) return false;
  }
  return true;
}

bool takes_everything(const ir::Node& slice) {
  const Dims& shape = slice.input(0)->shape();
  const ir::Ints& axes = slice.attrs().ints("axes");
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const Dim& dim = shape[static_cast<std::size_t>(axes[i])];
    if (slice.attrs().dims("starts")[i] != Dim(0) || slice.attrs().dims("ends")[i] != dim ||
        slice.attrs().ints("steps")[i] != 1) {
      return false;
    }
  }
  return true;
}

// The operand that a binary node passes through unchanged, or nullptr.
ir::Value* neutral(const ir::Node& node, double unit, bool commutative) {
  ir::Value* a = node.input(0);
  ir::Value* b = node.input(1);
  if (splat_value(b) == unit && same_shape(a, node.output())) return a;
  if (commutative && splat_value(a) == unit && same_shape(b, node.output())) return b;
  return nullptr;
}

// What the node's output is equal to, or nullptr.
ir::Value* equal_value(const ir::Node& node) {
  ir::Value* x = node.input(0);
  switch (node.op()) {
    case ir::Op::cast:
      return x->dtype() == node.output()->dtype() ? x : nullptr;
    case ir::Op::reshape:
    case ir::Op::expand:
      return same_shape(x, node.output()) ? x : nullptr;
    case ir::Op::transpose:
      return is_identity(node.attrs().ints("perm")) ? x : nullptr;
    case ir::Op::slice:
      return takes_everything(node) ? x : nullptr;
    case ir::Op::concat:
      return node.inputs().size() == 1 ? x : nullptr;
    case ir::Op::pad:
      return all_zero(node.attrs().dims("before")) && all_zero(node.attrs().dims("after")) ? x : nullptr;
    case ir::Op::mul:
      return neutral(node, 1, true);
    case ir::Op::div:
      return neutral(node, 1, false);
    case ir::Op::add:
      return neutral(node, 0, true);
    case ir::Op::sub:
      return neutral(node, 0, false);
    case ir::Op::where: {
      ir::Value* a = node.input(1);
      return a == node.input(2) && same_shape(a, node.output()) ? a : nullptr;
    }
    default:
      return nullptr;
  }
}

}  // namespace

Result<int> remove_identities(ir::Graph& graph, PassContext&) {
  return replace_by_equals(graph, [&](ir::Node& node) { return equal_value(node); });
}

}  // namespace intaglio::passes
