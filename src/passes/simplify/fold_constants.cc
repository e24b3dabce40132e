// Before:  %y = add(%c1, %c2)   (constants)      After:  const %y
// Bounded: a result may have at most max(fold_limit_bytes, 4x the bytes of its operands), so that a small file cannot
// ask for a huge plan. What is refused stays in the graph and runs, and is reported once. Transposed weights of matrix
// products are left to fuse_linear, which reads them in place.
#include <fmt/format.h>

#include "interp/interp.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace intaglio::passes {

Result<int> fold_constants(ir::Graph& graph, PassContext& context);

namespace {

bool operands_constant(const ir::Node& node) {
  for (const ir::Value* input : node.inputs()) {
    if (input != nullptr && !input->is_constant()) return false;
  }
  return true;
}

// The bytes of all results, or nullopt when a dim is symbolic or the product overflows.
std::optional<std::size_t> result_bytes(const ir::Node& node) {
  std::size_t total = 0;
  for (const ir::Value* output : node.outputs()) {
    const auto shape = constant_values(output->shape());
    if (!shape) return std::nullopt;
    const auto bytes = byte_count(*shape, output->dtype());
    if (!bytes) return std::nullopt;
    total += *bytes;
  }
  return total;
}

std::size_t operand_bytes(const ir::Node& node) {
  std::size_t total = 0;
  for (const ir::Value* input : node.inputs()) total += input == nullptr ? 0 : input->constant().bytes;
  return total;
}

bool attrs_constant(const ir::Node& node) {
  for (const auto& [name, attr] : node.attrs().items()) {
    if (const auto* dim = std::get_if<Dim>(&attr); dim != nullptr && !dim->is_constant()) return false;
    if (const auto* dims = std::get_if<Dims>(&attr); dims != nullptr && !constant_values(*dims)) return false;
  }
  return true;
}

// The second operand of a matrix product may stay a transpose of a weight: it costs nothing there and a copy here.
bool is_weight_transpose(const ir::Node& node) {
  if (node.op() != ir::Op::transpose || node.output()->rank() != 2) return false;
  for (const ir::Use& use : node.output()->uses()) {
    const bool weight =
        use.node != nullptr && (use.node->op() == ir::Op::matmul || use.node->op() == ir::Op::linear) && use.index == 1;
    if (!weight) return false;
  }
  return true;
}

Result<bool> fold(ir::Graph& graph, PassContext& context, ir::Node& node) {
  if (!operands_constant(node) || !attrs_constant(node) || is_weight_transpose(node)) return false;
  const auto bytes = result_bytes(node);
  if (!bytes) return false;
  if (*bytes > std::max(context.options().fold_limit_bytes, 4 * operand_bytes(node))) {
    context.near_miss("fold_constants", node, fmt::format("the result would have {} bytes, over the limit", *bytes));
    return false;
  }
  std::vector<const ir::Tensor*> operands;
  for (const ir::Value* input : node.inputs()) operands.push_back(input == nullptr ? nullptr : &input->constant());
  auto results = interp::eval(node, operands, {});
  if (!results) {
    // Wrong data (a division by zero, an index out of range) is the run's to report, when it really happens.
    context.near_miss("fold_constants", node, results.error().message);
    return false;
  }
  for (const ir::Tensor* operand : operands) {
    if (operand != nullptr) graph.release_pages(*operand);
  }
  for (std::size_t i = 0; i < results->size(); ++i) {
    ir::Value* constant = graph.add_constant(std::move((*results)[i]), node.output(i)->name());
    graph.replace_all_uses(node.output(i), constant);
  }
  graph.erase(&node);
  return true;
}

}  // namespace

Result<int> fold_constants(ir::Graph& graph, PassContext& context) {
  int rewrites = 0;
  for (auto position = graph.nodes().begin(); position != graph.nodes().end();) {
    ir::Node& node = *position++;
    INTAGLIO_TRY(const bool folded, fold(graph, context, node));
    rewrites += folded ? 1 : 0;
  }
  return rewrites;
}

}  // namespace intaglio::passes
