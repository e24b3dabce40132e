// Before:  %y = linear(%x, %w, %b, %r)                           (f32, %w constant; --quantize dynamic)
// After:   %y = quantized_linear(%x, %w8, -, -, %ws, -, %b, %r) {dynamic="token_symmetric"}
// %w8 is i8, symmetric, with a scale %ws per output channel: ws = max|w| / 127, w8 = round(w / ws). Activations are
// quantised in every run: by token, or all together as ONNX DynamicQuantizeLinear does.
// What stays floating point by a rule is reported with it (PassContext::kept_float).
#include <algorithm>
#include <cmath>

#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> quantize_linears(ir::Graph& graph, PassContext& context);

namespace {

// A classifier's few columns: the product is no work, and its error is the answer's.
constexpr std::int64_t kFewColumns = 16;
// Such as frequencies by positions: their codes would be the whole answer.
constexpr std::int64_t kFewRows = 32;
constexpr std::int64_t kMostRows = 65536;  // 255 * 127 * K must fit into the 32 bits of the sums
constexpr float kLargest = 127.0f;
constexpr float kSmallestScale = 1.2e-38f;  // above the denormals: a scale must not be rounded to 0

struct QuantisedWeight {
  ir::Tensor codes, scale;
};

// nullopt: a weight is infinite or NaN. The weight is [K,N], or [N,K] if `transposed`.
Result<std::optional<QuantisedWeight>> quantise_weight(const ir::Tensor& weight, bool transposed) {
  const std::int64_t rows = weight.shape[0], columns = weight.shape[1];
  std::vector<float> scale(static_cast<std::size_t>(transposed ? rows : columns), 0.0f);
  const auto scale_of = [&](std::int64_t i, std::int64_t j) -> float& {
    return scale[static_cast<std::size_t>(transposed ? i : j)];
  };
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      const float value = std::abs(weight.load<float>(i * columns + j));
      if (!std::isfinite(value)) return std::optional<QuantisedWeight>();
      scale_of(i, j) = std::max(scale_of(i, j), value);
    }
  }
  for (float& value : scale) value = value == 0.0f ? 1.0f : std::max(value / kLargest, kSmallestScale);
  std::byte* codes = nullptr;
  INTAGLIO_TRY(ir::Tensor quantised, ir::Tensor::allocate(DType::i8, weight.shape, &codes));
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      const float code = std::nearbyint(weight.load<float>(i * columns + j) / scale_of(i, j));
      codes[i * columns + j] = static_cast<std::byte>(static_cast<std::int8_t>(std::clamp(code, -kLargest, kLargest)));
    }
  }
  const Shape scale_shape{static_cast<std::int64_t>(scale.size())};
  INTAGLIO_TRY(ir::Tensor scales, ir::Tensor::from(scale_shape, scale));
  return std::optional(QuantisedWeight{std::move(quantised), std::move(scales)});
}

// The rule that keeps this linear in floating point, or nothing.
std::string_view rule_of(const ir::Node& linear, const Precision& precision, bool first, bool last) {
  if (first && precision.keep_first) return "first linear (--keep-float first)";
  if (last && precision.keep_last) return "last linear (--keep-float last)";
  if (!linear.input(1)->is_constant()) return "the weight is not constant";
  if (linear.input(2) != nullptr && !linear.input(2)->is_constant()) return "the bias is not constant";
  if (linear.output()->dtype() != DType::f32) return "the model computes it in another dtype than f32";
  const Shape& shape = linear.input(1)->constant().shape;
  const bool transposed = linear.attrs().b("transposed");
  if (shape[transposed ? 0 : 1] < kFewColumns) return "fewer than 16 outputs";
  if (shape[transposed ? 1 : 0] < kFewRows) return "fewer than 32 inputs";
  if (shape[transposed ? 1 : 0] > kMostRows) return "more than 65536 inputs";
  return {};
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& linear) {
  const bool transposed = linear.attrs().b("transposed");
  INTAGLIO_TRY(auto quantised, quantise_weight(linear.input(1)->constant(), transposed));
  if (!quantised) {
    context.kept_float("a weight is infinite or NaN", linear);
    return false;
  }
  ir::Value* weight = linear.input(1);
  graph.release_pages(weight->constant());
  const std::string& name = weight->name();
  ir::Value* codes = graph.add_constant(std::move(quantised->codes), name + "_i8");
  ir::Value* scale = graph.add_constant(std::move(quantised->scale), name + "_scale");
  const bool by_token = context.options().precision.activations == Activations::token;
  ir::Attrs attrs{{"transposed", transposed},
                  {"activation", linear.attrs().s("activation")},
                  {"residual_op", linear.attrs().s("residual_op")},
                  {"dynamic", std::string(by_token ? "token_symmetric" : "tensor_asymmetric")}};
  std::vector<ir::Value*> inputs = {linear.input(0), codes,   nullptr,         nullptr,
                                    scale,           nullptr, linear.input(2), linear.input(3)};
  INTAGLIO_CHECK(replace(graph, context, "dynamic_int8_linear", linear,
                         {ir::Op::quantized_linear, std::move(inputs), std::move(attrs), linear.origin()}));
  if (weight->uses().empty()) graph.erase_constant(weight);
  return true;
}

}  // namespace

Result<int> quantize_linears(ir::Graph& graph, PassContext& context) {
  const Precision& precision = context.options().precision;
  if (precision.quantize == Quantize::none) return 0;
  const ir::Node *first = nullptr, *last = nullptr;
  for (const ir::Node& node : graph.nodes()) {
    if (node.op() != ir::Op::linear) continue;
    if (first == nullptr) first = &node;
    last = &node;
  }
  return for_each_node(graph, [&](ir::Node& node) -> Result<bool> {
    if (node.op() != ir::Op::linear) return false;
    const std::string_view rule = rule_of(node, precision, &node == first, &node == last);
    if (rule.empty()) return rewrite(graph, context, node);
    context.kept_float(rule, node);
    return false;
  });
}

}  // namespace intaglio::passes
