// A program into a graph: walks the fx graph once, node by node, through the op table.
#pragma once

#include <vector>

#include "frontend/builder.h"
#include "frontend/frontend.h"
#include "frontend/pt2/archive.h"

namespace intaglio::frontend::pt2 {

// Every op of the program (subgraphs included) that has no row in the op table.
std::vector<UnsupportedOp> unsupported_ops(const Program& program);

// Adds the program's inputs, nodes and outputs to `graph`. Precondition: unsupported_ops is empty. Weights that nothing
// uses are never read. Errors name the node, its op and the Python line it came from.
Status translate(const Archive& archive, const ImportOptions& options, ir::Graph& graph);

// "modeling_bert.py:343 encoder.layer.0": the innermost Python frame and the module path, as far as the file has them.
std::string source_of(const NodeRecord& node);

// A size of a tensor of the program as a Dim; symbols keep torch's names ("s43"), made legal.
Result<Dim> dim_of(const SizeExpr& size);

}  // namespace intaglio::frontend::pt2
