// Before:  %y = matmul(%x, %w)   (%w a constant matrix, or transpose of one)     After:  %y = linear(%x, %w)
//          (also where an expand repeats %w for every batch)
// Before:  %y = add(matmul or linear(%x, %w), %bias)  (%bias a constant row)      After:  %y = linear(%x, %w, %bias)
// Before:  %y = reshape(linear(%x)) that keeps the last dim      After:  %y = linear(reshape(%x))
#include <algorithm>

#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> fuse_linear(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "linear";

// The weight and whether it is stored [N, K]. A weight that is repeated for every batch is one weight.
struct Weight {
  ir::Value* value = nullptr;
  bool transposed = false;
};
std::optional<Weight> match_weight(ir::Value* value, const Dims& batch) {
  if (const ir::Node* expand = made_by(value, ir::Op::expand); expand != nullptr && expand->input(0)->rank() == 2) {
    // The leading dims must be those of the activations, so that broadcasting makes no new ones.
    const Dims& shape = value->shape();
    if (Dims(shape.begin(), shape.end() - 2) != batch) return std::nullopt;
    value = expand->input(0);
  }
  if (value->is_constant() && value->rank() == 2) return Weight{value, false};
  const ir::Node* transpose = made_by(value, ir::Op::transpose);
  if (transpose == nullptr || !transpose->input(0)->is_constant() || transpose->input(0)->rank() != 2)
    return std::nullopt;
  if (transpose->attrs().ints("perm") != ir::Ints{1, 0}) return std::nullopt;
  return Weight{transpose->input(0), true};
}

Result<bool> from_matmul(ir::Graph& graph, PassContext& context, ir::Node& matmul) {
  if (!is_floating(matmul.output()->dtype()) || matmul.input(0)->rank() < 1) return false;
  const Dims& x = matmul.input(0)->shape();
  const auto weight =
      match_weight(matmul.input(1), Dims(x.begin(), x.end() - std::min<std::ptrdiff_t>(2, std::ssize(x))));
  if (!weight) {
    if (matmul.input(1)->is_constant())
      context.near_miss(kPattern, matmul, "the constant operand is not a matrix");
    else if (matmul.input(0)->is_constant())
      context.near_miss(kPattern, matmul, "the constant is the left operand");
    return false;
  }
  ir::Attrs attrs{{"transposed", weight->transposed}};
  INTAGLIO_CHECK(replace(graph, context, kPattern, matmul,
                         {ir::Op::linear, {matmul.input(0), weight->value}, std::move(attrs), matmul.origin()}));
  return true;
}

Result<bool> add_bias(ir::Graph& graph, PassContext& context, ir::Node& add) {
  for (std::size_t i = 0; i < 2; ++i) {
    ir::Node* linear = made_by(add.input(i), ir::Op::linear);
    ir::Value* bias = add.input(1 - i);
    if (linear == nullptr || !bias->is_constant() || linear->attrs().s("activation") != "none") continue;
    if (linear->input(2) != nullptr || linear->input(3) != nullptr) continue;
    const Dim& n = linear->output()->shape().back();
    if (!is_row_vector(bias, n)) {
      context.near_miss("linear_bias", add,
                        "the constant is not a row of the output's width: " + to_string(bias->type()));
      continue;
    }
    if (!linear->output()->has_one_use()) {
      context.near_miss("linear_bias", add, "the product without bias is used elsewhere too");
      continue;
    }
    if (bias->rank() != 1) {
      INTAGLIO_TRY(bias, graph.add1({ir::Op::reshape, {bias}, {{"shape", Dims{n}}}, {}, bias->name(), {}}, &add));
    }
    INTAGLIO_CHECK(replace(
        graph, context, "linear_bias", add,
        {ir::Op::linear, {linear->input(0), linear->input(1), bias}, linear->attrs(), merge_origins({linear, &add})}));
    return true;
  }
  return false;
}

// linear -> reshape([.., N]) becomes reshape([.., K]) -> linear: what follows the product (a residual, an activation)
// then sees the shape that the model means, and the new reshape meets the one that merged the leading dims, or is a
// free alias.
Result<bool> lift_reshapes(ir::Graph& graph, PassContext& context, ir::Node& outer) {
  ir::Node* linear = made_by(outer.input(0), ir::Op::linear);
  if (linear == nullptr || !linear->output()->has_one_use() || linear->input(3) != nullptr ||
      outer.output()->rank() < 1)
    return false;
  if (outer.output()->shape().back() != linear->output()->shape().back()) return false;
  Dims shape = outer.output()->shape();
  shape.back() = linear->input(0)->shape().back();
  std::vector<ir::Value*> inputs(linear->inputs().begin(), linear->inputs().end());
  ir::NodeSpec reshape{ir::Op::reshape, {inputs[0]},       {{"shape", std::move(shape)}},
                       outer.origin(),  inputs[0]->name(), {}};
  INTAGLIO_TRY(inputs[0], graph.add1(std::move(reshape), &outer));
  INTAGLIO_CHECK(replace(graph, context, "linear_without_reshapes", outer,
                         {ir::Op::linear, std::move(inputs), linear->attrs(), merge_origins({linear, &outer})}));
  return true;
}

}  // namespace

Result<int> fuse_linear(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) -> Result<bool> {
    switch (node.op()) {
      case ir::Op::matmul:
        return from_matmul(graph, context, node);
      case ir::Op::add:
        return add_bias(graph, context, node);
      case ir::Op::reshape:
        return lift_reshapes(graph, context, node);
      default:
        return false;
    }
  });
}

}  // namespace intaglio::passes
