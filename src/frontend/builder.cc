#include "frontend/builder.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/shape.h"

namespace intaglio::frontend {

using ir::Op;
using ir::Value;

Dim Builder::declare_symbol(std::string_view name, SymbolRange range) {
  const auto [at, fresh] = graph_.symbols.try_emplace(std::string(name), range);
  if (!fresh) {
    at->second.min = std::max(at->second.min, range.min);
    at->second.max = std::min(at->second.max, range.max);
  }
  return Dim::symbol(name);
}

Result<ir::Node*> Builder::node(Op kind, std::span<const MaybeValue> inputs, ir::Attrs attrs) {
  ir::NodeSpec spec;
  spec.op = kind;
  spec.inputs.reserve(inputs.size());
  for (const MaybeValue& input : inputs) {
    if (!input) return fail(input.error());
    spec.inputs.push_back(*input);
  }
  spec.attrs = std::move(attrs);
  spec.origin = origin_;
  spec.name_hint = name_hint_;
  return graph_.add(std::move(spec));
}

Result<ir::Node*> Builder::node(Op kind, std::initializer_list<MaybeValue> inputs, ir::Attrs attrs) {
  return node(kind, std::span<const MaybeValue>(inputs.begin(), inputs.size()), std::move(attrs));
}

MaybeValue Builder::op(Op kind, std::span<const MaybeValue> inputs, ir::Attrs attrs) {
  INTAGLIO_TRY(ir::Node * made, node(kind, inputs, std::move(attrs)));
  return made->output(0);
}

MaybeValue Builder::op(Op kind, std::initializer_list<MaybeValue> inputs, ir::Attrs attrs) {
  return op(kind, std::span<const MaybeValue>(inputs.begin(), inputs.size()), std::move(attrs));
}

MaybeValue Builder::constant(Result<ir::Tensor> tensor, std::string_view hint) {
  if (!tensor) return fail(std::move(tensor).error());
  return graph_.add_constant(std::move(*tensor), hint);
}

MaybeValue Builder::scalar(double value, DType dtype) {
  return constant(make_tensor(dtype, {}, {&value, 1}));
}

MaybeValue Builder::scalar_like(double value, const MaybeValue& x) {
  if (!x) return x;
  return scalar(value, (*x)->dtype());
}

MaybeValue Builder::ints(std::span<const std::int64_t> values, DType dtype) {
  return constant(make_int_tensor(dtype, {static_cast<std::int64_t>(values.size())}, values));
}

MaybeValue Builder::cast(const MaybeValue& x, DType to) {
  if (!x || (*x)->dtype() == to) return x;
  return op(Op::cast, {x}, {{"to", to}});
}

// ---- movement

MaybeValue Builder::reshape(const MaybeValue& x, Dims shape) {
  if (!x || (*x)->shape() == shape) return x;
  return op(Op::reshape, {x}, {{"shape", std::move(shape)}});
}

MaybeValue Builder::transpose(const MaybeValue& x, std::vector<std::int64_t> perm) {
  if (!x || std::is_sorted(perm.begin(), perm.end())) return x;
  return op(Op::transpose, {x}, {{"perm", std::move(perm)}});
}

MaybeValue Builder::swap_axes(const MaybeValue& x, std::int64_t a, std::int64_t b) {
  if (!x) return x;
  const std::int64_t rank = (*x)->rank();
  INTAGLIO_TRY(const std::int64_t first, normalise_axis(a, rank));
  INTAGLIO_TRY(const std::int64_t second, normalise_axis(b, rank));
  std::vector<std::int64_t> perm(static_cast<std::size_t>(rank));
  std::iota(perm.begin(), perm.end(), 0);
  std::swap(perm[static_cast<std::size_t>(first)], perm[static_cast<std::size_t>(second)]);
  return transpose(x, std::move(perm));
}

MaybeValue Builder::expand(const MaybeValue& x, Dims shape) {
  if (!x || (*x)->shape() == shape) return x;
  return op(Op::expand, {x}, {{"shape", std::move(shape)}});
}

MaybeValue Builder::broadcast_with(const MaybeValue& x, std::span<const Dim> shape) {
  if (!x) return x;
  ir::InferContext context{&graph_.guards, origin_.name, &graph_.symbols};
  INTAGLIO_TRY(Dims target, ir::broadcast((*x)->shape(), shape, context));
  return expand(x, std::move(target));
}

MaybeValue Builder::slice(const MaybeValue& x, std::span<const SliceSpec> specs) {
  if (!x) return x;
  const Dims& shape = (*x)->shape();
  ir::Ints axes, steps;
  Dims starts, ends;
  for (const SliceSpec& spec : specs) {
    INTAGLIO_TRY(const std::int64_t axis, normalise_axis(spec.axis, (*x)->rank()));
    const Dim& size = shape[static_cast<std::size_t>(axis)];
    INTAGLIO_TRY(SliceBounds bounds, normalise_slice(spec, size, ranges()));
    if (spec.step == 1 && bounds.start == Dim(0) && bounds.end == size) continue;
    axes.push_back(axis);
    starts.push_back(std::move(bounds.start));
    ends.push_back(std::move(bounds.end));
    steps.push_back(spec.step);
  }
  if (axes.empty()) return x;
  return op(Op::slice, {x},
            {{"axes", std::move(axes)},
             {"starts", std::move(starts)},
             {"ends", std::move(ends)},
             {"steps", std::move(steps)}});
}

MaybeValue Builder::select(const MaybeValue& x, std::int64_t axis, Dim index) {
  if (!x) return x;
  INTAGLIO_TRY(const std::int64_t at, normalise_axis(axis, (*x)->rank()));
  const Dim& size = (*x)->shape()[static_cast<std::size_t>(at)];
  const SymbolRange range = index.bounds(ranges());
  if (range.max < 0) index = index + size;
  const MaybeValue row =
      op(Op::slice, {x},
         {{"axes", ir::Ints{at}}, {"starts", Dims{index}}, {"ends", Dims{index + 1}}, {"steps", ir::Ints{1}}});
  return squeeze(row, std::vector<std::int64_t>{at});
}

MaybeValue Builder::concat(std::span<const MaybeValue> parts, std::int64_t axis) {
  if (parts.empty()) return fail(ErrorCode::file, "a concatenation of nothing");
  if (parts.size() == 1) return parts.front();
  if (!parts.front()) return parts.front();
  INTAGLIO_TRY(const std::int64_t at, normalise_axis(axis, (*parts.front())->rank()));
  return op(Op::concat, parts, {{"axis", at}});
}

MaybeValue Builder::unsqueeze(const MaybeValue& x, std::span<const std::int64_t> axes) {
  if (!x) return x;
  INTAGLIO_TRY(const auto at, normalise_axes(axes, (*x)->rank() + static_cast<std::int64_t>(axes.size())));
  Dims shape = (*x)->shape();
  for (const std::int64_t axis : at) shape.insert(shape.begin() + axis, Dim(1));
  return reshape(x, std::move(shape));
}

MaybeValue Builder::squeeze(const MaybeValue& x, std::span<const std::int64_t> axes) {
  if (!x) return x;
  INTAGLIO_TRY(const auto at, normalise_axes(axes, (*x)->rank()));
  Dims shape;
  for (std::int64_t i = 0; i < (*x)->rank(); ++i) {
    const Dim& dim = (*x)->shape()[static_cast<std::size_t>(i)];
    if (!std::binary_search(at.begin(), at.end(), i)) {
      shape.push_back(dim);
    } else if (const auto size = dim.constant(); size && *size != 1) {
      return fail(ErrorCode::file, "axis " + std::to_string(i) + " of size " + dim.to_string() + " cannot be squeezed");
    }
  }
  return reshape(x, std::move(shape));
}

MaybeValue Builder::flatten(const MaybeValue& x, std::int64_t first, std::int64_t last) {
  if (!x || (*x)->rank() == 0) return x ? reshape(x, {Dim(1)}) : x;
  INTAGLIO_TRY(const std::int64_t from, normalise_axis(first, (*x)->rank()));
  INTAGLIO_TRY(const std::int64_t to, normalise_axis(last, (*x)->rank()));
  if (from > to)
    return fail(ErrorCode::file, "flatten from axis " + std::to_string(from) + " to " + std::to_string(to));
  const Dims& old = (*x)->shape();
  Dims shape(old.begin(), old.begin() + from);
  shape.push_back(
      element_count(std::span(old).subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(to - from + 1))));
  shape.insert(shape.end(), old.begin() + to + 1, old.end());
  return reshape(x, std::move(shape));
}

