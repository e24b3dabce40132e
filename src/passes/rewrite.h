// The step that every fusion ends with.
#pragma once

#include <iterator>
#include <string_view>

#include "passes/match.h"
#include "passes/pass.h"

namespace intaglio::passes {

// What a fusion puts in the place of `last`, whose only output it replaces.
struct Replacement {
  ir::Op op{};
  std::vector<ir::Value*> inputs;
  ir::Attrs attrs;
  ir::Origin origin;
};

// Inserts the replacement before `last`, redirects the uses of its output, erases it, and records the fusion. The
// output must have the same type as before: a different one is an internal error.
Result<ir::Node*> replace(ir::Graph& graph, PassContext& context, std::string_view pattern, ir::Node& last,
                          Replacement with);

// Calls `rewrite` on every node in order (nodes that it adds before the current one are not visited); it returns
// whether it changed something. The visited node may be erased.
template <class Rewrite>
Result<int> for_each_node(ir::Graph& graph, Rewrite&& rewrite) {
  int rewrites = 0;
  for (auto position = graph.nodes().begin(); position != graph.nodes().end();) {
    ir::Node& node = *position++;
    INTAGLIO_TRY(const bool changed, rewrite(node));
    rewrites += changed ? 1 : 0;
  }
  return rewrites;
}

// The same for rewrites that may erase nodes after the visited one: begins again after every one that changed
// something.
template <class Rewrite>
Result<int> for_each_node_again(ir::Graph& graph, Rewrite&& rewrite) {
  int rewrites = 0;
  for (auto position = graph.nodes().begin(); position != graph.nodes().end();) {
    INTAGLIO_TRY(const bool changed, rewrite(*position));
    rewrites += changed ? 1 : 0;
    position = changed ? graph.nodes().begin() : std::next(position);
  }
  return rewrites;
}

// Every node whose only output equals another value, which equal_value(node) returns (nullptr: there is none), gives
// way to it.
template <class EqualValue>
Result<int> replace_by_equals(ir::Graph& graph, EqualValue&& equal_value) {
  return for_each_node(graph, [&](ir::Node& node) -> Result<bool> {
    INTAGLIO_TRY(ir::Value* const same, Result<ir::Value*>(equal_value(node)));
    if (same == nullptr) return false;
    graph.replace_all_uses(node.output(), same);
    graph.erase(&node);
    return true;
  });
}

}  // namespace intaglio::passes
