#include "frontend/pt2/promote.h"

#include <optional>

namespace intaglio::frontend::pt2 {
namespace {

using MaybeType = std::optional<DType>;

MaybeType join(MaybeType a, MaybeType b) {
  return !a ? b : !b ? a : promote(*a, *b);
}

// torch's combine_categories without complex numbers.
MaybeType combine(MaybeType higher, MaybeType lower) {
  if (!higher) return lower;
  if (is_floating(*higher)) return higher;
  if (*higher == DType::boolean || (lower && is_floating(*lower))) return join(higher, lower);
  return higher;
}

}  // namespace

DType dtype_of(const Scalar& scalar) {
  switch (scalar.kind) {
    case Scalar::Kind::integer:
      return DType::i64;
    case Scalar::Kind::boolean:
      return DType::boolean;
    default:
      return DType::f32;
  }
}

DType result_type(std::span<const Operand> operands) {
  MaybeType dimensioned, zero_dim, number;
  for (const Operand& operand : operands) {
    if (operand.tensor == nullptr) {
      number = join(number, dtype_of(operand.scalar));
    } else {
      MaybeType& kind = operand.tensor->rank() > 0 ? dimensioned : zero_dim;
      kind = join(kind, operand.tensor->dtype());
    }
  }
  return combine(dimensioned, combine(zero_dim, number)).value_or(DType::f32);
}

MaybeValue scalar_value(Builder& b, const Scalar& scalar, DType dtype) {
  if (scalar.kind == Scalar::Kind::unknown)
    return fail(ErrorCode::unsupported, "a number depends on data: " + scalar.why);
  if (scalar.kind == Scalar::Kind::integer) {
    const auto value = scalar.i.constant();
    if (!value) return b.dim_scalar(scalar.i, dtype);
    if (is_integer(dtype)) return b.constant(make_int_tensor(dtype, {}, std::span<const std::int64_t>(&*value, 1)));
    return b.scalar(static_cast<double>(*value), dtype);
  }
  return b.scalar(scalar.constant().value_or(0), dtype);
}

MaybeValue as_value(Builder& b, const Operand& operand, DType dtype) {
  if (operand.tensor != nullptr) return b.cast(operand.tensor, dtype);
  return scalar_value(b, operand.scalar, dtype);
}

}  // namespace intaglio::frontend::pt2
