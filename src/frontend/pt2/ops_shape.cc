// Views and reshapes. The IR has no strides: every view is a value of its own.
#include <algorithm>

#include "frontend/pt2/ops.h"

namespace intaglio::frontend::pt2::ops {
namespace {

using Axes = std::vector<std::int64_t>;

Axes identity_axes(std::int64_t rank) {
  Axes axes;
  for (std::int64_t i = 0; i < rank; ++i) axes.push_back(i);
  return axes;
}

Status swap(Call& c, std::int64_t a, std::int64_t b) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  if (x->rank() == 0) return c.ret(x);
  Axes perm = identity_axes(x->rank());
  std::swap(perm[static_cast<std::size_t>(a)], perm[static_cast<std::size_t>(b)]);
  return c.ret(c.b.transpose(x, perm));
}

MaybeValue expanded(Call& c, ir::Value* x, Dims sizes) {
  const std::size_t rank = x->shape().size();
  if (sizes.size() < rank) return fail(ErrorCode::file, "expand: fewer sizes than dimensions");
  const std::size_t lead = sizes.size() - rank;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] != Dim(-1)) continue;
    if (i < lead) return fail(ErrorCode::file, "expand: -1 for a dimension that does not exist");
    sizes[i] = x->shape()[i - lead];
  }
  return c.b.expand(x, std::move(sizes));
}

}  // namespace

Status view(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  // view's overloads call the sizes `size`, reshape calls them `shape`.
  INTAGLIO_TRY(const Dims sizes, c.dims(c.find("size") != nullptr ? "size" : "shape"));
  INTAGLIO_TRY(Dims shape, resolve_reshape(x->shape(), sizes, false));
  return c.ret(c.b.reshape(x, std::move(shape)));
}

Status view_as(Call& c) {
  INTAGLIO_TRY(ir::Value * other, c.tensor("other"));
  return c.ret(c.b.reshape(c.tensor("self"), other->shape()));
}

Status ravel(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  return c.ret(c.b.reshape(x, {element_count(x->shape())}));
}

Status flatten(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  if (x->rank() == 0) return c.ret(c.b.reshape(x, {Dim(1)}));
  INTAGLIO_TRY(const std::int64_t first, c.axis("start_dim", x->rank(), 0));
  INTAGLIO_TRY(const std::int64_t last, c.axis("end_dim", x->rank(), -1));
  if (last < first) return fail(ErrorCode::file, "flatten: start_dim after end_dim");
  return c.ret(c.b.flatten(x, first, last));
}

Status unflatten(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  if (x->rank() == 0) return fail(ErrorCode::file, "unflatten of a tensor without dimensions");
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank()));
  INTAGLIO_TRY(const Dims sizes, c.dims("sizes"));
  const Dim whole = x->shape()[static_cast<std::size_t>(axis)];
  INTAGLIO_TRY(const Dims parts, resolve_reshape(std::span(&whole, 1), sizes, false));
  Dims shape(x->shape().begin(), x->shape().begin() + axis);
  shape.insert(shape.end(), parts.begin(), parts.end());
  shape.insert(shape.end(), x->shape().begin() + axis + 1, x->shape().end());
  return c.ret(c.b.reshape(x, std::move(shape)));
}

Status permute(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(const auto dims, c.ints("dims"));
  if (!dims || dims->size() != x->shape().size())
    return fail(ErrorCode::file, "permute: another number of dims than the tensor has");
  Axes perm;
  for (const std::int64_t dim : *dims) {
    INTAGLIO_TRY(const std::int64_t axis, normalise_axis(dim, x->rank()));
    if (std::find(perm.begin(), perm.end(), axis) != perm.end())
      return fail(ErrorCode::file, "permute: a repeated dim");
    perm.push_back(axis);
  }
  return c.ret(c.b.transpose(x, std::move(perm)));
}

Status transpose(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  const bool axes = c.find("axis0") != nullptr;
  INTAGLIO_TRY(const std::int64_t a, c.axis(axes ? "axis0" : "dim0", x->rank()));
  INTAGLIO_TRY(const std::int64_t b, c.axis(axes ? "axis1" : "dim1", x->rank()));
  return swap(c, a, b);
}

Status transpose_2d(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  if (x->rank() > 2) return fail(ErrorCode::file, "t of a tensor with more than two dimensions");
  return x->rank() < 2 ? c.ret(x) : swap(c, 0, 1);
}

Status reverse_axes(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  Axes perm = identity_axes(x->rank());
  std::reverse(perm.begin(), perm.end());
  return c.ret(c.b.transpose(x, std::move(perm)));
}

