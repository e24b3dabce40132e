#include "ir/verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/shape.h"

namespace intaglio::ir {

namespace {

using UseKey = std::pair<const Node*, int>;

class Verifier {
 public:
  explicit Verifier(const Graph& graph) : graph_(graph) {}

  Status run() {
    INTAGLIO_CHECK(check_values());
    INTAGLIO_CHECK(check_ports(graph_.inputs(), "input"));
    for (const Node& node : graph_.nodes()) {
      auto status = check_node(node);
      if (!status) {
        const std::string where = node.origin().name.empty() ? std::string(name_of(node.op())) : node.origin().name;
        return fail(std::move(status).error().within(fmt::format("node '{}'", where)));
      }
    }
    INTAGLIO_CHECK(check_ports(graph_.outputs(), "output"));
    INTAGLIO_CHECK(check_uses());
    for (const DimGuard& guard : graph_.guards) INTAGLIO_CHECK(check_symbols({guard.a, guard.b}, "a guard"));
    for (const auto& [symbol, range] : graph_.symbols) {
      if (range.min > range.max) return error(fmt::format("symbol {} has an empty range", symbol));
      if (range.min < 0) return error(fmt::format("symbol {} may be negative", symbol));
    }
    return {};
  }

 private:
  static tl::unexpected<Error> error(std::string message) { return fail(ErrorCode::internal, std::move(message)); }

  Status check_symbols(const Dims& dims, std::string_view what) {
    std::vector<std::string> names;
    for (const Dim& dim : dims) dim.collect_symbols(names);
    for (const std::string& name : names) {
      if (graph_.symbols.find(name) == graph_.symbols.end()) {
        return error(fmt::format("{} uses the undeclared symbol {}", what, name));
      }
    }
    return {};
  }

  Status check_values() {
    std::set<std::string_view> names;
    for (const Value& value : graph_.values()) {
      if (!is_value_name(value.name())) return error(fmt::format("'{}' is no name for a value", value.name()));
      if (!names.insert(value.name()).second) return error(fmt::format("two values are called %{}", value.name()));
      all_.insert(&value);
      INTAGLIO_CHECK(check_symbols(value.shape(), fmt::format("%{}", value.name())));
      if (value.shape().size() > kMaxRank) return error(fmt::format("%{} has too high a rank", value.name()));
      for (const Dim& dim : value.shape()) {
        if (dim.constant().value_or(0) < 0) return error(fmt::format("%{} has a negative dimension", value.name()));
      }
      if (value.is_constant()) INTAGLIO_CHECK(check_constant(value));
      if (value.is_constant() || value.is_input()) defined_.insert(&value);
    }
    return {};
  }

  Status check_constant(const Value& value) {
    const Tensor& tensor = value.constant();
    if (value.producer() != nullptr) return error(fmt::format("the constant %{} has a producer", value.name()));
    const auto bytes = byte_count(tensor.shape, tensor.dtype);
    if (!bytes || *bytes != tensor.bytes || (tensor.bytes != 0 && tensor.data == nullptr)) {
      return error(fmt::format("the bytes of %{} do not fit its shape", value.name()));
    }
    if (value.type() != Type{tensor.dtype, constant_dims(tensor.shape)}) {
      return error(fmt::format("the type of %{} is not that of its tensor", value.name()));
    }
    return {};
  }

  Status check_ports(std::span<const Port> ports, std::string_view what) {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < ports.size(); ++i) {
      const Port& port = ports[i];
      if (!names.insert(port.name).second) return error(fmt::format("two {}s are called '{}'", what, port.name));
      if (port.value == nullptr || all_.count(port.value) == 0 || defined_.count(port.value) == 0) {
        return error(fmt::format("{} '{}' is not defined in this graph", what, port.name));
      }
      if (what == "input") {
        if (!port.value->is_input() || !inputs_.insert(port.value).second) {
          return error(fmt::format("input '{}' is no value of its own", port.name));
        }
      } else {
        uses_[port.value].insert({nullptr, static_cast<int>(i)});
      }
    }
    if (what == "input") {
      for (const Value& value : graph_.values()) {
        if (value.is_input() && inputs_.count(&value) == 0)
          return error(fmt::format("%{} has no producer", value.name()));
      }
    }
    return {};
  }

