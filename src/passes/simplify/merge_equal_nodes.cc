// Before:  %a = mul(%x, %s);  %b = mul(%x, %s)      After:  %a used for both
// Every op of the IR is a pure function, so equal op, operands and attributes mean equal results. Constants with equal
// dtype, shape and bytes count as equal operands (GPT-J has its table of rotations once in every layer), also large
// ones, until so many bytes are compared that a file must have been made for it.
#include <algorithm>
#include <cstring>
#include <map>

#include "passes/pass.h"

namespace intaglio::passes {

Result<int> merge_equal_nodes(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::size_t kEnds = 256;                             // bytes by which nearly all different constants differ
constexpr std::size_t kMostCompared = std::size_t{256} << 20;  // of all constants together

// Constants that stand for each other get one representative.
class Constants {
 public:
  const ir::Value* representative(const ir::Value* value) {
    if (value == nullptr || !value->is_constant()) return value;
    const auto [position, inserted] = known_.emplace(value, value);
    if (inserted) position->second = find(value);
    return position->second;
  }

 private:
  // Constants of one dtype and shape with the same first and last bytes.
  struct Key {
    DType dtype;
    Shape shape;
    std::string bytes;
    auto operator<=>(const Key&) const = default;
  };

  const ir::Value* find(const ir::Value* value) {
    const ir::Tensor& tensor = value->constant();
    Key key{tensor.dtype, tensor.shape, {}};
    const auto* bytes = reinterpret_cast<const char*>(tensor.data);
    const std::size_t end = std::min(tensor.bytes, kEnds);
    key.bytes.assign(bytes, end);
    key.bytes.append(bytes + tensor.bytes - end, end);
    std::vector<const ir::Value*>& alike = different_[std::move(key)];
    for (const ir::Value* other : alike) {
      if (equal(tensor, other->constant())) return other;
    }
    alike.push_back(value);
    return value;
  }

  bool equal(const ir::Tensor& a, const ir::Tensor& b) {
    if (a.data == b.data || a.bytes <= kEnds) return true;  // small ones: by the key
    if (a.bytes > kMostCompared - compared_) return false;
    compared_ += a.bytes;
    return std::memcmp(a.data, b.data, a.bytes) == 0;
  }

  std::map<Key, std::vector<const ir::Value*>> different_;
  std::map<const ir::Value*, const ir::Value*> known_;
  std::size_t compared_ = 0;
};

struct NodeKey {
  ir::Op op;
  std::vector<const ir::Value*> inputs;
  auto operator<=>(const NodeKey&) const = default;
};

}  // namespace

Result<int> merge_equal_nodes(ir::Graph& graph, PassContext&) {
  int rewrites = 0;
  Constants constants;
  std::map<NodeKey, std::vector<ir::Node*>> seen;  // same op and operands; attributes are compared one by one
  for (auto position = graph.nodes().begin(); position != graph.nodes().end();) {
    ir::Node& node = *position++;
    NodeKey key{node.op(), {}};
    for (const ir::Value* input : node.inputs()) key.inputs.push_back(constants.representative(input));
    std::vector<ir::Node*>& alike = seen[key];
    ir::Node* twin = nullptr;
    for (ir::Node* other : alike) {
      if (other->attrs() == node.attrs()) twin = other;
    }
    if (twin == nullptr) {
      alike.push_back(&node);
      continue;
    }
    for (std::size_t i = 0; i < node.outputs().size(); ++i) graph.replace_all_uses(node.output(i), twin->output(i));
    graph.erase(&node);
    ++rewrites;
  }
  return rewrites;
}

}  // namespace intaglio::passes
