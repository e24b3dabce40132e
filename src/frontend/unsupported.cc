#include "frontend/frontend.h"

namespace intaglio::frontend {
namespace {

constexpr std::size_t kNodesNamed = 5;  // per op; the count of the others follows

std::string describe(const UnsupportedOp& op) {
  std::string text = op.op + (op.nodes.size() == 1 ? " (node " : " (nodes ");
  for (std::size_t i = 0; i < op.nodes.size() && i < kNodesNamed; ++i) text += (i > 0 ? ", " : "") + op.nodes[i];
  if (op.nodes.size() > kNodesNamed) text += " and " + std::to_string(op.nodes.size() - kNodesNamed) + " more";
  return text + ")";
}

std::string hint_for(const std::vector<UnsupportedOp>& ops) {
  for (const UnsupportedOp& op : ops) {
    if (op.op == "If" || op.op == "Loop" || op.op == "Scan")
      return "control flow is not supported: export the model without it (fixed shapes often remove it)";
    if (op.op.starts_with("Sequence") || op.op.starts_with("Optional") || op.op == "SplitToSequence" ||
        op.op == "ConcatFromSequence") {
      return "sequences and optionals are not supported";
    }
    if (op.op.starts_with("String") || op.op == "RegexFullMatch" || op.op == "TfIdfVectorizer")
      return "strings are not supported";
    if (op.op.starts_with("com.microsoft::"))
      return "ops of ONNX Runtime's own domain appear in optimised models: import the model as it was exported";
  }
  return {};
}

}  // namespace

Error unsupported_error(const std::vector<UnsupportedOp>& ops, const std::filesystem::path& path) {
  std::string message = std::to_string(ops.size()) + (ops.size() == 1 ? " unsupported op: " : " unsupported ops: ");
  for (std::size_t i = 0; i < ops.size(); ++i) message += (i > 0 ? ", " : "") + describe(ops[i]);
  return {ErrorCode::unsupported, std::move(message), path.string(), hint_for(ops)};
}

}  // namespace intaglio::frontend
