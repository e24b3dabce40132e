#include <fmt/format.h>

#include "ir/text.h"
#include "ir/text_internal.h"

namespace intaglio::ir {

namespace {

struct AttrText {
  std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const { return fmt::format("{}", value); }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(const std::string& value) const { return quote(value); }
  std::string operator()(DType value) const { return std::string(intaglio::name_of(value)); }
  std::string operator()(const Ints& value) const { return fmt::format("[{}]", fmt::join(value, ", ")); }
  std::string operator()(const Dim& value) const { return value.to_string(); }
  std::string operator()(const Dims& value) const { return to_string(std::span<const Dim>(value)); }
};

// Attributes that differ from their defaults: " {axis=1}" or nothing.
std::string attrs_text(const Node& node) {
  std::string out;
  for (const AttrSchema& want : schema(node.op()).attrs) {
    const Attr* attr = node.attrs().find(want.name);
    if (attr == nullptr || (want.default_value && *attr == *want.default_value)) continue;
    out += fmt::format("{}{}={}", out.empty() ? "" : ", ", want.name, std::visit(AttrText{}, *attr));
  }
  return out.empty() ? out : " {" + out + "}";
}

std::string node_text(const Node& node, bool origins) {
  std::string names, types, operands;
  for (const Value* output : node.outputs()) {
    names += fmt::format("{}%{}", names.empty() ? "" : ", ", output->name());
    types += fmt::format("{}{}", types.empty() ? "" : ", ", to_string(output->type()));
  }
  for (const Value* input : node.inputs()) {
    operands += fmt::format("{}{}", operands.empty() ? "" : ", ", input == nullptr ? "_" : "%" + input->name());
  }
  std::string out = fmt::format("  {}: {} = {}({}){}", names, types, name_of(node.op()), operands, attrs_text(node));
  const Origin& origin = node.origin();
  if (origins && !(origin == Origin{})) {
    out += " @ " + quote(origin.name);
    if (!origin.source.empty()) out += " " + quote(origin.source);
  }
  return out + "\n";
}

}  // namespace

std::string print(const Graph& graph, const PrintOptions& options) {
  std::string out = fmt::format("graph {} {{\n", quote(graph.name));
  for (const auto& [symbol, range] : graph.symbols) {
    const std::string max = range.max == INT64_MAX ? "inf" : std::to_string(range.max);
    out += fmt::format("  symbol {} in [{}, {}]\n", symbol, range.min, max);
  }
  for (const DimGuard& guard : graph.guards) {
    out += fmt::format("  guard {} == {} {}\n", guard.a.to_string(), guard.b.to_string(), quote(guard.origin));
  }
  for (const Port& port : graph.inputs()) {
    out += fmt::format("  input {} %{}: {}\n", quote(port.name), port.value->name(), to_string(port.value->type()));
  }
  for (const Value& value : graph.values()) {
    if (!value.is_constant()) continue;
    out += fmt::format("  const %{}: {} = {}\n", value.name(), to_string(value.type()),
                       constant_text(value.constant(), options.full_constants));
  }
  for (const Node& node : graph.nodes()) out += node_text(node, options.origins);
  for (const Port& port : graph.outputs())
    out += fmt::format("  output {} %{}\n", quote(port.name), port.value->name());
  return out + "}\n";
}

}  // namespace intaglio::ir
