// Before:  %i = matmul_integer(%xq, %w, %x_zp, %w_zp)  (%w a constant matrix)
//          %f = cast(%i) {to=f32}
//          %y = mul(%f, mul(%x_scale, %w_scale))       (either order)
//          %z = add(%y, %bias)                         (may be missing)
// After:   %z = quantized_linear(%xq, %w, %x_scale, %x_zp, %w_scale, %w_zp, %bias)
// The fused op keeps the order of roundings, so the bits stay the same.
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> fuse_quantized_linear(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "quantized_linear";

bool one_element(const ir::Value* value) {
  return value != nullptr && element_count(value->shape()) == Dim(1);
}

bool one_or_row(const ir::Value* value, const Dim& n) {
  return one_element(value) || (value != nullptr && value->rank() == 1 && is_row_vector(value, n));
}

// The scale of the activations (one element) and that of the weights (constant, one element or a row).
struct Scales {
  ir::Value* x = nullptr;
  ir::Value* w = nullptr;
};
std::optional<Scales> match_scales(const ir::Value* value, const Dim& n) {
  const ir::Node* mul = made_by(value, ir::Op::mul);
  if (mul == nullptr) return std::nullopt;
  const auto parts = split_operands(*mul, [&](const ir::Value* v) { return v->is_constant() && one_or_row(v, n); });
  if (!parts || !one_element(parts->first) || parts->first->dtype() != DType::f32) return std::nullopt;
  return Scales{parts->first, parts->second};
}

Result<bool> from_mul(ir::Graph& graph, PassContext& context, ir::Node& mul) {
  for (std::size_t i = 0; i < 2; ++i) {
    const ir::Node* cast = made_by(mul.input(i), ir::Op::cast);
    const ir::Node* product = cast == nullptr ? nullptr : made_by(cast->input(0), ir::Op::matmul_integer);
    if (product == nullptr) continue;
    const auto miss = [&](std::string_view why) {
      context.near_miss(kPattern, mul, why);
      return false;
    };
    const Dim& n = product->output()->shape().empty() ? Dim(1) : product->output()->shape().back();
    ir::Value* weight = product->input(1);
    if (cast->output()->dtype() != DType::f32) return miss("the accumulator is not converted to f32");
    if (!weight->is_constant() || weight->rank() != 2) return miss("the weight is not a constant matrix");
    if (product->input(0)->rank() < 1) return miss("the activations have rank 0");
    if (!product->output()->has_one_use() || !cast->output()->has_one_use())
      return miss("the integer product is used elsewhere too");
    const auto scales = match_scales(mul.input(1 - i), n);
    if (!scales)
      return miss(
          "the factor is not activation scale (one element) times weight scale (constant, one element or a row)");
    ir::Value* x_zp = product->input(2);
    ir::Value* w_zp = product->input(3);
    if (x_zp != nullptr && !one_element(x_zp)) return miss("the activations have a zero point per row");
    if (w_zp != nullptr && !(w_zp->is_constant() && one_or_row(w_zp, n)))
      return miss("the weights' zero point is not a constant");
    INTAGLIO_CHECK(replace(graph, context, kPattern, mul,
                           {ir::Op::quantized_linear,
                            {product->input(0), weight, scales->x, x_zp, scales->w, w_zp},
                            {},
                            merge_origins({product, cast, &mul})}));
    return true;
  }
  return false;
}

Result<bool> add_bias(ir::Graph& graph, PassContext& context, ir::Node& add) {
  for (std::size_t i = 0; i < 2; ++i) {
    ir::Node* linear = made_by(add.input(i), ir::Op::quantized_linear);
    ir::Value* bias = add.input(1 - i);
    if (linear == nullptr || !bias->is_constant() || !linear->output()->has_one_use()) continue;
    if (linear->input(6) != nullptr || linear->input(7) != nullptr || linear->attrs().s("activation") != "none")
      continue;
    const Dim& n = linear->output()->shape().back();
    if (!is_row_vector(bias, n) || !same_shape(linear->output(), add.output())) continue;
    if (bias->rank() != 1) {
      INTAGLIO_TRY(bias, graph.add1({ir::Op::reshape, {bias}, {{"shape", Dims{n}}}, {}, bias->name(), {}}, &add));
    }
    std::vector<ir::Value*> inputs(linear->inputs().begin(), linear->inputs().end());
    inputs.resize(7, nullptr);
    inputs[6] = bias;
    INTAGLIO_CHECK(
        replace(graph, context, "quantized_linear_bias", add,
                {ir::Op::quantized_linear, std::move(inputs), linear->attrs(), merge_origins({linear, &add})}));
    return true;
  }
  return false;
}

}  // namespace

Result<int> fuse_quantized_linear(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) -> Result<bool> {
    if (node.op() == ir::Op::mul) return from_mul(graph, context, node);
    if (node.op() == ir::Op::add) return add_bias(graph, context, node);
    return false;
  });
}

}  // namespace intaglio::passes
