// Symbolic shape arithmetic of frontend/builder.h: slices, axes, reshape targets, constants.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/half.h"
#include "base/shape.h"
#include "frontend/builder.h"

namespace intaglio::frontend {

bool provably_at_most(const Dim& a, const Dim& b, const SymbolRanges& ranges) {
  return (b - a).bounds(ranges).min >= 0;
}
bool provably_less(const Dim& a, const Dim& b, const SymbolRanges& ranges) {
  return (b - a).bounds(ranges).min > 0;
}

Dim smallest(const Dim& a, const Dim& b, const SymbolRanges& ranges) {
  if (provably_at_most(a, b, ranges)) return a;
  if (provably_at_most(b, a, ranges)) return b;
  return Dim::min(a, b);
}

Dim largest(const Dim& a, const Dim& b, const SymbolRanges& ranges) {
  if (provably_at_most(a, b, ranges)) return b;
  if (provably_at_most(b, a, ranges)) return a;
  return Dim::max(a, b);
}

namespace {

// Exporters write INT64_MAX, INT32_MAX and their negatives for "to the end".
constexpr std::int64_t kFar = std::numeric_limits<std::int32_t>::max() - 1;

// A position that may count from the end, clamped to [low, high].
Result<Dim> clamp_position(const Dim& position, const Dim& size, const Dim& low, const Dim& high,
                           const SymbolRanges& ranges) {
  if (const auto value = position.constant()) {
    if (*value >= kFar && !size.constant()) return high;
    if (*value < -kFar) return low;
  }
  const SymbolRange range = position.bounds(ranges);
  if (range.min < 0 && range.max >= 0) {
    return fail(ErrorCode::unsupported,
                "a slice position " + position.to_string() + " may be negative or not, depending on the input's shape",
                {}, "declare the ranges of the dynamic dims more tightly, or fix them");
  }
  const Dim absolute = range.max < 0 ? position + size : position;
  return largest(smallest(absolute, high, ranges), low, ranges);
}

}  // namespace

Result<SliceBounds> normalise_slice(const SliceSpec& spec, const Dim& size, const SymbolRanges& ranges) {
  if (spec.step == 0) return fail(ErrorCode::file, "a slice with step 0");
  const bool forward = spec.step > 0;
  const Dim low = forward ? Dim(0) : Dim(-1);
  const Dim high = forward ? size : size - 1;
  SliceBounds bounds{forward ? Dim(0) : size - 1, forward ? size : Dim(-1)};
  if (spec.start) {
    // A backward slice may start at the first element at the lowest.
    const Dim start_low = forward ? low : Dim(-1);
    INTAGLIO_TRY(bounds.start, clamp_position(*spec.start, size, start_low, high, ranges));
  }
  if (spec.end) {
    INTAGLIO_TRY(bounds.end, clamp_position(*spec.end, size, low, high, ranges));
  }
  return bounds;
}

Result<std::int64_t> normalise_axis(std::int64_t axis, std::int64_t rank) {
  if (axis < -rank || axis >= rank) {
    return fail(ErrorCode::file,
                "axis " + std::to_string(axis) + " is outside a tensor of rank " + std::to_string(rank));
  }
  return axis < 0 ? axis + rank : axis;
}

Result<std::vector<std::int64_t>> normalise_axes(std::span<const std::int64_t> axes, std::int64_t rank) {
  std::vector<std::int64_t> out;
  for (const std::int64_t axis : axes) {
    INTAGLIO_TRY(const std::int64_t at, normalise_axis(axis, rank));
    out.push_back(at);
  }
  std::sort(out.begin(), out.end());
  if (std::adjacent_find(out.begin(), out.end()) != out.end()) return fail(ErrorCode::file, "an axis is given twice");
  return out;
}

Result<Dims> resolve_reshape(std::span<const Dim> from, std::span<const Dim> target, bool zero_copies) {
  Dims out(target.begin(), target.end());
  std::optional<std::size_t> unknown;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto value = out[i].constant();
    if (!value) continue;
    if (*value == 0 && zero_copies) {
      if (i >= from.size())
        return fail(ErrorCode::file,
                    "reshape: a 0 at position " + std::to_string(i) + " copies a dim that the operand lacks");
      out[i] = from[i];
    } else if (*value == -1) {
      if (unknown) return fail(ErrorCode::file, "reshape: more than one -1");
      unknown = i;
    } else if (*value < 0) {
      return fail(ErrorCode::file, "reshape: negative dim " + std::to_string(*value));
    }
  }
  if (!unknown) return out;
  // Equal dims cancel one by one first: what is left divides exactly more often.
  Dims above(from.begin(), from.end()), below;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i == *unknown) continue;
    const auto same = std::find(above.begin(), above.end(), out[i]);
    if (same != above.end() && !out[i].is_constant()) {
      above.erase(same);
    } else {
      below.push_back(out[i]);
    }
  }
  const Dim count = element_count(above), known = element_count(below);
  if (const auto zero = known.constant(); zero && *zero == 0) {
    return fail(ErrorCode::file, "reshape: -1 beside a dim of 0 is ambiguous");
  }
  const auto exact = Dim::exact_div(count, known);
  if (!exact && count.is_constant() && known.is_constant()) {
    return fail(ErrorCode::file, "reshape: " + to_string(from) + " has no shape " + to_string(target));
  }
  out[*unknown] = exact ? *exact : Dim::floordiv(count, known);
  return out;
}

