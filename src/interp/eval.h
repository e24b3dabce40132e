// What the eval functions share. Private to interp/.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "base/half.h"
#include "base/shape.h"
#include "interp/interp.h"
#include "ir/graph.h"

namespace intaglio::interp {

using ir::Op;
using ir::Tensor;
using Tensors = std::vector<Tensor>;

// One evaluation. Operands have been checked against the op: the shape function has run on their concrete types, so
// dtypes, ranks, axes and dims fit, and `shapes` are the results' shapes. All dims in `attrs` are constants.
struct EvalArgs {
  Op op{};
  const ir::Attrs& attrs;
  std::span<const Tensor* const> inputs;  // nullptr: absent
  std::vector<DType> dtypes;              // of the results, as held (f64 for floating point in f64 precision)
  std::vector<Shape> shapes;
  Precision precision = Precision::f32;
  bool folding = false;  // integer division by zero is an error

  const Tensor& in(std::size_t i) const { return *inputs[i]; }
  const Tensor* maybe(std::size_t i) const { return i < inputs.size() ? inputs[i] : nullptr; }
  Shape dims(std::string_view name) const;  // the attribute as numbers
  std::int64_t count(std::size_t output = 0) const;
  tl::unexpected<Error> data_error(std::string message) const;
};

// One function per row of ops.inc: a row without one does not link.
#define INTAGLIO_OP(token, group, inputs, outputs, attrs, formula) Result<Tensors> eval_##token(const EvalArgs& args);
#include "ir/ops.inc"
#undef INTAGLIO_OP

// ---- elements. Values are computed in one of four types: double for f64; float for f32, f16, bf16; uint64 for u64;
// int64 for all other integers and bool (0 or 1). Narrow integers wrap when they are stored.
template <class F>
decltype(auto) with_compute_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64:
      return f(double{});
    case DType::f32:
    case DType::f16:
    case DType::bf16:
      return f(float{});
    case DType::u64:
      return f(std::uint64_t{});
    default:
      return f(std::int64_t{});
  }
}

// Double precision sums for floating point; integers wrap.
template <class C>
using Sum = std::conditional_t<std::is_floating_point_v<C>, double, std::uint64_t>;

template <class C>
C load_as(const Tensor& x, std::int64_t i) {
  if constexpr (std::is_floating_point_v<C>) {
    if (x.dtype == DType::f32) return static_cast<C>(x.load<float>(i));
    return static_cast<C>(x.as_double(i));  // f16 and bf16 fit a float exactly
  } else {
    return static_cast<C>(x.as_int(i));
  }
}

// The whole tensor; its dtype's compute type must be C.
template <class C>
std::vector<C> load_all(const Tensor& x) {
  std::vector<C> values(static_cast<std::size_t>(x.element_count()));
  if (x.dtype == kDTypeOf<C> && x.bytes > 0) {
    std::memcpy(values.data(), x.data, x.bytes);
  } else {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = load_as<C>(x, static_cast<std::int64_t>(i));
  }
  return values;
}

void store_float(double value, DType dtype, std::byte* out);           // rounds once, to nearest even
void store_integer(std::uint64_t value, DType dtype, std::byte* out);  // wraps; bool: value != 0

template <class C>
void store_as(C value, DType dtype, std::byte* out) {
  if constexpr (std::is_floating_point_v<C>) {
    store_float(value, dtype, out);
  } else {
    store_integer(static_cast<std::uint64_t>(value), dtype, out);
  }
}

template <class C>
Result<Tensor> store_all(DType dtype, const Shape& shape, const std::vector<C>& values) {
  std::byte* out = nullptr;
  INTAGLIO_TRY(Tensor y, Tensor::allocate(dtype, shape, &out));
  if (dtype == kDTypeOf<C> && y.bytes > 0) {
    std::memcpy(out, values.data(), y.bytes);
  } else {
    for (std::size_t i = 0; i < values.size(); ++i) store_as(values[i], dtype, out + i * size_of(dtype));
  }
  return y;
}

template <class C>
Result<Tensors> result_of(const EvalArgs& args, const std::vector<C>& values) {
  INTAGLIO_TRY(Tensor y, store_all(args.dtypes[0], args.shapes[0], values));
  return Tensors{std::move(y)};
}

// A double as a cast stores it: integers truncate and saturate, NaN is 0; bool is value != 0.
void store_cast(double value, DType dtype, std::byte* out);
// An integer as a cast stores it: integers wrap, bool is value != 0.
void store_cast(std::int64_t value, bool is_unsigned, DType dtype, std::byte* out);

// ---- positions
// base + sum of index[d] * strides[d] for every index of `shape` in row-major order.
std::vector<std::int64_t> offsets_of(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides,
                                     std::int64_t base = 0);
// The strides (in elements, 0 where repeated) that read a tensor of shape `from` as one of shape `to`, right-aligned.
std::vector<std::int64_t> broadcast_strides(std::span<const std::int64_t> from, std::span<const std::int64_t> to);
// y[i] = x[offsets[i]], of x's dtype.
Result<Tensor> take(const Tensor& x, const Shape& shape, const std::vector<std::int64_t>& offsets);

// A dense shape seen as [outer, n, inner] around one axis.
struct AxisView {
  std::int64_t outer = 1, n = 1, inner = 1;
};
AxisView view_axis(std::span<const std::int64_t> shape, std::size_t axis);

// activation attribute of linear and quantized_linear ("none", "relu", ...), in C.
template <class C>
C activate(std::string_view activation, C x);

// ---- a node with everything checked. `max_bytes` limits results plus scratch.
struct NodeCall {
  const ir::Node& node;
  std::span<const Tensor* const> inputs;
  const SymbolValues& symbols;
  Precision precision = Precision::f32;
  bool folding = false;
  std::size_t max_bytes = 0;
};
Result<Tensors> eval_node(const NodeCall& call);

inline DType held(DType dtype, Precision precision) {
  return precision == Precision::f64 && is_floating(dtype) ? DType::f64 : dtype;
}

}  // namespace intaglio::interp
