#include "ir/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>
#include <stdexcept>
#include <unordered_map>

#include "base/file.h"

namespace intaglio::ir {

bool is_value_name(std::string_view name) {
  return !name.empty() && name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.") ==
                              std::string_view::npos;
}

namespace {

std::string legal_name(std::string_view hint) {
  std::string name(hint.empty() ? "v" : hint);
  for (char& c : name) {
    if (!is_value_name({&c, 1})) c = '_';
  }
  return name;
}

}  // namespace

std::string Graph::unique_name(std::string_view hint) {
  std::string base = legal_name(hint);
  auto [counter, fresh] = name_counters_.try_emplace(base, 0);
  if (fresh) return base;
  while (true) {
    std::string candidate = fmt::format("{}_{}", base, ++counter->second);
    if (name_counters_.try_emplace(candidate, 0).second) return candidate;
  }
}

Value* Graph::new_value(std::string_view name_hint, Type type) {
  declare_symbols(type.shape);
  values_.emplace_back();
  Value& value = values_.back();
  value.self_ = std::prev(values_.end());
  value.name_ = unique_name(name_hint);
  value.type_ = std::move(type);
  return &value;
}

void Graph::declare_symbols(const Dims& dims) {
  std::vector<std::string> names;
  for (const Dim& dim : dims) dim.collect_symbols(names);
  for (const std::string& symbol : names) symbols.try_emplace(symbol);
}

void Graph::declare_symbols(const Attrs& attrs) {
  for (const auto& item : attrs.items()) {
    if (const auto* dims = std::get_if<Dims>(&item.second)) declare_symbols(*dims);
    if (const auto* dim = std::get_if<Dim>(&item.second)) declare_symbols(Dims{*dim});
  }
}

Value* Graph::add_input(std::string_view port_name, Type type, std::string_view name_hint) {
  Value* value = new_value(name_hint.empty() ? port_name : name_hint, std::move(type));
  inputs_.push_back(Port{std::string(port_name), value});
  return value;
}

Value* Graph::add_constant(Tensor tensor, std::string_view name_hint) {
  Value* value = new_value(name_hint, Type{tensor.dtype, constant_dims(tensor.shape)});
  value->constant_ = std::move(tensor);
  return value;
}

void Graph::add_guard(DimGuard guard) {
  const bool known = std::any_of(guards.begin(), guards.end(), [&](const DimGuard& other) {
    return (other.a == guard.a && other.b == guard.b) || (other.a == guard.b && other.b == guard.a);
  });
  if (!known) guards.push_back(std::move(guard));
}

Result<Node*> Graph::add(NodeSpec spec, Node* before) {
  const OpSchema& s = schema(spec.op);
  const std::string where = spec.origin.name.empty() ? std::string(s.name) : spec.origin.name;
  if (auto status = complete_attrs(spec.op, spec.attrs); !status) return fail(std::move(status).error().at(where));
  std::vector<const Type*> types;
  for (const Value* input : spec.inputs) types.push_back(input == nullptr ? nullptr : &input->type());
  std::vector<DimGuard> found;
  auto inferred = infer(spec.op, types, spec.attrs, InferContext{&found, where, &symbols});
  if (!inferred) return fail(std::move(inferred).error().at(where));
  declare_symbols(spec.attrs);
  for (DimGuard& guard : found) add_guard(std::move(guard));

  const auto place = nodes_.emplace(before == nullptr ? nodes_.end() : before->self_);
  Node& node = *place;
  node.self_ = place;
  node.op_ = spec.op;
  node.inputs_ = std::move(spec.inputs);
  node.attrs_ = std::move(spec.attrs);
  node.origin_ = std::move(spec.origin);
  for (std::size_t i = 0; i < node.inputs_.size(); ++i) {
    if (node.inputs_[i] != nullptr) node.inputs_[i]->uses_.push_back(Use{&node, static_cast<int>(i)});
  }
  for (std::size_t i = 0; i < inferred->size(); ++i) {
    std::string hint = spec.name_hint.empty() ? std::string(s.name) : spec.name_hint;
    if (i > 0) hint += "_" + s.outputs[i];
    if (i < spec.output_names.size()) hint = spec.output_names[i];
    Value* value = new_value(hint, std::move((*inferred)[i]));
    value->producer_ = &node;
    value->output_index_ = static_cast<int>(i);
    node.outputs_.push_back(value);
  }
  return &node;
}

Result<Value*> Graph::add1(NodeSpec spec, Node* before) {
  INTAGLIO_TRY(Node* const node, add(std::move(spec), before));
  return node->output();
}

void Graph::add_output(std::string_view port_name, Value* value) {
  value->uses_.push_back(Use{nullptr, static_cast<int>(outputs_.size())});
  outputs_.push_back(Port{std::string(port_name), value});
}

namespace {

void drop_use(std::vector<Use>& uses, const Node* node, std::size_t index) {
  const auto use = std::find_if(uses.begin(), uses.end(),
                                [&](const Use& u) { return u.node == node && u.index == static_cast<int>(index); });
  if (use != uses.end()) uses.erase(use);
}

}  // namespace

namespace {

// The operand that `value` has the elements of, in the same order and up to rounding; nullptr if there is none.
Value* same_elements(const Value* value) {
  const Node* node = value->producer();
  if (node == nullptr) return nullptr;
  const bool rounds = node->op() == Op::cast && is_floating(value->dtype()) && is_floating(node->input(0)->dtype());
  return rounds || node->op() == Op::reshape ? node->input(0) : nullptr;
}

}  // namespace

const std::vector<std::string>& Value::sources() const {
  const Value* value = this;
  for (const Value* of = value; of != nullptr && value->sources_.empty(); of = same_elements(of)) value = of;
  return value->sources_;
}

void Graph::remember_values() {
  for (Value& value : values_) value.sources_ = {value.name_};
}

void Graph::remember_parts(Value* whole, std::span<const Value* const> parts) {
  std::vector<std::string> sources;
  for (const Value* part : parts) {
    if (part->sources().size() == 1) sources.push_back(part->sources()[0]);
  }
  if (sources.size() == parts.size()) whole->sources_ = std::move(sources);
}

void Graph::replace_all_uses(Value* from, Value* to) {
  if (from == to) return;
  for (Value* value = to; value != nullptr && value->sources_.empty(); value = same_elements(value)) {
    value->sources_ = from->sources_;
  }
  for (const Use& use : from->uses_) {
    const auto index = static_cast<std::size_t>(use.index);
    (use.node == nullptr ? outputs_[index].value : use.node->inputs_[index]) = to;
    to->uses_.push_back(use);
  }
  from->uses_.clear();
}

void Graph::set_input(Node* node, std::size_t index, Value* value) {
  if (index >= node->inputs_.size()) node->inputs_.resize(index + 1, nullptr);
  if (Value* old = node->inputs_[index]; old != nullptr) drop_use(old->uses_, node, index);
  node->inputs_[index] = value;
  if (value != nullptr) value->uses_.push_back(Use{node, static_cast<int>(index)});
}

void Graph::set_output(std::size_t index, Value* value) {
  drop_use(outputs_[index].value->uses_, nullptr, index);
  outputs_[index].value = value;
  value->uses_.push_back(Use{nullptr, static_cast<int>(index)});
}

void Graph::erase(Node* node) {
  for (const Value* output : node->outputs_) {
    if (!output->uses_.empty()) throw std::logic_error("Graph::erase: a result of the node is still used");
  }
  for (std::size_t i = 0; i < node->inputs_.size(); ++i) {
    if (node->inputs_[i] != nullptr) drop_use(node->inputs_[i]->uses_, node, i);
  }
  for (const Value* output : node->outputs_) values_.erase(output->self_);
  nodes_.erase(node->self_);
}

int Graph::erase_dead() {
  int erased = 0;
  for (auto it = nodes_.end(); it != nodes_.begin();) {  // users come after what they use
    Node& node = *--it;
    const bool used =
        std::any_of(node.outputs_.begin(), node.outputs_.end(), [](const Value* v) { return !v->uses_.empty(); });
    if (used) continue;
    ++it;
    erase(&node);
    ++erased;
  }
  for (auto it = values_.begin(); it != values_.end();) {
    it = it->is_constant() && it->uses_.empty() ? values_.erase(it) : std::next(it);
  }
  return erased;
}

void Graph::erase_constant(Value* constant) {
  values_.erase(constant->self_);
}

void Graph::drop_bytes(Value* constant) {
  Tensor& tensor = *constant->constant_;
  tensor.owner.reset();
  tensor.data = nullptr;
  tensor.bytes = 0;
}

void Graph::release_pages(const Tensor& tensor) const {
  const std::less_equal<const std::byte*> not_after;  // of pointers into different objects
  for (const auto& file : files) {
    const auto bytes = file->bytes();
    if (not_after(bytes.data(), tensor.data) && not_after(tensor.data + tensor.bytes, bytes.data() + bytes.size()))
      file->release_pages({tensor.data, tensor.bytes});
  }
}

const Port* Graph::find_input(std::string_view port_name) const {
  const auto port = std::find_if(inputs_.begin(), inputs_.end(), [&](const Port& p) { return p.name == port_name; });
  return port == inputs_.end() ? nullptr : &*port;
}

Value* Graph::find_value(std::string_view value_name) const {
  for (const Value& value : values_) {
    if (value.name_ == value_name) return const_cast<Value*>(&value);  // NOLINT: the graph hands out mutable values
  }
  return nullptr;
}

std::size_t Graph::constant_bytes() const {
  std::set<const std::byte*> seen;
  std::size_t bytes = 0;
  for (const Value& value : values_) {
    if (value.constant_ && seen.insert(value.constant_->data).second) bytes += value.constant_->bytes;
  }
  return bytes;
}

Graph clone(const Graph& graph) {
  Graph copy;
  copy.name = graph.name;
  copy.symbols = graph.symbols;
  copy.guards = graph.guards;
  copy.files = graph.files;
  copy.name_counters_ = graph.name_counters_;
  std::unordered_map<const Value*, Value*> values;
  std::unordered_map<const Node*, Node*> nodes;
  for (const Value& value : graph.values_) {
    Value& twin = copy.values_.emplace_back(value);
    twin.self_ = std::prev(copy.values_.end());
    values.emplace(&value, &twin);
  }
  for (const Node& node : graph.nodes_) {
    Node& twin = copy.nodes_.emplace_back(node);
    twin.self_ = std::prev(copy.nodes_.end());
    nodes.emplace(&node, &twin);
    for (Value*& input : twin.inputs_) input = input == nullptr ? nullptr : values.at(input);
    for (Value*& output : twin.outputs_) output = values.at(output);
  }
  for (Value& twin : copy.values_) {
    if (twin.producer_ != nullptr) twin.producer_ = nodes.at(twin.producer_);
    for (Use& use : twin.uses_) use.node = use.node == nullptr ? nullptr : nodes.at(use.node);
  }
  for (const Port& port : graph.inputs_) copy.inputs_.push_back(Port{port.name, values.at(port.value)});
  for (const Port& port : graph.outputs_) copy.outputs_.push_back(Port{port.name, values.at(port.value)});
  return copy;
}

}  // namespace intaglio::ir