Result<std::vector<Value*>> Builder::split(const MaybeValue& x, std::span<const Dim> sizes, std::int64_t axis) {
  if (!x) return fail(x.error());
  INTAGLIO_TRY(const std::int64_t at, normalise_axis(axis, (*x)->rank()));
  std::vector<Value*> parts;
  Dim begin(0);
  for (const Dim& size : sizes) {
    const Dim end = begin + size;
    if (size == (*x)->shape()[static_cast<std::size_t>(at)]) {
      parts.push_back(*x);
    } else {
      INTAGLIO_TRY(Value * part,
                   op(Op::slice, {x},
                      {{"axes", ir::Ints{at}}, {"starts", Dims{begin}}, {"ends", Dims{end}}, {"steps", ir::Ints{1}}}));
      parts.push_back(part);
    }
    begin = end;
  }
  return parts;
}

MaybeValue Builder::gather(const MaybeValue& data, const MaybeValue& indices, std::int64_t axis) {
  if (!data) return data;
  INTAGLIO_TRY(const std::int64_t at, normalise_axis(axis, (*data)->rank()));
  return op(Op::gather, {data, indices}, {{"axis", at}});
}

// ---- reductions

MaybeValue Builder::reduce(std::string_view kind, const MaybeValue& x, std::vector<std::int64_t> axes, bool keepdims) {
  if (!x) return x;
  INTAGLIO_TRY(auto at, normalise_axes(axes, (*x)->rank()));
  return op(Op::reduce, {x}, {{"kind", std::string(kind)}, {"axes", std::move(at)}, {"keepdims", keepdims}});
}

