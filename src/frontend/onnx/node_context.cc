#include "frontend/onnx/node_context.h"

namespace intaglio::frontend::onnx {
namespace {

Status load(Operand& operand, Builder& builder, TensorStore& store) {
  if (operand.value != nullptr || operand.tensor == nullptr) return {};
  INTAGLIO_TRY(ir::Tensor tensor, store.load(*operand.tensor));
  if (!operand.known) operand.known = known_contents(tensor);
  operand.value = builder.graph().add_constant(std::move(tensor), operand.tensor->name);
  operand.tensor = nullptr;
  return {};
}

}  // namespace

MaybeValue materialise(Operand& operand, Builder& builder, TensorStore& store) {
  INTAGLIO_CHECK(load(operand, builder, store));
  if (operand.value != nullptr) return operand.value;
  const ir::Origin outer = builder.origin();
  if (!operand.origin.empty()) builder.set_origin({operand.origin, {}});
  const Known& known = *operand.known;
  const MaybeValue made = known.rank == 0 ? builder.dim_scalar(known.dims.front(), known.dtype)
                                          : builder.dims_tensor(known.dims, known.dtype);
  builder.set_origin(outer);
  if (made) operand.value = *made;
  return made;
}

MaybeValue NodeContext::input(std::size_t i) {
  if (!has(i)) return malformed("operand " + std::to_string(i) + " is missing");
  return materialise(*operands_[i], b, store_);
}

MaybeValue NodeContext::optional(std::size_t i) {
  if (!has(i)) return nullptr;
  return input(i);
}

Result<Dims> NodeContext::shape(std::size_t i) {
  if (const Known* contents = known(i); contents != nullptr && operands_[i]->value == nullptr) {
    return contents->rank == 0 ? Dims{} : Dims{Dim(static_cast<std::int64_t>(contents->dims.size()))};
  }
  INTAGLIO_TRY(ir::Value * value, input(i));
  return value->shape();
}

Result<DType> NodeContext::dtype(std::size_t i) {
  if (const Known* contents = known(i); contents != nullptr) return contents->dtype;
  INTAGLIO_TRY(ir::Value * value, input(i));
  return value->dtype();
}

const Known* NodeContext::known(std::size_t i) {
  if (!has(i)) return nullptr;
  Operand& operand = *operands_[i];
  if (!operand.known && !load(operand, b, store_)) return nullptr;
  return operand.known ? &*operand.known : nullptr;
}

Result<Dims> NodeContext::dims(std::size_t i, std::string_view what) {
  if (!has(i)) return malformed("operand " + std::to_string(i) + " (" + std::string(what) + ") is missing");
  if (const Known* contents = known(i)) return contents->dims;
  INTAGLIO_TRY(ir::Value * value, input(i));
  return unsupported(
      "the " + std::string(what) + " operand '%" + value->name() + "' is computed from data at run time",
      "shapes must follow from input shapes and constants; fix the model input that it comes from (fixed_inputs)");
}

Result<std::vector<std::int64_t>> NodeContext::const_ints(std::size_t i, std::string_view what) {
  INTAGLIO_TRY(const Dims contents, dims(i, what));
  if (auto values = constant_values(contents)) return *values;
  return unsupported("the " + std::string(what) + " operand depends on the input's shape: " + to_string(contents));
}

Result<std::int64_t> NodeContext::const_int(std::size_t i, std::string_view what) {
  INTAGLIO_TRY(const auto values, const_ints(i, what));
  if (values.size() != 1)
    return malformed("the " + std::string(what) + " operand has " + std::to_string(values.size()) + " elements");
  return values.front();
}

Result<std::optional<double>> NodeContext::const_scalar(std::size_t i) {
  INTAGLIO_TRY(ir::Value * value, input(i));
  if (!value->is_constant()) return std::optional<double>();
  const ir::Tensor& tensor = value->constant();
  if (tensor.element_count() != 1) return malformed("operand " + std::to_string(i) + " is not a scalar");
  return std::optional<double>(tensor.as_double(0));
}

const AttributeProto* NodeContext::attribute(std::string_view name) const {
  for (const AttributeProto& attribute : attributes_) {
    if (attribute.name == name) return &attribute;
  }
  return nullptr;
}

std::int64_t NodeContext::attr_int(std::string_view name, std::int64_t fallback) const {
  const AttributeProto* found = attribute(name);
  return found != nullptr ? found->i : fallback;
}

double NodeContext::attr_float(std::string_view name, double fallback) const {
  const AttributeProto* found = attribute(name);
  return found != nullptr ? static_cast<double>(found->f) : fallback;
}

std::string NodeContext::attr_string(std::string_view name, std::string_view fallback) const {
  const AttributeProto* found = attribute(name);
  return std::string(found != nullptr ? found->s : fallback);
}

std::optional<std::vector<std::int64_t>> NodeContext::attr_ints(std::string_view name) const {
  const AttributeProto* found = attribute(name);
  if (found == nullptr) return std::nullopt;
  return found->ints;
}

Result<ir::Tensor> NodeContext::attr_tensor(std::string_view name) {
  const AttributeProto* found = attribute(name);
  if (found == nullptr || !found->t) return malformed("attribute '" + std::string(name) + "' holds no tensor");
  return store_.load(*found->t);
}

Result<std::optional<std::vector<std::int64_t>>> NodeContext::axes(std::int64_t since_input, std::size_t index) {
  if (opset_ < since_input) return attr_ints("axes");
  if (!has(index)) return std::optional<std::vector<std::int64_t>>();
  INTAGLIO_TRY(auto values, const_ints(index, "axes"));
  return std::optional(std::move(values));
}

Status NodeContext::set(std::size_t i, const MaybeValue& value) {
  if (!value) return fail(value.error());
  if (i >= results_.size()) return malformed("the node has no output " + std::to_string(i));
  Operand& result = results_[i].emplace();
  result.value = *value;
  if ((*value)->is_constant()) result.known = known_contents((*value)->constant());
  return {};
}

void NodeContext::set_known(std::size_t i, Known known) {
  if (i >= results_.size()) return;
  Operand& result = results_[i].emplace();
  result.known = std::move(known);
  result.origin = label_;
}

tl::unexpected<Error> NodeContext::unsupported(std::string message, std::string hint) const {
  return fail(ErrorCode::unsupported, std::move(message), "node '" + label_ + "' (" + std::string(node_.op_type) + ")",
              std::move(hint));
}

tl::unexpected<Error> NodeContext::malformed(std::string message) const {
  return fail(ErrorCode::file, std::move(message), "node '" + label_ + "' (" + std::string(node_.op_type) + ")");
}

}  // namespace intaglio::frontend::onnx
