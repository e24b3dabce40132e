// The parts that layer norm and RMS norm have in common when they come as primitives. Nothing here changes the graph
// but `trailing`.
#pragma once

#include "passes/match.h"

namespace intaglio::passes {

// The trailing axes [axis, rank) of a mean with keepdims: that axis; nullopt for any other node (nullptr included).
std::optional<std::int64_t> trailing_mean(const ir::Node* reduce);
// d * d or d ^ 2.
bool is_square_of(const ir::Value* value, const ir::Value* d);

// d * 1/sqrt(u) in its three spellings (d / sqrt u, d * rsqrt u, d * reciprocal(sqrt u)): d and u.
struct Normalised {
  ir::Value* d = nullptr;
  ir::Value* under_root = nullptr;
};
std::optional<Normalised> match_normalised(const ir::Node& node);

// m + epsilon: m and the constant.
struct Shifted {
  ir::Value* value = nullptr;
  double epsilon = 0;
};
std::optional<Shifted> match_epsilon(const ir::Value* value);

// A constant over the normalised axes of x only: trailing dims equal to those of x, leading dims absent or 1.
bool over_normalised_axes(const ir::Value* value, const ir::Value* x, std::int64_t axis);
// The operand without leading 1s (a reshape added before `before`); nullptr stays.
Result<ir::Value*> trailing(ir::Graph& graph, ir::Value* value, const ir::Value* x, std::int64_t axis,
                            ir::Node& before);

}  // namespace intaglio::passes
