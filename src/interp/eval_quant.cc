// Quantisation, with the roundings of the ONNX operators.
#include "interp/eval.h"
#include "interp/row_quantisation.h"

namespace intaglio::interp {

namespace {

// Rounds to even, adds the zero point, saturates; a NaN gives 0.
template <class C>
std::int64_t quantized(C scaled, std::int64_t zero_point, DType to) {
  const double value = static_cast<double>(std::nearbyint(scaled)) + static_cast<double>(zero_point);
  const double low = to == DType::i8 ? -128 : 0, high = to == DType::i8 ? 127 : 255;
  if (value != value) return 0;
  return static_cast<std::int64_t>(value < low ? low : value > high ? high : value);
}

// Positions of a parameter (one element, or one per index of the axis) for every element of x.
std::vector<std::int64_t> parameter_positions(const EvalArgs& args, const Tensor* parameter) {
  const Shape& shape = args.in(0).shape;
  std::vector<std::int64_t> strides(shape.size(), 0);
  if (parameter != nullptr && parameter->element_count() > 1)
    strides[static_cast<std::size_t>(args.attrs.i("axis"))] = 1;
  return offsets_of(shape, strides);
}

template <class C>
Result<Tensors> quantize_of(const EvalArgs& args) {
  const std::vector<C> x = load_all<C>(args.in(0));
  const Tensor* zero = args.maybe(2);
  const auto at_scale = parameter_positions(args, args.maybe(1)), at_zero = parameter_positions(args, zero);
  std::vector<std::int64_t> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::int64_t zero_point = zero == nullptr ? 0 : zero->as_int(at_zero[i]);
    y[i] = quantized(x[i] / load_as<C>(args.in(1), at_scale[i]), zero_point, args.dtypes[0]);
  }
  return result_of(args, y);
}

template <class C>
Result<Tensors> dequantize_of(const EvalArgs& args) {
  const Tensor &x = args.in(0), *zero = args.maybe(2);
  const auto at_scale = parameter_positions(args, args.maybe(1)), at_zero = parameter_positions(args, zero);
  std::vector<C> y(static_cast<std::size_t>(x.element_count()));
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::int64_t shifted =
        x.as_int(static_cast<std::int64_t>(i)) - (zero == nullptr ? 0 : zero->as_int(at_zero[i]));
    y[i] = static_cast<C>(shifted) * load_as<C>(args.in(1), at_scale[i]);
  }
  return result_of(args, y);
}

template <class C>
Result<Tensors> dynamic_quantize_of(const EvalArgs& args) {
  const std::vector<C> x = load_all<C>(args.in(0));
  const RowQuantisation<C> of_all(x, false);
  std::vector<std::int64_t> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = of_all.quantised(x[i]);
  INTAGLIO_TRY(Tensor quantized_x, store_all(DType::u8, args.shapes[0], y));
  INTAGLIO_TRY(Tensor scale_tensor, store_all(args.dtypes[1], {}, std::vector<C>{of_all.scale}));
  INTAGLIO_TRY(Tensor zero_tensor, store_all(DType::u8, {}, std::vector<std::int64_t>{of_all.zero}));
  return Tensors{std::move(quantized_x), std::move(scale_tensor), std::move(zero_tensor)};
}

}  // namespace

Result<Tensors> eval_dynamic_quantize(const EvalArgs& args) {
  return args.in(0).dtype == DType::f64 ? dynamic_quantize_of<double>(args) : dynamic_quantize_of<float>(args);
}
Result<Tensors> eval_quantize(const EvalArgs& args) {
  return args.in(0).dtype == DType::f64 ? quantize_of<double>(args) : quantize_of<float>(args);
}
Result<Tensors> eval_dequantize(const EvalArgs& args) {
  return args.dtypes[0] == DType::f64 ? dequantize_of<double>(args) : dequantize_of<float>(args);
}

}  // namespace intaglio::interp
