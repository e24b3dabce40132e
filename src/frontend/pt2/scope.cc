#include "frontend/pt2/scope.h"

namespace intaglio::frontend::pt2 {

std::optional<double> Scalar::constant() const {
  if (kind == Kind::floating) return f;
  if (kind == Kind::boolean) return b ? 1.0 : 0.0;
  if (const auto value = i.constant(); kind == Kind::integer && value) return static_cast<double>(*value);
  return std::nullopt;
}

Status Scope::bind(std::string_view name, Binding binding) {
  members_[binding.storage].push_back(name);
  if (!bindings_.emplace(name, std::move(binding)).second) {
    return fail(ErrorCode::file, "two results of the program have the name '" + std::string(name) + "'");
  }
  return {};
}

Binding* Scope::find(std::string_view name) {
  const auto it = bindings_.find(name);
  return it == bindings_.end() ? nullptr : &it->second;
}

Result<Item> Scope::item(std::string_view name) {
  Binding* binding = find(name);
  if (binding == nullptr)
    return fail(ErrorCode::file, "'" + std::string(name) + "' is used before anything defines it");
  if (binding->load) {
    INTAGLIO_TRY(binding->item.value, binding->load());
    binding->load = nullptr;
  }
  return binding->item;
}

MaybeValue Scope::value(std::string_view name) {
  INTAGLIO_TRY(Item found, item(name));
  if (found.value != nullptr) return found.value;
  if (found.scalar) return fail(ErrorCode::file, "'" + std::string(name) + "' is a number where a tensor is expected");
  return fail(ErrorCode::unsupported, "the additional result '" + std::string(name) + "' of an op is not supported");
}

Result<Scalar> Scope::scalar(std::string_view name) const {
  const auto it = bindings_.find(name);
  if (it == bindings_.end())
    return fail(ErrorCode::file, "'" + std::string(name) + "' is used before anything defines it");
  if (!it->second.item.scalar)
    return fail(ErrorCode::file, "'" + std::string(name) + "' is a tensor where a number is expected");
  return *it->second.item.scalar;
}

namespace {

void note(const Argument& argument, int index, std::unordered_map<std::string_view, int>& uses) {
  if (argument.kind == Argument::Kind::tensor || argument.kind == Argument::Kind::sym) uses[argument.text] = index;
  for (const Argument& item : argument.items) note(item, index, uses);
}

}  // namespace

void Scope::read_uses(const GraphBody& graph) {
  int index = 0;
  for (const NodeRecord& node : graph.nodes) {
    for (const NamedArgument& input : node.inputs) note(input.value, index, last_use_);
    ++index;
  }
  for (const Argument& output : graph.outputs) note(output, index, last_use_);
}

std::vector<std::string_view> Scope::live_names(int storage, int index) {
  std::vector<std::string_view>& names = members_[storage];
  std::erase_if(names, [&](std::string_view name) { return last_use(name) <= index; });
  return names;
}

int Scope::last_use(std::string_view name) const {
  const auto it = last_use_.find(name);
  return it == last_use_.end() ? -1 : it->second;
}

}  // namespace intaglio::frontend::pt2
