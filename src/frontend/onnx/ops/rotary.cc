// RotaryEmbedding (opset 23): IR `rotary` with the tables' rows of the positions asked for.
#include "frontend/onnx/ops/translators.h"

namespace intaglio::frontend::onnx {
namespace {

// Rows of a cache as [B, S, 1, R/2] (heads at axis 2) or [B, 1, S, R/2] (heads at axis 1).
MaybeValue table(NodeContext& c, std::size_t operand, std::int64_t head_axis) {
  MaybeValue cache = c.input(operand);
  if (c.has(3)) cache = c.b.gather(cache, c.input(3), 0);
  return c.b.unsqueeze(cache, std::vector<std::int64_t>{head_axis});
}

}  // namespace

Status translate_rotary_embedding(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * input, c.input(0));
  const bool rank4 = input->rank() == 4;
  if (!rank4 && input->rank() != 3) return c.malformed("X must have rank 3 or 4");
  MaybeValue x = input;
  if (!rank4) {
    const std::int64_t heads = c.attr_int("num_heads", 0);
    if (heads <= 0) return c.malformed("num_heads is needed for an operand of rank 3");
    const Dims& shape = input->shape();
    x = c.b.reshape(x, {shape[0], shape[1], Dim(heads), Dim::floordiv(shape[2], heads)});
  }
  INTAGLIO_TRY(ir::Value * by_head, x);
  const std::int64_t head_axis = rank4 ? 1 : 2;
  INTAGLIO_TRY(ir::Value * cos, table(c, 1, head_axis));
  INTAGLIO_TRY(ir::Value * sin, table(c, 2, head_axis));
  const std::int64_t partial = c.attr_int("rotary_embedding_dim", 0);
  const Dim rotated = partial > 0 ? Dim(partial) : by_head->shape()[3];
  if (const auto size = rotated.constant(); size && *size % 2 != 0)
    return c.malformed("an odd number of elements cannot be rotated");
  const Dim& pairs = cos->shape().back();
  if (rotated.is_constant() && pairs.is_constant() && rotated != pairs * 2)
    return c.malformed("cos_cache does not have half as many columns as are rotated");
  const ir::Attrs attrs{{"interleaved", c.attr_int("interleaved", 0) != 0}};
  const MaybeValue y = c.b.op(ir::Op::rotary, {by_head, cos, sin}, attrs);
  return c.set(0, rank4 ? y : c.b.reshape(y, input->shape()));
}

}  // namespace intaglio::frontend::onnx
