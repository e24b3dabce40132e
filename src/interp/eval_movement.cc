// Movement and creation: bytes are copied, never computed with.
#include "interp/eval.h"

namespace intaglio::interp {

namespace {

Result<Tensors> taken(const EvalArgs& args, const std::vector<std::int64_t>& offsets) {
  INTAGLIO_TRY(Tensor y, take(args.in(0), args.shapes[0], offsets));
  return Tensors{std::move(y)};
}

// An index into `size` elements; negative ones wrap once.
Result<std::int64_t> checked_index(const EvalArgs& args, std::int64_t position, std::int64_t size) {
  const std::int64_t index = args.in(1).as_int(position);
  if (index >= -size && index < size) return index < 0 ? index + size : index;
  return args.data_error(
      fmt::format("index {} (element {} of the indices) is outside [-{}, {})", index, position, size, size));
}

// Fills with `value` cast to the result's dtype.
Result<Tensor> filled(DType dtype, const Shape& shape, double value, std::byte** writable) {
  INTAGLIO_TRY(Tensor y, Tensor::allocate(dtype, shape, writable));
  const std::size_t size = size_of(dtype);
  for (std::size_t at = 0; at < y.bytes; at += size) store_cast(value, dtype, *writable + at);
  return y;
}

}  // namespace

Result<Tensors> eval_reshape(const EvalArgs& args) {
  Tensor y = args.in(0);  // shares the bytes
  y.shape = args.shapes[0];
  return Tensors{std::move(y)};
}

Result<Tensors> eval_transpose(const EvalArgs& args) {
  const auto own = row_major_strides(args.in(0).shape);
  std::vector<std::int64_t> strides;
  for (const std::int64_t p : args.attrs.ints("perm")) strides.push_back(own[static_cast<std::size_t>(p)]);
  return taken(args, offsets_of(args.shapes[0], strides));
}

Result<Tensors> eval_expand(const EvalArgs& args) {
  return taken(args, offsets_of(args.shapes[0], broadcast_strides(args.in(0).shape, args.shapes[0])));
}

Result<Tensors> eval_slice(const EvalArgs& args) {
  auto strides = row_major_strides(args.in(0).shape);
  const Shape starts = args.dims("starts");
  std::int64_t base = 0;
  for (std::size_t k = 0; k < starts.size(); ++k) {
    std::int64_t& stride = strides[static_cast<std::size_t>(args.attrs.ints("axes")[k])];
    if (args.count() == 0) break;  // starts need not lie inside
    base += starts[k] * stride;
    stride *= args.attrs.ints("steps")[k];
  }
  return taken(args, args.count() == 0 ? std::vector<std::int64_t>{} : offsets_of(args.shapes[0], strides, base));
}

Result<Tensors> eval_concat(const EvalArgs& args) {
  const auto axis = static_cast<std::size_t>(args.attrs.i("axis"));
  std::byte* out = nullptr;
  INTAGLIO_TRY(Tensor y, Tensor::allocate(args.dtypes[0], args.shapes[0], &out));
  const auto strides = row_major_strides(y.shape);
  const std::size_t size = size_of(y.dtype);
  std::int64_t base = 0;
  for (const Tensor* part : args.inputs) {
    const auto places = offsets_of(part->shape, strides, base);
    for (std::size_t i = 0; i < places.size(); ++i) {
      std::memcpy(out + static_cast<std::size_t>(places[i]) * size, part->data + i * size, size);
    }
    base += part->shape[axis] * strides[axis];
  }
  return Tensors{std::move(y)};
}

Result<Tensors> eval_pad(const EvalArgs& args) {
  std::byte* out = nullptr;
  INTAGLIO_TRY(Tensor y, filled(args.dtypes[0], args.shapes[0], args.attrs.f("value"), &out));
  const auto strides = row_major_strides(y.shape);
  const Shape before = args.dims("before");
  std::int64_t base = 0;
  for (std::size_t d = 0; d < before.size(); ++d) base += before[d] * strides[d];
  const auto places = offsets_of(args.in(0).shape, strides, base);
  const std::size_t size = size_of(y.dtype);
  for (std::size_t i = 0; i < places.size(); ++i) {
    std::memcpy(out + static_cast<std::size_t>(places[i]) * size, args.in(0).data + i * size, size);
  }
  return Tensors{std::move(y)};
}

Result<Tensors> eval_gather(const EvalArgs& args) {
  const AxisView view = view_axis(args.in(0).shape, static_cast<std::size_t>(args.attrs.i("axis")));
  const std::int64_t wanted = args.in(1).element_count();
  std::vector<std::int64_t> offsets;
  for (std::int64_t outer = 0; outer < view.outer; ++outer) {
    for (std::int64_t i = 0; i < wanted; ++i) {
      INTAGLIO_TRY(const std::int64_t index, checked_index(args, i, view.n));
      for (std::int64_t inner = 0; inner < view.inner; ++inner) {
        offsets.push_back((outer * view.n + index) * view.inner + inner);
      }
    }
  }
  return taken(args, offsets);
}

Result<Tensors> eval_gather_elements(const EvalArgs& args) {
  const auto axis = static_cast<std::size_t>(args.attrs.i("axis"));
  auto strides = row_major_strides(args.in(0).shape);
  const std::int64_t along = std::exchange(strides[axis], 0);
  auto offsets = offsets_of(args.shapes[0], strides);
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    INTAGLIO_TRY(const std::int64_t index, checked_index(args, static_cast<std::int64_t>(i), args.in(0).shape[axis]));
    offsets[i] += index * along;
  }
  return taken(args, offsets);
}