DType promote(DType a, DType b) {
  if (a == b) return a;
  if (is_floating(a) && !is_floating(b)) return a;
  if (is_floating(b) && !is_floating(a)) return b;
  if (is_floating(a)) {
    if (a == DType::f64 || b == DType::f64) return DType::f64;
    return DType::f32;  // f32 with a half, or the two halves together
  }
  if (a == DType::boolean) return b;
  if (b == DType::boolean) return a;
  if (is_signed_integer(a) == is_signed_integer(b)) return size_of(a) >= size_of(b) ? a : b;
  const DType with_sign = is_signed_integer(a) ? a : b, without = is_signed_integer(a) ? b : a;
  if (size_of(with_sign) > size_of(without)) return with_sign;
  switch (size_of(without)) {
    case 1:
      return DType::i16;
    case 2:
      return DType::i32;
    default:
      return DType::i64;
  }
}

double lowest_of(DType t) {
  switch (t) {
    case DType::f32:
      return -static_cast<double>(std::numeric_limits<float>::max());
    case DType::f64:
      return std::numeric_limits<double>::lowest();
    case DType::f16:
      return -65504.0;
    case DType::bf16:
      return -static_cast<double>(std::bit_cast<float>(0x7f7f0000u));
    case DType::i8:
      return -128;
    case DType::i16:
      return -32768;
    case DType::i32:
      return std::numeric_limits<std::int32_t>::min();
    case DType::i64:
      return static_cast<double>(std::numeric_limits<std::int64_t>::min());
    default:
      return 0;
  }
}

double highest_of(DType t) {
  switch (t) {
    case DType::i8:
      return 127;
    case DType::i16:
      return 32767;
    case DType::i32:
      return std::numeric_limits<std::int32_t>::max();
    case DType::i64:
      return static_cast<double>(std::numeric_limits<std::int64_t>::max());
    case DType::u8:
      return 255;
    case DType::u16:
      return 65535;
    case DType::u32:
      return std::numeric_limits<std::uint32_t>::max();
    case DType::u64:
      return static_cast<double>(std::numeric_limits<std::uint64_t>::max());
    case DType::boolean:
      return 1;
    default:
      return -lowest_of(t);
  }
}

namespace {

template <class T>
void store(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof(T));
}

template <class T>
T saturated(double value) {
  if (std::isnan(value)) return T{0};
  if (value >= static_cast<double>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  if (value <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  return static_cast<T>(value);
}

void store_as(DType dtype, std::byte* at, double value) {
  switch (dtype) {
    case DType::f32:
      return store(at, static_cast<float>(value));
    case DType::f64:
      return store(at, value);
    case DType::f16:
      return store(at, to_float16(value));
    case DType::bf16:
      return store(at, to_bfloat16(static_cast<float>(value)));
    case DType::i8:
      return store(at, saturated<std::int8_t>(value));
    case DType::u8:
      return store(at, saturated<std::uint8_t>(value));
    case DType::i16:
      return store(at, saturated<std::int16_t>(value));
    case DType::u16:
      return store(at, saturated<std::uint16_t>(value));
    case DType::i32:
      return store(at, saturated<std::int32_t>(value));
    case DType::u32:
      return store(at, saturated<std::uint32_t>(value));
    case DType::i64:
      return store(at, saturated<std::int64_t>(value));
    case DType::u64:
      return store(at, saturated<std::uint64_t>(value));
    case DType::boolean:
      return store(at, static_cast<std::uint8_t>(value != 0));
  }
}

}  // namespace

Result<ir::Tensor> make_tensor(DType dtype, Shape shape, std::span<const double> values) {
  std::byte* out = nullptr;
  INTAGLIO_TRY(ir::Tensor tensor, ir::Tensor::allocate(dtype, std::move(shape), &out));
  if (tensor.element_count() != static_cast<std::int64_t>(values.size())) {
    return fail(ErrorCode::internal, "a constant's values do not match its shape");
  }
  for (std::size_t i = 0; i < values.size(); ++i) store_as(dtype, out + i * size_of(dtype), values[i]);
  return tensor;
}

Result<ir::Tensor> make_int_tensor(DType dtype, Shape shape, std::span<const std::int64_t> values) {
  std::byte* out = nullptr;
  INTAGLIO_TRY(ir::Tensor tensor, ir::Tensor::allocate(dtype, std::move(shape), &out));
  if (tensor.element_count() != static_cast<std::int64_t>(values.size())) {
    return fail(ErrorCode::internal, "a constant's values do not match its shape");
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::byte* at = out + i * size_of(dtype);
    if (dtype == DType::i64 || dtype == DType::u64) {
      store(at, values[i]);
    } else {
      store_as(dtype, at, static_cast<double>(values[i]));
    }
  }
  return tensor;
}

}  // namespace intaglio::frontend
