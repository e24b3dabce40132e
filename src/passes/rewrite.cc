#include "passes/rewrite.h"

namespace intaglio::passes {

Result<ir::Node*> replace(ir::Graph& graph, PassContext& context, std::string_view pattern, ir::Node& last,
                          Replacement with) {
  ir::NodeSpec spec{
      with.op, std::move(with.inputs), std::move(with.attrs), std::move(with.origin), last.output()->name(), {}};
  INTAGLIO_TRY(ir::Node * node, graph.add(std::move(spec), &last));
  if (node->output()->type() != last.output()->type()) {
    return fail(ErrorCode::internal,
                "pattern " + std::string(pattern) + " would change the type from " + to_string(last.output()->type()) +
                    " to " + to_string(node->output()->type()),
                "node '" + last.origin().name + "'");
  }
  graph.replace_all_uses(last.output(), node->output());
  graph.erase(&last);
  context.applied(pattern, *node);
  return node;
}

}  // namespace intaglio::passes