Result<Tensors> eval_gather_nd(const EvalArgs& args) {
  const Tensor &data = args.in(0), &indices = args.in(1);
  const auto batch = static_cast<std::size_t>(args.attrs.i("batch_dims"));
  const auto depth = static_cast<std::size_t>(indices.shape.back());
  const auto strides = row_major_strides(data.shape);
  std::int64_t batches = 1, tuples = 1, inner = 1;  // indices are [batches, tuples, depth]
  for (std::size_t d = 0; d + 1 < indices.shape.size(); ++d) (d < batch ? batches : tuples) *= indices.shape[d];
  for (std::size_t d = batch + depth; d < data.shape.size(); ++d) inner *= data.shape[d];
  std::int64_t batch_size = 1;
  for (std::size_t d = batch; d < data.shape.size(); ++d) batch_size *= data.shape[d];
  std::vector<std::int64_t> offsets;
  for (std::int64_t tuple = 0; tuple < batches * tuples; ++tuple) {
    std::int64_t base = tuple / tuples * batch_size;
    for (std::size_t d = 0; d < depth; ++d) {
      const std::int64_t position = tuple * static_cast<std::int64_t>(depth) + static_cast<std::int64_t>(d);
      INTAGLIO_TRY(const std::int64_t index, checked_index(args, position, data.shape[batch + d]));
      base += index * strides[batch + d];
    }
    for (std::int64_t i = 0; i < inner; ++i) offsets.push_back(base + i);
  }
  return taken(args, offsets);
}

Result<Tensors> eval_iota(const EvalArgs& args) {
  const auto start = static_cast<std::uint64_t>(*args.attrs.dim("start").constant());
  const auto step = static_cast<std::uint64_t>(*args.attrs.dim("step").constant());
  std::byte* out = nullptr;
  INTAGLIO_TRY(Tensor y, Tensor::allocate(args.dtypes[0], args.shapes[0], &out));
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(args.count()); ++i, out += size_of(y.dtype)) {
    store_cast(static_cast<std::int64_t>(start + i * step), false, y.dtype, out);
  }
  return Tensors{std::move(y)};
}

Result<Tensors> eval_full(const EvalArgs& args) {
  std::byte* out = nullptr;
  INTAGLIO_TRY(Tensor y, filled(args.dtypes[0], args.shapes[0], args.attrs.f("value"), &out));
  return Tensors{std::move(y)};
}

Result<Tensors> eval_dims(const EvalArgs& args) {
  INTAGLIO_TRY(Tensor y, Tensor::vector_i64(args.dims("values")));
  return Tensors{std::move(y)};
}

}  // namespace intaglio::interp
