// What the translator of one ONNX node sees: operands, attributes, the opset, and a Builder for the result.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/builder.h"
#include "frontend/onnx/operand.h"
#include "frontend/onnx/proto.h"
#include "frontend/onnx/tensor_data.h"

namespace intaglio::frontend::onnx {

class NodeContext {
 public:
  // `operands`: one per input of the node, nullptr where absent. `attributes`: with references of functions resolved.
  NodeContext(Builder& builder, TensorStore& store, const NodeProto& node, std::span<const AttributeProto> attributes,
              std::int64_t opset, std::vector<Operand*> operands, std::string label)
      : b(builder),
        store_(store),
        node_(node),
        attributes_(attributes),
        opset_(opset),
        operands_(std::move(operands)),
        label_(std::move(label)),
        results_(node.outputs.size()) {}

  Builder& b;

  std::int64_t opset() const { return opset_; }  // the version of this node's domain
  std::string_view op_type() const { return node_.op_type; }
  const std::string& label() const { return label_; }  // the node's name, or op type and index

  // ---- operands
  std::size_t input_count() const { return operands_.size(); }  // trailing absent ones included
  bool has(std::size_t i) const { return i < operands_.size() && operands_[i] != nullptr; }
  MaybeValue input(std::size_t i);     // as data; error if absent
  MaybeValue optional(std::size_t i);  // as data; nullptr if absent
  Result<Dims> shape(std::size_t i);   // of the operand
  Result<DType> dtype(std::size_t i);
  // The contents if they are known at import, else nullptr.
  const Known* known(std::size_t i);
  // Contents that the IR needs at import. Error (unsupported): computed at run time; names the node and the operand.
  Result<Dims> dims(std::size_t i, std::string_view what);
  Result<std::vector<std::int64_t>> const_ints(std::size_t i, std::string_view what);
  Result<std::int64_t> const_int(std::size_t i, std::string_view what);
  // The one element of a constant of any dtype; nullopt if it is not a constant.
  Result<std::optional<double>> const_scalar(std::size_t i);

  // ---- attributes
  const AttributeProto* attribute(std::string_view name) const;
  std::int64_t attr_int(std::string_view name, std::int64_t fallback) const;
  double attr_float(std::string_view name, double fallback) const;
  std::string attr_string(std::string_view name, std::string_view fallback) const;
  std::optional<std::vector<std::int64_t>> attr_ints(std::string_view name) const;
  Result<ir::Tensor> attr_tensor(std::string_view name);
  // The axes of ops that took them as an attribute before opset `since_input` and as operand `index` from then on;
  // nullopt if absent.
  Result<std::optional<std::vector<std::int64_t>>> axes(std::int64_t since_input, std::size_t index);

  // ---- results
  std::size_t output_count() const { return results_.size(); }
  bool wants(std::size_t i) const { return i < node_.outputs.size() && !node_.outputs[i].empty(); }
  Status set(std::size_t i, const MaybeValue& value);  // hands an error on
  void set_known(std::size_t i, Known known);
  std::vector<std::optional<Operand>>& results() { return results_; }

  // ---- errors
  tl::unexpected<Error> unsupported(std::string message, std::string hint = {}) const;
  tl::unexpected<Error> malformed(std::string message) const;

 private:
  TensorStore& store_;
  const NodeProto& node_;
  std::span<const AttributeProto> attributes_;
  std::int64_t opset_;
  std::vector<Operand*> operands_;
  std::string label_;
  std::vector<std::optional<Operand>> results_;
};

// The operand as data: loads an initialiser, turns known contents into a constant or a `dims` node.
MaybeValue materialise(Operand& operand, Builder& builder, TensorStore& store);

}  // namespace intaglio::frontend::onnx
