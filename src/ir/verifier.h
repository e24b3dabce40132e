#pragma once

#include "ir/graph.h"

namespace intaglio::ir {

// Checks every promise of a graph: topological order, use lists, attributes against the schema, types against infer(),
// unique names, symbols declared, outputs defined. Errors (internal) name the node. Run after every pass in tests and
// debug builds, and on every graph that a frontend or the text parser made.
Status verify(const Graph& graph);

}  // namespace intaglio::ir
