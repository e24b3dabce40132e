// What integers of positions are made of: iota and arithmetic on it, followed through reshapes, slices and gathers.
// Used to recognise masks and gathers that only spell out positions. Never changes the graph.
#pragma once

#include <optional>
#include <vector>

#include "ir/graph.h"

namespace intaglio::passes {

// value[i0, i1, ..] = constant + sum of step[a] * i_a.
struct IndexForm {
  Dim constant;
  std::vector<std::int64_t> step;  // one per axis of the value
  // Are all elements equal?
  bool uniform() const;
};

// Reads forms of the values that `root` is made of. What it says holds where root has elements: symbols that are a dim
// of root count as at least 1 there.
class IndexReader {
 public:
  IndexReader(const ir::Graph& graph, const ir::Value& root);
  // nullopt: not an integer (or truth value as 0 and 1) of such a form, or not within the limits of the search.
  std::optional<IndexForm> form(const ir::Value* value);
  // a - b of a comparison's operands, in the axes of the comparison's result.
  std::optional<IndexForm> difference(const ir::Node& compare);
  // The value of a bool tensor whose elements are all provably the same.
  std::optional<bool> truth(const ir::Value* value);
  // min and max decided where the ranges allow it.
  Dim simplified(const Dim& dim) const;

 private:
  std::optional<IndexForm> of_node(const ir::Node& node);
  std::optional<IndexForm> of_constant(const ir::Value& value) const;
  std::optional<IndexForm> of_binary(const ir::Node& node);
  std::optional<IndexForm> of_movement(const ir::Node& node);
  std::optional<IndexForm> of_concat(const ir::Node& node);
  std::optional<IndexForm> of_gather_nd(const ir::Node& node);
  std::optional<bool> truth_of_node(const ir::Node& node);

  SymbolRanges ranges_;
  int budget_ = 400;  // nodes looked at: graphs share operands, and the search does not remember
};

}  // namespace intaglio::passes
