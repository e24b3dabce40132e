#include "frontend/onnx/model_index.h"

#include <set>

#include "frontend/onnx/op_table.h"

namespace intaglio::frontend::onnx {
namespace {

std::string_view plain_domain(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view() : domain;
}

class Finder {
 public:
  explicit Finder(const ModelProto& model) : model_(model) {}

  void visit(const std::vector<NodeProto>& nodes) {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const NodeProto& node = nodes[i];
      if (const FunctionProto* function = find_function(model_, node)) {
        if (visited_.insert(function).second) visit(function->nodes);
      } else if (find_op(node.domain, node.op_type) == nullptr) {
        note(node, i);
      }
      for (const AttributeProto& attribute : node.attributes) {
        for (const auto& graph : attribute.graphs) visit(graph->nodes);
      }
    }
  }

  std::vector<UnsupportedOp> found;

 private:
  void note(const NodeProto& node, std::size_t index) {
    const std::string op = qualified_op(node);
    const auto [at, fresh] = position_.try_emplace(op, found.size());
    if (fresh) found.push_back({op, {}});
    found[at->second].nodes.push_back(node_label(node, index));
  }

  const ModelProto& model_;
  std::set<const FunctionProto*> visited_;
  std::map<std::string, std::size_t> position_;
};

}  // namespace

std::int64_t opset_of(const std::vector<OpsetImport>& imports, std::string_view domain) {
  for (const OpsetImport& import : imports) {
    if (plain_domain(import.domain) == plain_domain(domain)) return import.version;
  }
  return 0;
}

const FunctionProto* find_function(const ModelProto& model, const NodeProto& node) {
  for (const FunctionProto& function : model.functions) {
    if (function.name == node.op_type && plain_domain(function.domain) == plain_domain(node.domain) &&
        function.overload == node.overload) {
      return &function;
    }
  }
  return nullptr;
}

std::string qualified_op(const NodeProto& node) {
  const std::string_view domain = plain_domain(node.domain);
  return domain.empty() ? std::string(node.op_type) : std::string(domain) + "::" + std::string(node.op_type);
}

std::string node_label(const NodeProto& node, std::size_t index) {
  return node.name.empty() ? std::string(node.op_type) + "_" + std::to_string(index) : std::string(node.name);
}

std::vector<UnsupportedOp> find_unsupported(const ModelProto& model) {
  Finder finder(model);
  finder.visit(model.graph->nodes);
  return std::move(finder.found);
}

}  // namespace intaglio::frontend::onnx