Status transpose_last(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  if (x->rank() < 2) return fail(ErrorCode::file, "mT of a tensor with less than two dimensions");
  return swap(c, x->rank() - 2, x->rank() - 1);
}

Status movedim(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(const auto from, c.ints("source"));
  INTAGLIO_TRY(const auto to, c.ints("destination"));
  if (!from || !to || from->size() != to->size())
    return fail(ErrorCode::file, "movedim: source and destination differ in number");
  Axes perm(x->shape().size(), -1), rest;
  std::vector<bool> moved(x->shape().size(), false);
  for (std::size_t i = 0; i < from->size(); ++i) {
    INTAGLIO_TRY(const std::int64_t source, normalise_axis((*from)[i], x->rank()));
    INTAGLIO_TRY(const std::int64_t target, normalise_axis((*to)[i], x->rank()));
    if (moved[static_cast<std::size_t>(source)] || perm[static_cast<std::size_t>(target)] >= 0)
      return fail(ErrorCode::file, "movedim: a repeated dim");
    moved[static_cast<std::size_t>(source)] = true;
    perm[static_cast<std::size_t>(target)] = source;
  }
  std::size_t next = 0;
  for (std::int64_t& axis : perm) {
    if (axis >= 0) continue;
    while (moved[next]) ++next;
    axis = static_cast<std::int64_t>(next++);
  }
  return c.ret(c.b.transpose(x, std::move(perm)));
}

// torch drops the dims of size 1 among those named and leaves others alone. A symbolic dim is not 1: the exporter has
// specialised 0 and 1 away.
Status squeeze(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(const auto dims, c.ints("dim"));
  Axes axes;
  for (const std::int64_t dim : dims.value_or(identity_axes(x->rank()))) {
    if (x->rank() == 0) break;
    INTAGLIO_TRY(const std::int64_t axis, normalise_axis(dim, x->rank()));
    if (x->shape()[static_cast<std::size_t>(axis)] == Dim(1)) axes.push_back(axis);
  }
  return c.ret(axes.empty() ? MaybeValue(x) : c.b.squeeze(x, axes));
}

Status unsqueeze(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank() + 1));
  return c.ret(c.b.unsqueeze(x, Axes{axis}));
}

Status expand(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(Dims sizes, c.dims("size"));
  return c.ret(expanded(c, x, std::move(sizes)));
}

Status expand_as(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(ir::Value * other, c.tensor("other"));
  return c.ret(expanded(c, x, other->shape()));
}

// x [a, b] repeated [2, 3, 4] times: reshape [1, 1, a, 1, b] -> expand [2, 3, a, 4, b] -> reshape [2, 3*a, 4*b].
Status repeat(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  const bool tile = c.find("dims") != nullptr;
  INTAGLIO_TRY(Dims times, c.dims(tile ? "dims" : "repeats"));
  const std::size_t rank = x->shape().size();
  if (times.size() < rank) {
    if (!tile) return fail(ErrorCode::file, "repeat: fewer repeats than dimensions");
    times.insert(times.begin(), rank - times.size(), Dim(1));
  }
  const std::size_t lead = times.size() - rank;
  Dims apart, grown, result;
  for (std::size_t i = 0; i < times.size(); ++i) {
    const Dim size = i < lead ? Dim(1) : x->shape()[i - lead];
    result.push_back(times[i] * size);
    if (times[i] != Dim(1)) apart.emplace_back(1), grown.push_back(times[i]);
    apart.push_back(size), grown.push_back(size);
  }
  if (apart.size() > static_cast<std::size_t>(kMaxRank))
    return fail(ErrorCode::unsupported, "repeat of so many dimensions is not supported");
  return c.ret(c.b.reshape(c.b.expand(c.b.reshape(x, apart), grown), result));
}

Status repeat_interleave(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(const auto times, c.optional_dim("repeats"));
  if (!times) return fail(ErrorCode::file, "argument 'repeats' is missing");
  if (c.find("dim") == nullptr || x->rank() == 0) {
    INTAGLIO_TRY(x, c.b.reshape(x, {element_count(x->shape())}));
  }
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank(), 0));
  Dims apart = x->shape(), grown, result = x->shape();
  apart.insert(apart.begin() + axis + 1, Dim(1));
  grown = apart;
  grown[static_cast<std::size_t>(axis) + 1] = *times;
  result[static_cast<std::size_t>(axis)] = result[static_cast<std::size_t>(axis)] * *times;
  return c.ret(c.b.reshape(c.b.expand(c.b.reshape(x, apart), grown), result));
}

}  // namespace intaglio::frontend::pt2::ops
