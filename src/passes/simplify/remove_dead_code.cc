// Drops nodes and constants that no output needs.
#include "passes/pass.h"

namespace intaglio::passes {

Result<int> remove_dead_code(ir::Graph& graph, PassContext& context);

Result<int> remove_dead_code(ir::Graph& graph, PassContext&) {
  return graph.erase_dead();
}

}  // namespace intaglio::passes
