// RotaryEmbedding (opset 23), by composition: pairs of elements are rotated by the angles of their position.
#include "frontend/onnx/ops/translators.h"

namespace intaglio::frontend::onnx {
namespace {

struct Rotary {
  MaybeValue cos, sin;  // [B, S, 1, D/2]
  bool interleaved = false;
};

// The caches of the positions asked for, with an axis for the heads.
MaybeValue cache(NodeContext& c, std::size_t operand) {
  MaybeValue table = c.input(operand);
  if (c.has(3)) table = c.b.gather(table, c.input(3), 0);
  return c.b.unsqueeze(table, std::vector<std::int64_t>{2});
}

// x: [B, S, H, D].
MaybeValue rotate(Builder& b, const MaybeValue& x, const Rotary& r, const Dim& size) {
  const Dim half = Dim::floordiv(size, 2);
  const MaybeValue x1 =
      r.interleaved ? b.slice(x, SliceSpec{-1, Dim(0), std::nullopt, 2}) : b.slice(x, SliceSpec{-1, Dim(0), half, 1});
  const MaybeValue x2 = r.interleaved ? b.slice(x, SliceSpec{-1, Dim(1), std::nullopt, 2})
                                      : b.slice(x, SliceSpec{-1, half, std::nullopt, 1});
  const MaybeValue real = b.sub(b.mul(r.cos, x1), b.mul(r.sin, x2));
  const MaybeValue imaginary = b.add(b.mul(r.sin, x1), b.mul(r.cos, x2));
  if (!r.interleaved) return b.concat(std::vector<MaybeValue>{real, imaginary}, -1);
  const std::vector<std::int64_t> last{4};
  const MaybeValue pairs = b.concat(std::vector<MaybeValue>{b.unsqueeze(real, last), b.unsqueeze(imaginary, last)}, -1);
  if (!x) return x;
  return b.reshape(pairs, (*x)->shape());
}

}  // namespace

Status translate_rotary_embedding(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * input, c.input(0));
  const bool rank4 = input->rank() == 4;
  if (!rank4 && input->rank() != 3) return c.malformed("X must have rank 3 or 4");
  MaybeValue x = input;
  if (rank4) {
    x = c.b.swap_axes(x, 1, 2);
  } else {
    const std::int64_t heads = c.attr_int("num_heads", 0);
    if (heads <= 0) return c.malformed("num_heads is needed for an operand of rank 3");
    const Dims& shape = input->shape();
    x = c.b.reshape(x, {shape[0], shape[1], Dim(heads), Dim::floordiv(shape[2], heads)});
  }
  INTAGLIO_TRY(ir::Value * by_head, x);
  const Dim head_size = by_head->shape()[3];
  const std::int64_t partial = c.attr_int("rotary_embedding_dim", 0);
  const Dim rotated_size = partial > 0 ? Dim(partial) : head_size;
  if (const auto size = rotated_size.constant(); size && *size % 2 != 0)
    return c.malformed("an odd number of elements cannot be rotated");
  const Rotary rotary{cache(c, 1), cache(c, 2), c.attr_int("interleaved", 0) != 0};
  const MaybeValue part = c.b.slice(by_head, SliceSpec{-1, Dim(0), rotated_size, 1});
  MaybeValue y = rotate(c.b, part, rotary, rotated_size);
  if (!(rotated_size == head_size)) {
    const MaybeValue rest = c.b.slice(by_head, SliceSpec{-1, rotated_size, std::nullopt, 1});
    y = c.b.concat(std::vector<MaybeValue>{y, rest}, -1);
  }
  return c.set(0, rank4 ? c.b.swap_axes(y, 1, 2) : c.b.reshape(y, input->shape()));
}

}  // namespace intaglio::frontend::onnx
