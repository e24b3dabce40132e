// Small questions that many patterns ask. All tolerate nullptr (absent operands) and never change the graph.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace intaglio::passes {

// The node that makes `value` if its op is `op`, else nullptr.
ir::Node* made_by(const ir::Value* value, ir::Op op);
// The only user of `value` if it has exactly one use and that is a node (not a graph output) of op `op`, else nullptr.
ir::Node* only_user(const ir::Value* value, ir::Op op);

// The linear or quantized_linear that makes `value`, else nullptr.
ir::Node* linear_of(const ir::Value* value);
// Of a linear or quantized_linear: the operand that is its residual, and its operands with that one in its place.
std::size_t residual_slot(const ir::Node& linear);
std::vector<ir::Value*> with_residual(const ir::Node& linear, ir::Value* residual);

// The value of a constant with one element (any rank), or of a constant whose elements are all equal; also of a `full`
// node (symbolic shape), and of these behind reshape and expand.
std::optional<double> splat_value(const ir::Value* value);
// Is it a constant whose every element is `expected` (relative difference at most 1e-6, for decimal spellings of
// irrational factors such as 0.7978845608)?
bool is_splat(const ir::Value* value, double expected);

// For a commutative node: (x, other) where `other` satisfies the predicate; nullopt if neither operand does.
template <class Predicate>
std::optional<std::pair<ir::Value*, ir::Value*>> split_operands(const ir::Node& node, Predicate&& is_other) {
  if (is_other(node.input(1))) return std::pair{node.input(0), node.input(1)};
  if (is_other(node.input(0))) return std::pair{node.input(1), node.input(0)};
  return std::nullopt;
}
// x of mul(x, c), mul(c, x) or div(x, 1/c) with a splat constant c, and c; nullopt otherwise.
struct Scaled {
  ir::Value* x = nullptr;
  double factor = 1;
};
std::optional<Scaled> match_scale(const ir::Value* value);

// Do the shapes provably agree?
bool same_shape(const ir::Value* a, const ir::Value* b);
// The shape without leading 1s is [n] or []: a vector along the last axis, a bias.
bool is_row_vector(const ir::Value* value, const Dim& n);

// Origins of fused nodes: the distinct names joined by "; ", the first source.
ir::Origin merge_origins(std::initializer_list<const ir::Node*> nodes);

}  // namespace intaglio::passes