MaybeValue Builder::softmax(const MaybeValue& x, std::int64_t axis, bool log) {
  if (!x) return x;
  INTAGLIO_TRY(const std::int64_t at, normalise_axis(axis, (*x)->rank()));
  return op(Op::softmax, {x}, {{"axis", at}, {"log", log}});
}

// ---- creation

MaybeValue Builder::iota(Dim count, DType to, Dim start, Dim step) {
  const bool direct = to == DType::i64 || to == DType::i32 || to == DType::f32;
  const DType made = direct ? to : DType::i64;
  const MaybeValue y =
      op(Op::iota, {},
         {{"count", std::move(count)}, {"start", std::move(start)}, {"step", std::move(step)}, {"to", made}});
  return cast(y, to);
}

MaybeValue Builder::full(Dims shape, double value, DType to) {
  return op(Op::full, {}, {{"shape", std::move(shape)}, {"value", value}, {"to", to}});
}

MaybeValue Builder::dims_tensor(std::span<const Dim> dims, DType to) {
  if (const auto values = constant_values(dims)) return ints(*values, to);
  return cast(op(Op::dims, {}, {{"values", Dims(dims.begin(), dims.end())}}), to);
}

MaybeValue Builder::dim_scalar(const Dim& dim, DType to) {
  if (const auto value = dim.constant()) return constant(make_int_tensor(to, {}, {&*value, 1}));
  return reshape(dims_tensor({&dim, 1}, to), {});
}

}  // namespace intaglio::frontend
