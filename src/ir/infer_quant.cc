// Shape functions of quantisation.
#include "ir/infer_internal.h"

namespace intaglio::ir {

namespace {

// Scale and zero point: one element each, or [x.shape[axis]].
Status check_parameters(const InferArgs& args) {
  const Type& x = args.in(0);
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    if (args.maybe(i) == nullptr || one_element(args.in(i))) continue;
    INTAGLIO_CHECK(require_rank(args, i, 1));
    INTAGLIO_TRY(const std::size_t axis, axis_attr(args, "axis", x.shape.size()));
    INTAGLIO_CHECK(
        require_equal(args, args.in(i).shape[0], x.shape[axis],
                      fmt::format("the length of {} is not that of the axis", schema(args.op).inputs[i].name)));
  }
  return {};
}

}  // namespace

Result<Types> infer_dynamic_quantize(const InferArgs& args) {
  INTAGLIO_CHECK(require_dtype(args, 0, {DType::f32}));
  return Types{Type{DType::u8, args.in(0).shape}, Type{DType::f32, {}}, Type{DType::u8, {}}};
}

Result<Types> infer_quantize(const InferArgs& args) {
  const DType to = args.attrs.dtype("to");
  INTAGLIO_CHECK(require_floating(args, 0));
  INTAGLIO_CHECK(require_same_dtype(args, 0, 1));
  if (to != DType::u8 && to != DType::i8)
    return args.error(fmt::format("to is {}, wanted: u8, i8", intaglio::name_of(to)));
  INTAGLIO_CHECK(require_dtype(args, 2, {to}));
  INTAGLIO_CHECK(check_parameters(args));
  return Types{Type{to, args.in(0).shape}};
}

Result<Types> infer_dequantize(const InferArgs& args) {
  INTAGLIO_CHECK(require_dtype(args, 0, {DType::i8, DType::u8, DType::i32}));
  INTAGLIO_CHECK(require_floating(args, 1));
  INTAGLIO_CHECK(require_same_dtype(args, 0, 2));
  INTAGLIO_CHECK(check_parameters(args));
  return Types{Type{args.in(1).dtype, args.in(0).shape}};
}

}  // namespace intaglio::ir
