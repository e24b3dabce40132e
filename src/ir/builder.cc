#include "ir/builder.h"

#include <fmt/format.h>
#include <array>

#include "ir/text_internal.h"

namespace intaglio::ir {

Result<Node*> Builder::node(Op op, const std::vector<MaybeValue>& inputs, Attrs attrs) {
  NodeSpec spec{op, {}, std::move(attrs), origin_, std::exchange(hint_, {}), {}};
  for (const MaybeValue& input : inputs) {
    if (!input) return fail(input.error());
    spec.inputs.push_back(*input);
  }
  while (!spec.inputs.empty() && spec.inputs.back() == nullptr) spec.inputs.pop_back();  // absent ones at the end
  return graph_.add(std::move(spec), before_);
}

MaybeValue Builder::op(Op op, const std::vector<MaybeValue>& inputs, Attrs attrs) {
  INTAGLIO_TRY(Node* const made, node(op, inputs, std::move(attrs)));
  return made->output();
}

MaybeValue Builder::op(Op op, std::initializer_list<MaybeValue> inputs, Attrs attrs) {
  return this->op(op, std::vector<MaybeValue>(inputs), std::move(attrs));
}

MaybeValue Builder::constant(Result<Tensor> tensor, std::string_view hint) {
  if (!tensor) return fail(std::move(tensor).error());
  return graph_.add_constant(std::move(*tensor), hint);
}

MaybeValue Builder::scalar(double value, DType dtype) {
  std::array<std::byte, 8> bytes{};
  // Through text: one conversion that knows every dtype and refuses what does not fit.
  const std::string text = dtype == DType::boolean ? (value != 0 ? "true" : "false") : fmt::format("{:.17g}", value);
  if (!parse_element(dtype, text, bytes.data())) {
    return fail(ErrorCode::internal, fmt::format("{} is no {}", text, intaglio::name_of(dtype)));
  }
  return constant(Tensor::copy_of(dtype, {}, std::span(bytes).first(size_of(dtype))));
}

MaybeValue Builder::ints(const Ints& values) {
  return constant(Tensor::vector_i64(values));
}

MaybeValue Builder::slice(MaybeValue x, std::int64_t axis, Dim start, Dim end) {
  return op(Op::slice, {x}, {{"axes", Ints{axis}}, {"starts", Dims{start}}, {"ends", Dims{end}}, {"steps", Ints{1}}});
}

MaybeValue Builder::reduce(std::string_view kind, MaybeValue x, Ints axes, bool keepdims) {
  return op(Op::reduce, {x}, {{"kind", std::string(kind)}, {"axes", std::move(axes)}, {"keepdims", keepdims}});
}

}  // namespace intaglio::ir
