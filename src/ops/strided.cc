#include "ops/strided.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace intaglio::ops {

namespace {

// The last dim of one row.
template <class T>
void copy_row(const T* source, std::int64_t src_stride, T* target, std::int64_t dst_stride, std::int64_t count) {
  if (dst_stride == 1 && src_stride == 1) {
    std::memcpy(target, source, static_cast<std::size_t>(count) * sizeof(T));
  } else if (dst_stride == 1 && src_stride == 0) {
    std::fill_n(target, count, *source);
  } else {
    for (std::int64_t i = 0; i < count; ++i) target[i * dst_stride] = source[i * src_stride];
  }
}

// A transpose moves along the fast axis of the source across rows of the target; square tiles keep both in the cache.
constexpr std::int64_t kTile = 16;

template <class T>
struct Loops {
  const StridedCopy& copy;
  const T* input;
  T* output;

  std::int64_t dim(int axis) const { return copy.dims[static_cast<std::size_t>(axis)]; }
  std::int64_t src(int axis) const { return copy.src_stride[static_cast<std::size_t>(axis)]; }
  std::int64_t dst(int axis) const { return copy.dst_stride[static_cast<std::size_t>(axis)]; }

  // Offsets of row `row` (all dims but the last).
  void seek(std::int64_t row, int last_axis, std::int64_t& source, std::int64_t& target) const {
    source = copy.src_offset;
    target = copy.dst_offset;
    for (int axis = last_axis - 1; axis >= 0; --axis) {
      const std::int64_t index = row % dim(axis);
      row /= dim(axis);
      source += index * src(axis);
      target += index * dst(axis);
    }
  }

  void rows(std::int64_t begin, std::int64_t end) const {
    const int last = copy.rank - 1;
    for (std::int64_t row = begin; row < end; ++row) {
      std::int64_t source = 0;
      std::int64_t target = 0;
      seek(row, last, source, target);
      copy_row(input + source, src(last), output + target, dst(last), dim(last));
    }
  }

  // Rows of the last two dims as tiles: the source is contiguous along the second last dim.
  void tiled(std::int64_t begin, std::int64_t end) const {
    const int last = copy.rank - 1;
    const std::int64_t height = dim(last - 1);
    for (std::int64_t row = begin; row < end;) {
      const std::int64_t in_block = row % height;
      const std::int64_t count = std::min({kTile, height - in_block, end - row});
      std::int64_t source = 0;
      std::int64_t target = 0;
      seek(row, last, source, target);
      for (std::int64_t column = 0; column < dim(last); column += kTile) {
        const std::int64_t width = std::min(kTile, dim(last) - column);
        for (std::int64_t i = 0; i < count; ++i) {
          const T* from = input + source + i * src(last - 1) + column * src(last);
          T* to = output + target + i * dst(last - 1) + column * dst(last);
          for (std::int64_t j = 0; j < width; ++j) to[j * dst(last)] = from[j * src(last)];
        }
      }
      row += count;
    }
  }

  void run(std::int64_t begin, std::int64_t end) const {
    if (copy.rank == 0) {
      if (begin < end) output[copy.dst_offset] = input[copy.src_offset];
      return;
    }
    if (copy.work(sizeof(T)).elements) {
      const int last = copy.rank - 1;
      return copy_row(input + copy.src_offset + begin * src(last), src(last),
                      output + copy.dst_offset + begin * dst(last), dst(last), end - begin);
    }
    const bool transposed = copy.rank >= 2 && src(copy.rank - 2) == 1 && src(copy.rank - 1) != 0;
    if (transposed)
      tiled(begin, end);
    else
      rows(begin, end);
  }
};

template <class T>
void run_typed(const StridedCopy& copy, const void* input, void* output, const void* fill, std::int64_t begin,
               std::int64_t end) {
  const T* source = static_cast<const T*>(copy.source < 0 ? fill : input);
  Loops<T>{copy, source, static_cast<T*>(output)}.run(begin, end);
}

}  // namespace

std::int64_t StridedCopy::rows() const {
  const auto all = std::span(dims).first(static_cast<std::size_t>(rank));
  if (std::ranges::count(all, 0) != 0) return 0;  // before the others, whose product may not fit then
  std::int64_t count = 1;
  for (int axis = 0; axis + 1 < rank; ++axis) count *= dims[static_cast<std::size_t>(axis)];
  return count;
}

StridedCopy::Work StridedCopy::work(std::size_t element) const {
  constexpr std::int64_t kBytes = 4096;  // less is not worth a thread, and neighbours must not share cache lines
  const std::int64_t count = rows();
  if (rank == 0 || count > 1) {
    const std::int64_t row_bytes =
        rank == 0 ? kBytes
                  : std::min(dims[static_cast<std::size_t>(rank - 1)], kBytes) * static_cast<std::int64_t>(element);
    return {count, std::max<std::int64_t>(1, kBytes / std::max<std::int64_t>(row_bytes, 1)), false};
  }
  return {count == 0 ? 0 : dims[static_cast<std::size_t>(rank - 1)], kBytes / static_cast<std::int64_t>(element), true};
}

void collapse(StridedCopy& copy) {
  StridedCopy out = copy;
  out.rank = 0;
  for (std::size_t axis = 0; axis < static_cast<std::size_t>(copy.rank); ++axis) {
    if (copy.dims[axis] == 1) continue;
    if (out.rank > 0) {
      const auto previous = static_cast<std::size_t>(out.rank - 1);
      const auto spans = [&](std::int64_t outer, std::int64_t inner) {
        std::int64_t whole = 0;  // overflows only where a dim is 0
        return !__builtin_mul_overflow(inner, copy.dims[axis], &whole) && outer == whole &&
               !__builtin_mul_overflow(out.dims[previous], copy.dims[axis], &whole);
      };
      const bool mergeable = spans(out.src_stride[previous], copy.src_stride[axis]) &&
                             spans(out.dst_stride[previous], copy.dst_stride[axis]);
      if (mergeable) {
        out.dims[previous] *= copy.dims[axis];
        out.src_stride[previous] = copy.src_stride[axis];
        out.dst_stride[previous] = copy.dst_stride[axis];
        continue;
      }
    }
    const auto next = static_cast<std::size_t>(out.rank++);
    out.dims[next] = copy.dims[axis];
    out.src_stride[next] = copy.src_stride[axis];
    out.dst_stride[next] = copy.dst_stride[axis];
  }
  copy = out;
}

void run_strided(const StridedCopy& copy, std::size_t element, const void* input, void* output, const void* fill,
                 std::int64_t begin, std::int64_t end) noexcept {
  switch (element) {
    case 1:
      return run_typed<std::uint8_t>(copy, input, output, fill, begin, end);
    case 2:
      return run_typed<std::uint16_t>(copy, input, output, fill, begin, end);
    case 4:
      return run_typed<std::uint32_t>(copy, input, output, fill, begin, end);
    default:
      return run_typed<std::uint64_t>(copy, input, output, fill, begin, end);
  }
}

}  // namespace intaglio::ops