  Status check_node(const Node& node) {
    std::vector<const Type*> types;
    for (std::size_t i = 0; i < node.inputs().size(); ++i) {
      const Value* input = node.input(i);
      types.push_back(input == nullptr ? nullptr : &input->type());
      if (input == nullptr) continue;
      if (all_.count(input) == 0) return error(fmt::format("operand {} belongs to no value of this graph", i));
      if (defined_.count(input) == 0)
        return error(fmt::format("operand %{} is used before it is defined", input->name()));
      uses_[input].insert({&node, static_cast<int>(i)});
    }
    INTAGLIO_CHECK(check_attrs(node));
    std::vector<DimGuard> needed;
    auto inferred = infer(node.op(), types, node.attrs(), InferContext{&needed, {}, &graph_.symbols});
    if (!inferred) return error(inferred.error().message);
    if (inferred->size() != node.outputs().size()) return error("it has the wrong number of results");
    for (std::size_t i = 0; i < inferred->size(); ++i) {
      const Value* output = node.output(i);
      if (output == nullptr || all_.count(output) == 0)
        return error(fmt::format("result {} belongs to no value of this graph", i));
      if (output->producer() != &node || output->output_index() != static_cast<int>(i) || output->is_constant()) {
        return error(fmt::format("result %{} names another producer", output->name()));
      }
      if (output->type() != (*inferred)[i]) {
        return error(fmt::format("result %{} has type {}, but {} gives {}", output->name(), to_string(output->type()),
                                 name_of(node.op()), to_string((*inferred)[i])));
      }
      if (!defined_.insert(output).second) return error(fmt::format("%{} is defined twice", output->name()));
    }
    return check_guards(needed);
  }

  Status check_attrs(const Node& node) {
    Attrs complete = node.attrs();
    if (auto status = complete_attrs(node.op(), complete); !status) return error(status.error().message);
    if (complete.items().size() != node.attrs().items().size()) return error("its attributes are incomplete");
    for (const auto& [name, attr] : complete.items()) {
      const Attr* own = node.attrs().find(name);
      if (own == nullptr || kind_of(*own) != kind_of(attr))
        return error(fmt::format("attribute '{}' has the wrong kind", name));
      if (const auto* dims = std::get_if<Dims>(&attr)) INTAGLIO_CHECK(check_symbols(*dims, name));
      if (const auto* dim = std::get_if<Dim>(&attr)) INTAGLIO_CHECK(check_symbols({*dim}, name));
    }
    return {};
  }

  Status check_guards(const std::vector<DimGuard>& needed) {
    for (const DimGuard& want : needed) {
      const bool known = std::any_of(graph_.guards.begin(), graph_.guards.end(), [&](const DimGuard& guard) {
        return (guard.a == want.a && guard.b == want.b) || (guard.a == want.b && guard.b == want.a);
      });
      if (!known) {
        return error(
            fmt::format("the guard {} == {} is missing from the graph", want.a.to_string(), want.b.to_string()));
      }
    }
    return {};
  }

  Status check_uses() {
    for (const Value& value : graph_.values()) {
      std::set<UseKey> listed;
      for (const Use& use : value.uses()) listed.insert({use.node, use.index});
      if (listed.size() != value.uses().size() || listed != uses_[&value]) {
        return error(fmt::format("the use list of %{} is wrong", value.name()));
      }
    }
    return {};
  }

  const Graph& graph_;
  std::unordered_set<const Value*> all_, defined_, inputs_;
  std::unordered_map<const Value*, std::set<UseKey>> uses_;
};

}  // namespace

Status verify(const Graph& graph) {
  return Verifier(graph).run();
}

}  // namespace intaglio::ir
