// Indexing by tensors.
#include <algorithm>

#include "frontend/pt2/ops.h"

namespace intaglio::frontend::pt2::ops {
namespace {

using ir::Op;

MaybeValue as_index(ir::Value* index) {
  if (index->dtype() == DType::boolean || index->dtype() == DType::u8) {
    return fail(ErrorCode::unsupported, "indexing with a mask gives a result whose shape depends on data");
  }
  return is_integer(index->dtype())
             ? MaybeValue(index)
             : fail(ErrorCode::file, "an index of dtype " + std::string(name_of(index->dtype())));
}

struct Indexed {
  std::vector<std::int64_t> axes;   // the dimensions that are indexed, ascending
  std::vector<ir::Value*> indices;  // by what
};

// All index tensors broadcast together and joined in a last axis, as gather_nd wants them.
MaybeValue joined_indices(Call& c, const Indexed& indexed, std::size_t* rank) {
  Dims common;
  for (ir::Value* index : indexed.indices) {
    INTAGLIO_TRY(common, ir::broadcast(common, index->shape(),
                                       {.guards = &c.b.graph().guards, .origin = std::string(c.node().name)}));
  }
  *rank = common.size();
  std::vector<MaybeValue> parts;
  for (ir::Value* index : indexed.indices) {
    const MaybeValue wide = c.b.expand(c.b.cast(index, DType::i64), common);
    parts.push_back(c.b.unsqueeze(wide, std::vector<std::int64_t>{static_cast<std::int64_t>(common.size())}));
  }
  return c.b.concat(parts, static_cast<std::int64_t>(common.size()));
}

// data[:, i, j, :] with several index tensors: the indexed dimensions are moved to the front, gathered together, and
// the result dimensions of the indices moved back if the indexed dimensions were adjacent (else torch leaves them in
// front).
MaybeValue gather_several(Call& c, ir::Value* data, const Indexed& indexed) {
  const auto count = static_cast<std::int64_t>(indexed.axes.size());
  const std::int64_t first = indexed.axes.front();
  std::vector<std::int64_t> perm = indexed.axes;
  for (std::int64_t axis = 0; axis < data->rank(); ++axis) {
    if (std::find(perm.begin(), perm.begin() + count, axis) == perm.begin() + count) perm.push_back(axis);
  }
  std::size_t index_rank = 0;
  INTAGLIO_TRY(ir::Value * indices, joined_indices(c, indexed, &index_rank));
  INTAGLIO_TRY(ir::Value * y, c.b.op(Op::gather_nd, {c.b.transpose(data, perm), indices}));
  const bool adjacent = indexed.axes.back() - first == count - 1;
  if (!adjacent || first == 0) return y;
  // [indices..., before..., after...] -> [before..., indices..., after...]
  std::vector<std::int64_t> back;
  const auto width = static_cast<std::int64_t>(index_rank);
  for (std::int64_t i = 0; i < first; ++i) back.push_back(width + i);
  for (std::int64_t i = 0; i < width; ++i) back.push_back(i);
  for (std::int64_t i = width + first; i < y->rank(); ++i) back.push_back(i);
  return c.b.transpose(y, std::move(back));
}

Status triangle(Call& c, bool lower) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(const std::int64_t diagonal, c.integer("diagonal", 0));
  if (x->rank() < 2) return fail(ErrorCode::file, "tril and triu want at least two dimensions");
  const Dim rows = x->shape()[x->shape().size() - 2], columns = x->shape().back();
  const MaybeValue row = c.b.reshape(c.b.iota(rows, DType::i64, Dim(diagonal)), {rows, Dim(1)});
  const MaybeValue column = c.b.iota(columns, DType::i64);
  const MaybeValue keep = c.b.op(lower ? Op::le : Op::ge, {column, row});
  return c.ret(c.b.where(keep, x, c.b.scalar_like(0, x)));
}

}  // namespace

Status index(Call& c) {
  INTAGLIO_TRY(ir::Value * data, c.tensor("self"));
  INTAGLIO_TRY(const auto tensors, c.tensors("indices"));
  if (tensors.size() > data->shape().size()) return fail(ErrorCode::file, "more indices than dimensions");
  Indexed indexed;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i] == nullptr) continue;
    INTAGLIO_TRY(ir::Value * index, as_index(tensors[i]));
    indexed.axes.push_back(static_cast<std::int64_t>(i));
    indexed.indices.push_back(index);
  }
  if (indexed.axes.empty()) return c.ret(data);
  if (indexed.axes.size() == 1) return c.ret(c.b.gather(data, indexed.indices.front(), indexed.axes.front()));
  return c.ret(gather_several(c, data, indexed));
}

Status index_select(Call& c) {
  INTAGLIO_TRY(ir::Value * data, c.tensor("self"));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", data->rank()));
  INTAGLIO_TRY(ir::Value * index, c.tensor("index"));
  if (data->rank() == 0 || index->rank() > 1)
    return fail(ErrorCode::file, "index_select wants dimensions and a list of indices");
  return c.ret(c.b.gather(data, index->rank() == 1 ? MaybeValue(index) : c.b.reshape(index, {Dim(1)}), axis));
}

Status gather(Call& c) {
  INTAGLIO_TRY(ir::Value * data, c.tensor("self"));
  INTAGLIO_TRY(ir::Value * index, c.tensor("index"));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", data->rank()));
  if (data->rank() == 0) return c.ret(data);
  return c.ret(c.b.op(Op::gather_elements, {data, index}, {{"axis", axis}}));
}

Status embedding(Call& c) {
  return c.ret(c.b.gather(c.tensor("weight"), c.tensor("indices"), 0));
}
Status tril(Call& c) {
  return triangle(c, true);
}
Status triu(Call& c) {
  return triangle(c, false);
}

}  // namespace intaglio::frontend::pt2::ops
