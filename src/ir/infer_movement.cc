// Shape functions of movement and creation.
#include <algorithm>

#include "base/shape.h"
#include "ir/infer_internal.h"

namespace intaglio::ir {

namespace {

// An empty shape has no elements, even if the product of its other dims is too large to say.
Dim count_of(const Dims& shape) {
  return std::find(shape.begin(), shape.end(), Dim(0)) != shape.end() ? Dim(0) : element_count(shape);
}

}  // namespace

Result<Types> infer_reshape(const InferArgs& args) {
  const Dims& shape = args.attrs.dims("shape");
  INTAGLIO_CHECK(require_equal(
      args, count_of(args.in(0).shape), count_of(shape),
      fmt::format("{} cannot become {}: element counts differ", to_string(args.in(0).shape), to_string(shape))));
  return Types{Type{args.in(0).dtype, shape}};
}

Result<Types> infer_transpose(const InferArgs& args) {
  const Ints& perm = args.attrs.ints("perm");
  const Type& x = args.in(0);
  std::vector<bool> seen(x.shape.size());
  Dims shape;
  for (const std::int64_t p : perm) {
    if (p < 0 || p >= static_cast<std::int64_t>(seen.size()) || seen[static_cast<std::size_t>(p)]) break;
    seen[static_cast<std::size_t>(p)] = true;
    shape.push_back(x.shape[static_cast<std::size_t>(p)]);
  }
  if (perm.size() != x.shape.size() || shape.size() != perm.size()) {
    return args.error(fmt::format("perm {} is not a permutation of {} axes",
                                  intaglio::to_string(std::span<const std::int64_t>(perm)), x.shape.size()));
  }
  return Types{Type{x.dtype, std::move(shape)}};
}

Result<Types> infer_expand(const InferArgs& args) {
  const Dims& shape = args.attrs.dims("shape");
  INTAGLIO_CHECK(require_broadcasts_to(args, args.in(0).shape, shape, "the shape of x does not broadcast"));
  return Types{Type{args.in(0).dtype, shape}};
}

namespace {

// One axis of a slice: its bounds (see ops.inc) and the new dim. That the length is not negative is checked as for
// every new dimension.
Result<Dim> slice_axis(const InferArgs& args, const Dim& size, std::size_t k) {
  const Dim &start = args.attrs.dims("starts")[k], &end = args.attrs.dims("ends")[k];
  const std::int64_t step = args.attrs.ints("steps")[k];
  if (step == 0 || step == INT64_MIN) return args.error(fmt::format("step {} is not allowed", step));
  const Dim extent = step > 0 ? end - start : start - end;
  if (const auto length = extent.constant(); length && *length <= 0) return Dim(0);
  if (step > 0) {
    INTAGLIO_CHECK(require_at_most(args, 0, start, "a slice starts before 0"));
    INTAGLIO_CHECK(require_at_most(args, end, size, "a slice ends after the dimension"));
  } else {
    INTAGLIO_CHECK(require_at_most(args, start, size - 1, "a slice starts after the dimension"));
    INTAGLIO_CHECK(require_at_most(args, -1, end, "a backward slice ends before -1"));
  }
  const std::int64_t stride = step > 0 ? step : -step;
  return stride == 1 ? extent : Dim::floordiv(extent + (Dim(stride) - 1), stride);
}

}  // namespace

Result<Types> infer_slice(const InferArgs& args) {
  const Ints &axes = args.attrs.ints("axes"), &steps = args.attrs.ints("steps");
  if (args.attrs.dims("starts").size() != axes.size() || args.attrs.dims("ends").size() != axes.size() ||
      steps.size() != axes.size()) {
    return args.error("axes, starts, ends and steps have different lengths");
  }
  Type y = args.in(0);
  std::vector<bool> seen(y.shape.size());
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const auto axis = static_cast<std::size_t>(axes[k]);
    if (axes[k] < 0 || axis >= seen.size() || seen[axis]) {
      return args.error(fmt::format("axis {} is outside rank {} or given twice", axes[k], seen.size()));
    }
    seen[axis] = true;
    INTAGLIO_TRY(y.shape[axis], slice_axis(args, args.in(0).shape[axis], k));
  }
  return Types{std::move(y)};
}

