// Products with constant weights.
#include "compile/lower.h"
#include "ops/linear.h"

namespace intaglio::compile {

namespace {

Result<ops::Activation> activation_of(const std::string& name) {
  using ops::Activation;
  if (name == "none") return Activation::none;
  if (name == "relu") return Activation::relu;
  if (name == "gelu") return Activation::gelu_erf;
  if (name == "gelu_tanh") return Activation::gelu_tanh;
  if (name == "silu") return Activation::silu;
  if (name == "sigmoid") return Activation::sigmoid;
  if (name == "tanh") return Activation::tanh;
  return fail(ErrorCode::internal, "unknown activation '" + name + "'");
}

// K and N of a weight: constants, because weights are.
Status set_sizes(ops::LinearDescriptor& descriptor, const ir::Value& weight, bool nk) {
  const auto sizes = constant_values(weight.shape());
  if (!sizes || sizes->size() != 2)
    return fail(ErrorCode::unsupported, "the weight is not a matrix: " + ir::to_string(weight.type()));
  descriptor.weight_nk = nk;
  descriptor.k = (*sizes)[nk ? 1 : 0];
  descriptor.n = (*sizes)[nk ? 0 : 1];
  return {};
}

Status want_constant(const ir::Value* value, std::string_view what) {
  if (value == nullptr || value->is_constant()) return {};
  return fail(ErrorCode::unsupported, std::string(what) + " of a linear must be constant");
}

bool all_zero(const ir::Tensor& tensor) {
  for (std::int64_t i = 0; i < tensor.element_count(); ++i) {
    if (tensor.as_int(i) != 0) return false;
  }
  return true;
}

}  // namespace

Status lower_linear(Lowering& lowering, const ir::Node& node) {
  auto descriptor = std::make_unique<ops::LinearDescriptor>();
  ir::Value* weight = node.input(1);
  ir::Value* bias = node.input(2);
  INTAGLIO_CHECK(want_constant(weight, "the weight"));
  INTAGLIO_CHECK(want_constant(bias, "the bias"));
  INTAGLIO_CHECK(set_sizes(*descriptor, *weight, node.attrs().b("transposed")));
  INTAGLIO_TRY(descriptor->activation, activation_of(node.attrs().s("activation")));
  descriptor->input = node.input(0)->dtype();
  descriptor->weight = weight->dtype();
  descriptor->output = node.output()->dtype();
  descriptor->bias = bias != nullptr;
  descriptor->residual = node.input(3) != nullptr;
  descriptor->residual_type = descriptor->output;
  descriptor->residual_multiply = node.attrs().s("residual_op") == "mul";
  StepSpec spec;
  spec.inputs = {node.input(0)};
  if (descriptor->residual) spec.inputs.push_back(node.input(3));
  spec.constants = {weight, nullptr, nullptr, bias};
  spec.descriptor = std::move(descriptor);
  return lowering.add_step(node, std::move(spec));
}

namespace {

Result<ops::Dynamic> dynamic_of(const std::string& name) {
  for (int i = 0; i < ops::kDynamicCount; ++i) {
    if (const auto dynamic = static_cast<ops::Dynamic>(i); ops::name_of(dynamic) == name) return dynamic;
  }
  return fail(ErrorCode::internal, "unknown dynamic quantisation '" + name + "'");
}

}  // namespace

Status lower_quantized_linear(Lowering& lowering, const ir::Node& node) {
  auto descriptor = std::make_unique<ops::LinearDescriptor>();
  ir::Value* weight = node.input(1);
  ir::Value* w_scale = node.input(4);
  ir::Value* w_zero = node.input(5);
  ir::Value* bias = node.input(6);
  INTAGLIO_CHECK(want_constant(weight, "the weight"));
  INTAGLIO_CHECK(want_constant(w_scale, "the weight's scale"));
  INTAGLIO_CHECK(want_constant(w_zero, "the weight's zero point"));
  INTAGLIO_CHECK(want_constant(bias, "the bias"));
  INTAGLIO_CHECK(set_sizes(*descriptor, *weight, node.attrs().b("transposed")));
  INTAGLIO_TRY(descriptor->activation, activation_of(node.attrs().s("activation")));
  INTAGLIO_TRY(descriptor->dynamic, dynamic_of(node.attrs().s("dynamic")));
  if (w_zero != nullptr && all_zero(w_zero->constant())) w_zero = nullptr;
  descriptor->input = node.input(0)->dtype();
  descriptor->weight = weight->dtype();
  descriptor->output = node.output()->dtype();
  descriptor->input_scale = node.input(2) != nullptr;
  descriptor->input_zero = node.input(3) != nullptr;
  descriptor->weight_scale = true;
  descriptor->weight_zero = w_zero != nullptr;
  descriptor->bias = bias != nullptr;
  descriptor->residual = node.input(7) != nullptr;
  descriptor->residual_type = node.output()->dtype();
  descriptor->residual_multiply = node.attrs().s("residual_op") == "mul";
  StepSpec spec;
  spec.inputs = {node.input(0)};
  for (const std::size_t operand : {3, 2, 7}) {  // the family's order: zero point, scale, residual
    if (node.input(operand) != nullptr) spec.inputs.push_back(node.input(operand));
  }
  spec.constants = {weight, w_zero, w_scale, bias};
  spec.descriptor = std::move(descriptor);
  return lowering.add_step(node, std::move(spec));
}

}  // namespace intaglio::compile
