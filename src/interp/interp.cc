#include "interp/interp.h"

#include <fmt/format.h>

#include <unordered_map>

#include "interp/eval.h"

namespace intaglio::interp {

namespace {

Result<Tensor> to_f64(const Tensor& x) {
  if (!is_floating(x.dtype) || x.dtype == DType::f64) return x;
  std::byte* out = nullptr;
  INTAGLIO_TRY(Tensor y, Tensor::allocate(DType::f64, x.shape, &out));
  for (std::int64_t i = 0; i < x.element_count(); ++i) store_float(x.as_double(i), DType::f64, out + 8 * i);
  return y;
}

class Runner {
 public:
  Runner(const ir::Graph& graph, const Options& options, const Observer& observe)
      : graph_(graph), options_(options), observe_(observe) {}

  Result<Tensors> run(std::span<const Tensor> inputs) {
    INTAGLIO_CHECK(bind(inputs));
    for (const ir::Node& node : graph_.nodes()) INTAGLIO_CHECK(step(node));
    Tensors outputs;
    for (const ir::Port& port : graph_.outputs()) {
      INTAGLIO_TRY(Tensor tensor, value_of(*port.value));
      outputs.push_back(std::move(tensor));
    }
    return outputs;
  }

 private:
  struct Held {
    Tensor tensor;
    std::size_t uses = 0;  // left; freed at 0
  };

  Status bind(std::span<const Tensor> inputs) {
    std::vector<Shape> shapes;
    for (const Tensor& input : inputs) shapes.push_back(input.shape);
    INTAGLIO_TRY(symbols_, bind_symbols(graph_, shapes));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const ir::Port& port = graph_.inputs()[i];
      const std::string where = fmt::format("input '{}'", port.name);
      const DType wanted = port.value->dtype(), given = inputs[i].dtype;
      const bool converted = options_.precision == Precision::f64 && is_floating(wanted) && is_floating(given);
      if (given != wanted && !converted) {
        return fail(ErrorCode::usage, fmt::format("dtype {} given, {} wanted", name_of(given), name_of(wanted)), where);
      }
      INTAGLIO_TRY(const std::size_t bytes, byte_count(inputs[i].shape, given));
      if (bytes != inputs[i].bytes) return fail(ErrorCode::usage, "the shape does not fit the number of bytes", where);
      INTAGLIO_CHECK(hold(*port.value, inputs[i]));
    }
    return {};
  }

  // Keeps a value that somebody will read.
  Status hold(const ir::Value& value, const Tensor& tensor) {
    if (value.uses().empty()) return {};
    Held held{tensor, value.uses().size()};
    if (options_.precision == Precision::f64) {
      INTAGLIO_TRY(held.tensor, to_f64(tensor));
    }
    live_ += held.tensor.bytes;
    values_.insert_or_assign(&value, std::move(held));
    return {};
  }

  Result<Tensor> value_of(const ir::Value& value) {
    if (value.is_constant() && values_.count(&value) == 0) {
      if (options_.precision == Precision::f32) return value.constant();  // not copied, not counted
      INTAGLIO_CHECK(hold(value, value.constant()));
    }
    const auto found = values_.find(&value);
    if (found == values_.end())
      return fail(ErrorCode::internal, fmt::format("%{} has no value; is the graph verified?", value.name()));
    return found->second.tensor;
  }

  void release(const ir::Value& value) {
    const auto found = values_.find(&value);
    if (found == values_.end() || --found->second.uses != 0) return;
    live_ -= found->second.tensor.bytes;
    values_.erase(found);
  }

  Status step(const ir::Node& node) {
    Tensors operands(node.inputs().size());
    std::vector<const Tensor*> pointers(operands.size(), nullptr);
    for (std::size_t i = 0; i < operands.size(); ++i) {
      if (node.input(i) == nullptr) continue;
      INTAGLIO_TRY(operands[i], value_of(*node.input(i)));
      pointers[i] = &operands[i];
    }
    const std::size_t left = options_.max_bytes > live_ ? options_.max_bytes - live_ : 0;
    INTAGLIO_TRY(const Tensors results, eval_node(NodeCall{node, pointers, symbols_, options_.precision, false, left}));
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (observe_) observe_(*node.output(i), results[i]);
      INTAGLIO_CHECK(hold(*node.output(i), results[i]));
    }
    for (const ir::Value* input : node.inputs()) {
      if (input != nullptr) release(*input);
    }
    return {};
  }

  const ir::Graph& graph_;
  const Options& options_;
  const Observer& observe_;
  SymbolValues symbols_;
  std::unordered_map<const ir::Value*, Held> values_;
  std::size_t live_ = 0;
};

}  // namespace

Result<std::vector<Tensor>> run_observed(const ir::Graph& graph, std::span<const Tensor> inputs, const Options& options,
                                         const Observer& observe) {
  return Runner(graph, options, observe).run(inputs);
}

Result<std::vector<Tensor>> run(const ir::Graph& graph, std::span<const Tensor> inputs, const Options& options) {
  return run_observed(graph, inputs, options, {});
}

}  // namespace intaglio::interp
