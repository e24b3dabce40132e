// What the shape functions share. Private to ir/infer*.cc.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/op.h"

namespace intaglio::ir {

using Types = std::vector<Type>;

// One call of a shape function: operands are as many as the schema allows, required ones present, attributes complete.
struct InferArgs {
  Op op{};
  std::span<const Type* const> inputs;
  const Attrs& attrs;
  const InferContext& context;

  const Type& in(std::size_t i) const { return *inputs[i]; }  // precondition: a required operand
  const Type* maybe(std::size_t i) const { return i < inputs.size() ? inputs[i] : nullptr; }
  // "add: <message>", unsupported, with the context's origin.
  tl::unexpected<Error> error(std::string_view message) const;
};

// One shape function per row of ops.inc: a row without one does not link.
#define INTAGLIO_OP(token, group, inputs, outputs, attrs, formula) Result<Types> infer_##token(const InferArgs& args);
#include "ir/ops.inc"
#undef INTAGLIO_OP

// a must equal b: nothing if provably so, an error if provably not, else a guard. `what` names the pair in the error.
Status require_equal(const InferArgs& args, const Dim& a, const Dim& b, std::string_view what);
// a <= b, in the same way (as the guard min(a, b) == a).
Status require_at_most(const InferArgs& args, const Dim& a, const Dim& b, std::string_view what);
// `from` right-aligned broadcasts to exactly `to`.
Status require_broadcasts_to(const InferArgs& args, std::span<const Dim> from, std::span<const Dim> to,
                             std::string_view what);
Status require_dtype(const InferArgs& args, std::size_t operand, std::initializer_list<DType> allowed);
Status require_floating(const InferArgs& args, std::size_t operand);
Status require_number(const InferArgs& args, std::size_t operand);  // anything but bool
Status require_same_dtype(const InferArgs& args, std::size_t a, std::size_t b);
Status require_rank(const InferArgs& args, std::size_t operand, std::size_t rank);
// The value of the attribute `name` within [0, rank). `extra` allows rank itself.
Result<std::size_t> axis_attr(const InferArgs& args, std::string_view name, std::size_t rank, bool extra = false);
// The attribute is one of the words.
Status require_word(const InferArgs& args, std::string_view attr, std::initializer_list<std::string_view> words);

inline Dim back(const Dims& shape, std::size_t i = 0) {
  return shape[shape.size() - 1 - i];
}
bool one_element(const Type& type);  // every dim is the constant 1

}  // namespace intaglio::ir
