// Shape functions of reductions and normalisations.
#include <algorithm>

#include "ir/infer_internal.h"

namespace intaglio::ir {

Result<Types> infer_reduce(const InferArgs& args) {
  const Type& x = args.in(0);
  const std::string& kind = args.attrs.s("kind");
  INTAGLIO_CHECK(require_word(
      args, "kind",
      {"sum", "mean", "max", "min", "prod", "l1", "l2", "sum_square", "log_sum", "log_sum_exp", "any", "all"}));
  if (kind == "any" || kind == "all") {
    INTAGLIO_CHECK(require_dtype(args, 0, {DType::boolean}));
  } else if (kind == "mean" || kind == "l2" || kind == "log_sum" || kind == "log_sum_exp") {
    INTAGLIO_CHECK(require_floating(args, 0));
  } else {
    INTAGLIO_CHECK(require_number(args, 0));
  }
  std::vector<bool> reduced(x.shape.size());
  for (const std::int64_t axis : args.attrs.ints("axes")) {
    const auto a = static_cast<std::size_t>(axis);
    if (axis < 0 || a >= reduced.size() || reduced[a]) {
      return args.error(fmt::format("axis {} is outside rank {} or given twice", axis, reduced.size()));
    }
    reduced[a] = true;
  }
  Dims shape;
  for (std::size_t i = 0; i < x.shape.size(); ++i) {
    if (!reduced[i]) {
      shape.push_back(x.shape[i]);
    } else if (args.attrs.b("keepdims")) {
      shape.emplace_back(1);
    }
  }
  return Types{Type{x.dtype, std::move(shape)}};
}

Result<Types> infer_argmax(const InferArgs& args) {
  INTAGLIO_CHECK(require_number(args, 0));
  INTAGLIO_TRY(const std::size_t axis, axis_attr(args, "axis", args.in(0).shape.size()));
  Dims shape = args.in(0).shape;
  if (args.attrs.b("keepdims")) {
    shape[axis] = 1;
  } else {
    shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
  }
  return Types{Type{DType::i64, std::move(shape)}};
}

Result<Types> infer_cumsum(const InferArgs& args) {
  INTAGLIO_CHECK(require_number(args, 0));
  INTAGLIO_CHECK(axis_attr(args, "axis", args.in(0).shape.size()));
  return Types{args.in(0)};
}

Result<Types> infer_softmax(const InferArgs& args) {
  INTAGLIO_CHECK(require_floating(args, 0));
  INTAGLIO_CHECK(axis_attr(args, "axis", args.in(0).shape.size()));
  return Types{args.in(0)};
}

namespace {

// Both norms: x and one or two parameters that broadcast to the normalised shape.
Result<Types> infer_norm(const InferArgs& args) {
  const Type& x = args.in(0);
  INTAGLIO_CHECK(require_floating(args, 0));
  INTAGLIO_TRY(const std::size_t axis, axis_attr(args, "axis", x.shape.size(), true));
  const std::span<const Dim> normalised = std::span(x.shape).subspan(axis);
  for (std::size_t i = 1; i < args.inputs.size(); ++i) {
    if (args.maybe(i) == nullptr) continue;
    INTAGLIO_CHECK(require_dtype(args, i, {x.dtype, DType::f32}));
    INTAGLIO_CHECK(
        require_broadcasts_to(args, args.in(i).shape, normalised,
                              fmt::format("{} does not fit the normalised shape", schema(args.op).inputs[i].name)));
  }
  return Types{x};
}

}  // namespace

Result<Types> infer_layer_norm(const InferArgs& args) {
  return infer_norm(args);
}
Result<Types> infer_rms_norm(const InferArgs& args) {
  return infer_norm(args);
}
Result<Types> infer_norm_quantize(const InferArgs& args) {
  INTAGLIO_CHECK(require_dtype(args, 0, {DType::f32, DType::bf16}));
  INTAGLIO_CHECK(require_word(args, "kind", {"layer", "rms"}));
  if (args.maybe(2) != nullptr && args.attrs.s("kind") == "rms")
    return args.error("a root mean square norm has no beta");
  INTAGLIO_TRY(Types types, infer_norm(args));
  Type scale{DType::f32, types[0].shape};
  INTAGLIO_TRY(const std::size_t axis, axis_attr(args, "axis", scale.shape.size(), true));
  std::fill(scale.shape.begin() + static_cast<std::ptrdiff_t>(axis), scale.shape.end(), Dim(1));
  types.push_back({DType::u8, types[0].shape});
  types.push_back(std::move(scale));
  return types;
}

}  // namespace intaglio::ir
