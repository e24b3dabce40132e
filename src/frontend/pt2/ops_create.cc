// Tensors from nothing.
#include <cmath>

#include "frontend/pt2/ops.h"
#include "frontend/pt2/promote.h"

namespace intaglio::frontend::pt2::ops {
namespace {

constexpr double kExactInts = 9007199254740992.0;  // 2^53: larger integers need not fit a double

Status created(Call& c, const Scalar& value) {
  // new_* overloads take their default dtype from self, the others are f32.
  DType fallback = DType::f32;
  if (c.find("self") != nullptr) {
    INTAGLIO_TRY(ir::Value * self, c.tensor("self"));
    fallback = self->dtype();
  }
  INTAGLIO_TRY(Dims sizes, c.dims("size"));
  INTAGLIO_TRY(const auto dtype, c.dtype());
  return c.ret(filled(c.b, std::move(sizes), value, dtype.value_or(fallback)));
}

Status like(Call& c, const Scalar& value) {
  INTAGLIO_TRY(ir::Value * self, c.tensor("self"));
  INTAGLIO_TRY(const auto dtype, c.dtype());
  return c.ret(filled(c.b, self->shape(), value, dtype.value_or(self->dtype())));
}

bool whole(const Scalar& s) {
  return s.kind != Scalar::Kind::floating || (std::abs(s.f) < kExactInts && s.f == std::floor(s.f));
}
Dim as_dim(const Scalar& s) {
  if (s.kind == Scalar::Kind::integer) return s.i;
  return Dim(static_cast<std::int64_t>(s.kind == Scalar::Kind::floating ? s.f : s.b ? 1 : 0));
}

// ceil((end - start) / step) with whole numbers, not below 0.
Result<Dim> whole_count(const Dim& start, const Dim& end, const Dim& step, const SymbolRanges& ranges) {
  const SymbolRange sign = step.bounds(ranges);
  if (sign.min <= 0 && sign.max >= 0) return fail(ErrorCode::unsupported, "arange: a step of zero or of unknown sign");
  const bool up = sign.min > 0;
  const Dim length = up ? end - start : start - end, stride = up ? step : Dim(0) - step;
  return largest(stride == Dim(1) ? length : Dim::floordiv(length + stride - Dim(1), stride), Dim(0), ranges);
}

// start + i * step with fractions: the integers are made first, then scaled.
MaybeValue fractional_range(Call& c, const Scalar& start, const Scalar& end, const Scalar& step, DType dtype) {
  const auto a = start.constant(), z = end.constant(), d = step.constant();
  if (!a || !z || !d || *d == 0) return fail(ErrorCode::unsupported, "arange with fractions must have constant bounds");
  const double count = std::ceil((*z - *a) / *d);
  if (!(count < 1e12)) return fail(ErrorCode::file, "arange: too many elements");
  const DType compute = is_floating(dtype) ? dtype : DType::f64;
  MaybeValue y = c.b.cast(c.b.iota(Dim(static_cast<std::int64_t>(std::max(count, 0.0))), DType::i64), compute);
  if (*d != 1) y = c.b.mul(y, *d);
  if (*a != 0) y = c.b.add(y, *a);
  return c.b.cast(y, dtype);
}

}  // namespace

MaybeValue filled(Builder& b, Dims shape, const Scalar& value, DType dtype) {
  for (const Dim& dim : shape) {
    if (dim.bounds(b.ranges()).max < 0) return fail(ErrorCode::file, "a negative size");
  }
  const auto constant = value.constant();
  if (shape.empty()) return scalar_value(b, value, dtype);
  if (constant && (!is_integer(dtype) || std::abs(*constant) < kExactInts))
    return b.full(std::move(shape), *constant, dtype);
  return b.expand(scalar_value(b, value, dtype), std::move(shape));
}

Status full(Call& c) {
  INTAGLIO_TRY(const Scalar value, c.number("fill_value"));
  if (c.find("self") != nullptr) return created(c, value);
  INTAGLIO_TRY(Dims sizes, c.dims("size"));
  INTAGLIO_TRY(const auto dtype, c.dtype());
  return c.ret(filled(c.b, std::move(sizes), value, dtype.value_or(dtype_of(value))));
}

Status zeros(Call& c) {
  return created(c, Scalar::of(0));
}
Status ones(Call& c) {
  return created(c, Scalar::of(1));
}
Status zeros_like(Call& c) {
  return like(c, Scalar::of(0));
}
Status ones_like(Call& c) {
  return like(c, Scalar::of(1));
}

Status full_like(Call& c) {
  INTAGLIO_TRY(const Scalar value, c.number("fill_value"));
  return like(c, value);
}

Status fill(Call& c) {
  INTAGLIO_TRY(ir::Value * self, c.tensor("self"));
  INTAGLIO_TRY(const Operand value, c.operand("value"));
  if (value.tensor == nullptr) return c.ret(filled(c.b, self->shape(), value.scalar, self->dtype()));
  return c.ret(c.b.expand(as_value(c.b, value, self->dtype()), self->shape()));
}

Status copy(Call& c) {
  INTAGLIO_TRY(ir::Value * self, c.tensor("self"));
  return c.ret(c.b.expand(c.b.cast(c.tensor("src"), self->dtype()), self->shape()));
}

Status scalar_tensor(Call& c) {
  INTAGLIO_TRY(const Scalar value, c.number("s"));
  INTAGLIO_TRY(const auto dtype, c.dtype());
  return c.ret(scalar_value(c.b, value, dtype.value_or(DType::f32)));
}

Status arange(Call& c) {
  INTAGLIO_TRY(const Scalar start, c.number("start", Scalar::of(0)));
  INTAGLIO_TRY(const Scalar end, c.number("end"));
  INTAGLIO_TRY(const Scalar step, c.number("step", Scalar::of(1)));
  INTAGLIO_TRY(const auto given, c.dtype());
  const auto floating = [](const Scalar& s) { return s.kind == Scalar::Kind::floating; };
  const bool floats = floating(start) || floating(end) || floating(step);
  const DType dtype = given.value_or(floats ? DType::f32 : DType::i64);
  if (!whole(start) || !whole(end) || !whole(step)) return c.ret(fractional_range(c, start, end, step, dtype));
  INTAGLIO_TRY(const Dim count, whole_count(as_dim(start), as_dim(end), as_dim(step), c.b.ranges()));
  return c.ret(c.b.iota(count, dtype, as_dim(start), as_dim(step)));
}

Status iota(Call& c) {
  INTAGLIO_TRY(const auto length, c.optional_dim("length"));
  INTAGLIO_TRY(const auto start, c.optional_dim("start"));
  INTAGLIO_TRY(const auto step, c.optional_dim("step"));
  INTAGLIO_TRY(const auto dtype, c.dtype());
  if (!length) return fail(ErrorCode::file, "argument 'length' is missing");
  return c.ret(c.b.iota(*length, dtype.value_or(DType::i64), start.value_or(Dim(0)), step.value_or(Dim(1))));
}

}  // namespace intaglio::frontend::pt2::ops
