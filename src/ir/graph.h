// The graph: values and nodes in topological order, with use lists kept up to date. Not thread safe; a graph belongs to
// one compilation.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dim.h"
#include "ir/op.h"
#include "ir/tensor.h"

namespace intaglio {
class MappedFile;
}

namespace intaglio::ir {

class Graph;
class Node;
Graph clone(const Graph& graph);

// Where a node came from: the ONNX node's name, or the Python source line that a .pt2 carries. Passes merge origins of
// what they fuse ("a; b").
struct Origin {
  std::string name;    // "/encoder/layer.0/attention/MatMul", or the fx node's name
  std::string source;  // "modeling_bert.py:343" and the module path, when known
  friend bool operator==(const Origin&, const Origin&) = default;
};

struct Use {
  Node* node = nullptr;  // nullptr: the graph's output list
  int index = 0;         // operand or output index
};

class Value {
 public:
  const std::string& name() const { return name_; }  // unique in the graph; printed as %name
  const Type& type() const { return type_; }
  DType dtype() const { return type_.dtype; }
  const Dims& shape() const { return type_.shape; }
  int rank() const { return static_cast<int>(type_.shape.size()); }

  Node* producer() const { return producer_; }  // nullptr for inputs and constants
  int output_index() const { return output_index_; }
  bool is_input() const { return producer_ == nullptr && !constant_; }
  bool is_constant() const { return constant_.has_value(); }
  const Tensor& constant() const { return *constant_; }  // precondition: is_constant()
  std::span<const Use> uses() const { return uses_; }
  bool has_one_use() const { return uses_.size() == 1; }
  // Which values this one computes: see Graph::remember_values. Several: those, side by side along the last axis.
  const std::vector<std::string>& sources() const;

 private:
  friend class Graph;
  friend Graph clone(const Graph& graph);
  std::string name_;
  std::vector<std::string> sources_;
  Type type_;
  Node* producer_ = nullptr;
  int output_index_ = 0;
  std::optional<Tensor> constant_;
  std::vector<Use> uses_;
  std::list<Value>::iterator self_;
};

class Node {
 public:
  Op op() const { return op_; }
  std::span<Value* const> inputs() const { return inputs_; }  // absent optional operands are nullptr
  // Operand i, or nullptr when it is absent or past the end.
  Value* input(std::size_t i) const { return i < inputs_.size() ? inputs_[i] : nullptr; }
  std::span<Value* const> outputs() const { return outputs_; }
  Value* output(std::size_t i = 0) const { return outputs_[i]; }
  const Attrs& attrs() const { return attrs_; }
  const Origin& origin() const { return origin_; }
  void set_origin(Origin origin) { origin_ = std::move(origin); }

 private:
  friend class Graph;
  friend Graph clone(const Graph& graph);
  Op op_{};
  std::vector<Value*> inputs_;
  std::vector<Value*> outputs_;
  Attrs attrs_;
  Origin origin_;
  std::list<Node>::iterator self_;
};

// What add() needs; `inputs` may hold nullptr for absent optional operands.
struct NodeSpec {
  Op op{};
  std::vector<Value*> inputs;
  Attrs attrs;
  Origin origin;
  std::string name_hint;                  // for the output values; the op's name if empty
  std::vector<std::string> output_names;  // one hint per output, instead of name_hint; may be empty
};

// A named end of the graph. `name` is what users see ("last_hidden_state"), independent of the value's name.
struct Port {
  std::string name;
  Value* value = nullptr;
};

class Graph {
 public:
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  Graph(Graph&&) = default;
  Graph& operator=(Graph&&) = default;

  std::string name;
  SymbolRanges symbols;          // every symbol that occurs in a type or attribute, with its declared range
  std::vector<DimGuard> guards;  // equalities that a binding must satisfy
  std::vector<std::shared_ptr<const MappedFile>> files;  // in which bytes of constants may lie

  // ---- building
  // Symbols of types and attributes that are not in `symbols` yet are declared with the default range. Value names are
  // made unique, and legal for the text form, from the hints ("a/b" -> "a_b"); a free legal hint is taken as it is.
  Value* add_input(std::string_view port_name, Type type, std::string_view name_hint = {});
  Value* add_constant(Tensor tensor, std::string_view name_hint = "c");
  // Completes attributes, infers types (recording guards) and inserts before `before` (nullptr: at the end).
  // Precondition: inputs are defined before that point. Errors: whatever complete_attrs and infer report, with origin.
  Result<Node*> add(NodeSpec spec, Node* before = nullptr);
  // The same for ops with one output.
  Result<Value*> add1(NodeSpec spec, Node* before = nullptr);
  void add_output(std::string_view port_name, Value* value);
  void add_guard(DimGuard guard);  // nothing if the same pair (in either order) is already there

  // ---- rewriting. Types are not inferred again: what replaces a value must have its type (verify() checks).
  // Outputs of the graph included. What takes the place of `from` without sources of its own gets those of `from`:
  // `to`, and what `to` is a reshape or a floating-point cast of.
  void replace_all_uses(Value* from, Value* to);
  // From now on every value knows which of the present ones it computes, up to rounding: value.sources() is the name of
  // that one (the value itself now, its replacements later), or empty for what rewriting adds in between.
  void remember_values();
  // For a value that holds others side by side along its last axis, before they go: its sources are theirs, in order.
  // Nothing if one of them has not exactly one.
  void remember_parts(Value* whole, std::span<const Value* const> parts);
  void set_input(Node* node, std::size_t index, Value* value);
  void set_output(std::size_t index, Value* value);
  // Precondition: no output of the node is used.
  void erase(Node* node);
  // Erases nodes and constants that no output needs; returns how many nodes went.
  int erase_dead();
  // Precondition: it is not used. For large ones that cannot wait for erase_dead.
  void erase_constant(Value* constant);
  // The bytes of a constant that nobody will read any more go if the value is the last that holds them. What is left
  // of it is a type: for those who take a graph apart.
  void drop_bytes(Value* constant);

  // ---- reading
  std::list<Node>& nodes() { return nodes_; }
  const std::list<Node>& nodes() const { return nodes_; }
  const std::list<Value>& values() const { return values_; }
  std::span<const Port> inputs() const { return inputs_; }
  std::span<const Port> outputs() const { return outputs_; }
  const Port* find_input(std::string_view port_name) const;
  Value* find_value(std::string_view value_name) const;  // linear; for parsers and tests
  std::size_t constant_bytes() const;                    // distinct owners of constants counted once per value
  // Pages of a file that hold only this tensor no longer count as memory of the process; they stay readable. For
  // weights that were just copied into another form: else they would be held twice.
  void release_pages(const Tensor& tensor) const;

 private:
  friend Graph clone(const Graph& graph);
  Value* new_value(std::string_view name_hint, Type type);
  std::string unique_name(std::string_view hint);
  void declare_symbols(const Dims& dims);
  void declare_symbols(const Attrs& attrs);

  std::list<Node> nodes_;
  std::list<Value> values_;
  std::vector<Port> inputs_, outputs_;
  std::map<std::string, int, std::less<>> name_counters_;
};

// May this be the name of a value in the text form? [A-Za-z0-9_.]+
bool is_value_name(std::string_view name);

// A deep copy (constants share their bytes).
Graph clone(const Graph& graph);

}  // namespace intaglio::ir