Result<Types> infer_concat(const InferArgs& args) {
  Type y = args.in(0);
  INTAGLIO_TRY(const std::size_t axis, axis_attr(args, "axis", y.shape.size()));
  for (std::size_t part = 1; part < args.inputs.size(); ++part) {
    const Type& x = args.in(part);
    if (x.dtype != y.dtype || x.shape.size() != y.shape.size()) {
      return args.error(fmt::format("part {} is {}, but part 0 is {}", part, to_string(x), to_string(args.in(0))));
    }
    for (std::size_t i = 0; i < y.shape.size(); ++i) {
      if (i == axis) {
        y.shape[i] = y.shape[i] + x.shape[i];
      } else {
        INTAGLIO_CHECK(require_equal(args, y.shape[i], x.shape[i], fmt::format("parts differ in dimension {}", i)));
      }
    }
  }
  return Types{std::move(y)};
}

Result<Types> infer_pad(const InferArgs& args) {
  const Dims &before = args.attrs.dims("before"), &after = args.attrs.dims("after");
  Type y = args.in(0);
  if (before.size() != y.shape.size() || after.size() != y.shape.size()) {
    return args.error(fmt::format("before and after must have {} entries", y.shape.size()));
  }
  for (std::size_t i = 0; i < y.shape.size(); ++i) {
    INTAGLIO_CHECK(require_at_most(args, 0, before[i], "negative padding"));
    INTAGLIO_CHECK(require_at_most(args, 0, after[i], "negative padding"));
    y.shape[i] = y.shape[i] + before[i] + after[i];
  }
  return Types{std::move(y)};
}

Result<Types> infer_gather(const InferArgs& args) {
  const Type &data = args.in(0), &indices = args.in(1);
  INTAGLIO_CHECK(require_dtype(args, 1, {DType::i64, DType::i32}));
  INTAGLIO_TRY(const std::size_t axis, axis_attr(args, "axis", data.shape.size()));
  const auto at = data.shape.begin() + static_cast<std::ptrdiff_t>(axis);
  Dims shape(data.shape.begin(), at);
  shape.insert(shape.end(), indices.shape.begin(), indices.shape.end());
  shape.insert(shape.end(), at + 1, data.shape.end());
  return Types{Type{data.dtype, std::move(shape)}};
}

Result<Types> infer_gather_elements(const InferArgs& args) {
  const Type &data = args.in(0), &indices = args.in(1);
  INTAGLIO_CHECK(require_dtype(args, 1, {DType::i64, DType::i32}));
  INTAGLIO_CHECK(require_rank(args, 1, data.shape.size()));
  INTAGLIO_TRY(const std::size_t axis, axis_attr(args, "axis", data.shape.size()));
  for (std::size_t i = 0; i < data.shape.size(); ++i) {
    if (i != axis) INTAGLIO_CHECK(require_at_most(args, indices.shape[i], data.shape[i], "indices reach past data"));
  }
  return Types{Type{data.dtype, indices.shape}};
}

Result<Types> infer_gather_nd(const InferArgs& args) {
  const Type &data = args.in(0), &indices = args.in(1);
  INTAGLIO_CHECK(require_dtype(args, 1, {DType::i64, DType::i32}));
  if (indices.shape.empty()) return args.error("indices must have rank 1 or more");
  INTAGLIO_TRY(const std::size_t batch,
               axis_attr(args, "batch_dims", std::min(data.shape.size(), indices.shape.size() - 1), true));
  const auto depth = back(indices.shape).constant();
  if (!depth) return args.error("the last dimension of indices must be constant");
  if (*depth < 0 || *depth > static_cast<std::int64_t>(data.shape.size() - batch)) {
    return args.error(
        fmt::format("indices of {} coordinates into rank {} after {} batch dims", *depth, data.shape.size(), batch));
  }
  for (std::size_t i = 0; i < batch; ++i) {
    INTAGLIO_CHECK(require_equal(args, data.shape[i], indices.shape[i], fmt::format("batch dimension {} differs", i)));
  }
  Dims shape(indices.shape.begin(), indices.shape.end() - 1);
  shape.insert(shape.end(), data.shape.begin() + static_cast<std::ptrdiff_t>(batch) + *depth, data.shape.end());
  return Types{Type{data.dtype, std::move(shape)}};
}

Result<Types> infer_iota(const InferArgs& args) {
  const DType to = args.attrs.dtype("to");
  if (to != DType::i64 && to != DType::i32 && to != DType::f32) {
    return args.error(fmt::format("to is {}, wanted: i64, i32, f32", intaglio::name_of(to)));
  }
  return Types{Type{to, {args.attrs.dim("count")}}};
}

Result<Types> infer_full(const InferArgs& args) {
  return Types{Type{args.attrs.dtype("to"), args.attrs.dims("shape")}};
}

Result<Types> infer_dims(const InferArgs& args) {
  return Types{Type{DType::i64, {static_cast<std::int64_t>(args.attrs.dims("values").size())}}};
}

}  // namespace intaglio::ir
