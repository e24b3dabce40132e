#include "frontend/pt2/pytree.h"

#include <optional>
#include <set>

#include "frontend/pt2/json.h"

namespace intaglio::frontend::pt2 {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// The context of a dict or a model output class is a JSON list of its keys; of anything else it is something else.
std::vector<std::string> keys_of(Json node) {
  std::vector<std::string> keys;
  const auto context = find(node, "context");
  if (!context) return keys;
  const auto text = string_of(*context, "context");
  if (!text) return keys;
  const auto document = JsonDocument::parse(bytes_of(*text), "context");
  if (!document) return keys;
  const auto array = array_of(document->root(), "context");
  if (!array) return keys;
  for (const Json key : *array) keys.emplace_back(string_of(key, "key").value_or(""));
  return keys;
}

struct Leaf {
  std::string path;
  bool named = false;
};

// Depth is bounded by the JSON reader's limit.
void collect(Json node, const Leaf& at, std::vector<Leaf>& leaves) {
  const auto children = find(node, "children_spec");
  simdjson::dom::array array;
  if (!find(node, "type") || !children || children->get(array) != simdjson::SUCCESS) {
    leaves.push_back(at);
    return;
  }
  const std::vector<std::string> keys = keys_of(node);
  std::size_t i = 0;
  for (const Json child : array) {
    const bool named = i < keys.size() && !keys[i].empty();
    const std::string step = named ? keys[i] : std::to_string(i);
    collect(child, Leaf{at.path.empty() ? step : at.path + "." + step, at.named || named}, leaves);
    ++i;
  }
}

std::optional<std::vector<Leaf>> leaves_of(std::string_view spec) {
  if (spec.empty()) return std::nullopt;
  const auto document = JsonDocument::parse(bytes_of(spec), "out_spec");
  if (!document) return std::nullopt;
  const auto array = array_of(document->root(), "out_spec");
  if (!array || array->size() != 2) return std::nullopt;
  std::vector<Leaf> leaves;
  collect(array->at(1).value_unsafe(), {}, leaves);
  return leaves;
}

}  // namespace

std::vector<std::string> output_names(std::string_view out_spec, std::size_t count) {
  const auto leaves = leaves_of(out_spec);
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (std::size_t i = 0; i < count; ++i) {
    std::string name = "output_" + std::to_string(i);
    if (leaves && leaves->size() == count && (*leaves)[i].named) name = (*leaves)[i].path;
    while (!taken.insert(name).second) name += "_" + std::to_string(i);
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace intaglio::frontend::pt2
