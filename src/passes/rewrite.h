// The step that every fusion ends with.
#pragma once

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

}  // namespace intaglio::passes
