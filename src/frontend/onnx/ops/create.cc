// Ops that make tensors.
#include <cmath>

#include "base/shape.h"
#include "frontend/onnx/ops/translators.h"

namespace intaglio::frontend::onnx {

using ir::Op;

Status translate_constant(NodeContext& c) {
  if (c.attribute("value") != nullptr) return c.set(0, c.b.constant(c.attr_tensor("value")));
  if (const AttributeProto* a = c.attribute("value_int"))
    return c.set(0, c.b.constant(make_int_tensor(DType::i64, {}, {&a->i, 1})));
  if (const AttributeProto* a = c.attribute("value_ints")) return c.set(0, c.b.ints(a->ints));
  if (const AttributeProto* a = c.attribute("value_float")) return c.set(0, c.b.constant(ir::Tensor::scalar_f32(a->f)));
  if (const AttributeProto* a = c.attribute("value_floats")) {
    return c.set(0, c.b.constant(ir::Tensor::from<float>({static_cast<std::int64_t>(a->floats.size())}, a->floats)));
  }
  for (const std::string_view other : {"value_string", "value_strings", "sparse_value"}) {
    if (c.attribute(other) != nullptr)
      return c.unsupported("constants given as " + std::string(other) + " are not supported");
  }
  return c.malformed("the node holds no value");
}

Status translate_constant_of_shape(NodeContext& c) {
  INTAGLIO_TRY(Dims shape, c.dims(0, "shape"));
  if (c.attribute("value") == nullptr) return c.set(0, c.b.full(std::move(shape), 0, DType::f32));
  INTAGLIO_TRY(const ir::Tensor value, c.attr_tensor("value"));
  if (value.element_count() != 1) return c.malformed("attribute 'value' must have one element");
  // `full` holds a double; 64-bit integers beyond 2^53 are expanded from a constant instead.
  if (is_integer(value.dtype) && std::abs(value.as_double(0)) > 9007199254740992.0) {
    return c.set(0, c.b.expand(c.b.reshape(c.b.constant(value), {}), std::move(shape)));
  }
  return c.set(0, c.b.full(std::move(shape), value.as_double(0), value.dtype));
}

namespace {

// Constant operands of any dtype: the values themselves.
Status constant_range(NodeContext& c, DType dtype, double start, double limit, double delta) {
  if (delta == 0 || !std::isfinite(start) || !std::isfinite(limit) || !std::isfinite(delta))
    return c.malformed("the range is not finite");
  const double count = std::max(std::ceil((limit - start) / delta), 0.0);
  if (count > 16 * 1024 * 1024) return c.unsupported("a constant range of " + std::to_string(count) + " elements");
  std::vector<double> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = start + static_cast<double>(i) * delta;
  return c.set(0, c.b.constant(make_tensor(dtype, {static_cast<std::int64_t>(count)}, values)));
}

}  // namespace

Status translate_range(NodeContext& c) {
  INTAGLIO_TRY(const DType dtype, c.dtype(0));
  if (is_floating(dtype)) {
    INTAGLIO_TRY(const auto start, c.const_scalar(0));
    INTAGLIO_TRY(const auto limit, c.const_scalar(1));
    INTAGLIO_TRY(const auto delta, c.const_scalar(2));
    if (!start || !limit || !delta) return c.unsupported("a range of floating-point operands that are not constant");
    return constant_range(c, dtype, *start, *limit, *delta);
  }
  INTAGLIO_TRY(const Dims start, c.dims(0, "start"));
  INTAGLIO_TRY(const Dims limit, c.dims(1, "limit"));
  INTAGLIO_TRY(const std::int64_t step, c.const_int(2, "delta"));
  if (start.size() != 1 || limit.size() != 1) return c.malformed("start and limit must be scalars");
  if (step == 0 || step < -(std::int64_t{1} << 62)) return c.malformed("a range with step " + std::to_string(step));
  const Dim distance = step > 0 ? limit[0] - start[0] : start[0] - limit[0];
  const std::int64_t stride = step > 0 ? step : -step;
  const Dim count = largest(Dim::floordiv(distance + (stride - 1), stride), 0, c.b.ranges());
  return c.set(0, c.b.iota(count, dtype, start[0], step));
}

Status translate_always_folded(NodeContext& c) {
  return c.unsupported("a shape that is too large or too complicated");
}

// Compares column and row numbers: upper keeps column >= row + k, lower keeps column <= row + k.
Status translate_trilu(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  if (x->rank() < 2) return c.malformed("the operand must have rank 2 or more");
  Dim k(0);
  if (c.has(1)) {
    INTAGLIO_TRY(const Dims contents, c.dims(1, "k"));
    if (contents.size() != 1) return c.malformed("k must be a scalar");
    k = contents.front();
  }
  const Dims& shape = x->shape();
  const Dim &rows = shape[shape.size() - 2], &columns = shape.back();
  const MaybeValue row = c.b.reshape(c.b.iota(rows, DType::i64, k), {rows, Dim(1)});
  const MaybeValue column = c.b.iota(columns, DType::i64);
  const MaybeValue keep = c.b.op(c.attr_int("upper", 1) != 0 ? Op::ge : Op::le, {column, row});
  return c.set(0, c.b.where(keep, x, c.b.scalar_like(0, x)));
}

}  // namespace intaglio::frontend::onnx
