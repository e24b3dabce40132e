#include "ops/attention_binding.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/work.h"

namespace intaglio::ops {
namespace {

constexpr std::int64_t kMostKeys = 512;  // whole rows up to here, running maxima beyond
constexpr std::int64_t kQueryRows = 48;  // of one block: keys of 64 columns are read from L1 by all of them
constexpr std::int64_t kDirectRows = 4;  // query rows per key head below which packing does not pay

std::int64_t round_up(std::int64_t value, std::int64_t granule) {
  return (value + granule - 1) / granule * granule;
}

// What the table of visible keys is told from. Masks with rows are read by all threads together: each by itself would
// read as much as one head's scores.
Status bind_visible(const AttentionDescriptor& d, int threads, AttentionBinding& b) {
  if (d.mask == AttentionMask::none || b.mask_stride[3] == 0) return {};
  const bool rows = b.mask_stride[2] != 0;
  b.visible.batches = b.mask_stride[0] == 0 ? 1 : b.batch;
  b.visible.heads = b.mask_stride[1] == 0 ? 1 : b.heads;
  b.visible.blocks = rows || d.causal ? b.query_blocks : 1;
  b.visible.shared = rows && threads > 1;
  b.phases = b.visible.shared ? 2 : 1;
  static_assert(sizeof(KeyRange) == 2 * sizeof(std::int64_t));
  INTAGLIO_CHECK(byte_count(Shape{b.visible.batches, b.visible.heads, b.visible.blocks, 2}, DType::i64));
  return {};
}

Status reject(std::string_view operand, const Shape& shape, std::string_view why) {
  return fail(ErrorCode::usage, fmt::format("attention: {} of shape {}: {}", operand, to_string(shape), why));
}

Result<HeadStrides> strides_of(std::string_view name, const Operand& operand, const AttentionDescriptor& d,
                               std::int64_t* dims) {
  if (operand.dtype != d.dtype) {
    return fail(ErrorCode::usage,
                fmt::format("attention: {} is {}, expected {}", name, name_of(operand.dtype), name_of(d.dtype)));
  }
  const Shape& s = operand.shape;
  if (s.size() != 4) return fail(std::move(reject(name, s, "rank 4 expected")).error());
  INTAGLIO_CHECK(byte_count(s, operand.dtype));
  const bool bhsd = d.layout == AttentionLayout::bhsd;
  dims[0] = s[0];
  dims[1] = bhsd ? s[1] : s[2];
  dims[2] = bhsd ? s[2] : s[1];
  dims[3] = s[3];
  HeadStrides strides;
  // An empty tensor is never read, and the product of its other dims may overflow.
  INTAGLIO_TRY(const std::int64_t count, element_count(s));
  if (count == 0) return strides;
  strides.batch = s[1] * s[2] * s[3];
  strides.head = bhsd ? s[2] * s[3] : s[3];
  strides.row = bhsd ? s[3] : s[2] * s[3];
  return strides;
}

Status bind_mask(const AttentionDescriptor& d, const Operand& mask, AttentionBinding& b) {
  const DType expected = d.mask == AttentionMask::kept ? DType::boolean : DType::f32;
  if (mask.dtype != expected) {
    return fail(ErrorCode::usage,
                fmt::format("attention: mask is {}, expected {}", name_of(mask.dtype), name_of(expected)));
  }
  const Shape& s = mask.shape;
  if (s.size() > 4) return reject("mask", s, "rank over 4");
  INTAGLIO_CHECK(byte_count(s, mask.dtype));
  INTAGLIO_TRY(const std::int64_t count, element_count(s));
  const std::int64_t full[4] = {b.batch, b.heads, b.queries, b.keys};
  std::int64_t step = 1;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const std::size_t axis = 3 - i;
    const std::int64_t dim = s[s.size() - 1 - i];
    if (dim != 1 && dim != full[axis])
      return reject("mask", s, fmt::format("does not broadcast to {}", to_string(full)));
    if (count == 0) continue;
    b.mask_stride[axis] = dim == 1 ? 0 : step;
    step *= dim;
  }
  return {};
}

Status bind_separate(const AttentionDescriptor& d, const BindRequest& request, AttentionBinding& b) {
  std::int64_t q[4], k[4], v[4], y[4];
  INTAGLIO_TRY(b.q, strides_of("q", request.inputs[0], d, q));
  INTAGLIO_TRY(b.k, strides_of("k", request.inputs[1], d, k));
  INTAGLIO_TRY(b.v, strides_of("v", request.inputs[2], d, v));
  INTAGLIO_TRY(b.y, strides_of("y", request.outputs[0], d, y));
  b.k.input = 1;
  b.v.input = 2;
  if (k[0] != q[0] || k[3] != q[3]) return reject("k", request.inputs[1].shape, "batch or depth differs from q");
  if (v[0] != q[0] || v[1] != k[1] || v[2] != k[2])
    return reject("v", request.inputs[2].shape, "batch, heads or length differ from k");
  if (y[0] != q[0] || y[1] != q[1] || y[2] != q[2] || y[3] != v[3])
    return reject("y", request.outputs[0].shape, "not that of the result");
  if (k[1] == 0 ? q[1] != 0 : q[1] % k[1] != 0)
    return reject("k", request.inputs[1].shape, "its heads do not divide those of q");
  b.batch = q[0];
  b.heads = q[1];
  b.kv_heads = k[1];
  b.queries = q[2];
  b.keys = k[2];
  b.depth = q[3];
  b.value_depth = v[3];
  return {};
}

Status bind_packed(const AttentionDescriptor& d, const BindRequest& request, AttentionBinding& b) {
  const Operand &x = request.inputs[0], &y = request.outputs[0];
  for (const Operand* operand : {&x, &y}) {
    const std::string_view name = operand == &x ? "qkv" : "y";
    if (operand->dtype != d.dtype) {
      return fail(ErrorCode::usage,
                  fmt::format("attention: {} is {}, expected {}", name, name_of(operand->dtype), name_of(d.dtype)));
    }
    if (operand->shape.size() != 3) return reject(name, operand->shape, "rank 3 expected");
    INTAGLIO_CHECK(byte_count(operand->shape, operand->dtype));
  }
  const std::int64_t all = d.heads + 2 * d.kv_heads;
  const std::int64_t depth = x.shape[2] / all;
  if (x.shape[2] % all != 0) return reject("qkv", x.shape, fmt::format("a row is not {} heads", all));
  if (y.shape != Shape{x.shape[0], x.shape[1], depth * d.heads}) return reject("y", y.shape, "not that of the result");
  b.batch = x.shape[0];
  b.heads = d.heads;
  b.kv_heads = d.kv_heads;
  b.queries = b.keys = x.shape[1];
  b.depth = b.value_depth = depth;
  INTAGLIO_TRY(const std::int64_t count, element_count(x.shape));
  if (count == 0) return {};
  b.q = {x.shape[1] * x.shape[2], depth, x.shape[2], 0, 0};
  b.k = b.v = b.q;
  b.k.at = d.heads * depth;
  b.v.at = (d.heads + d.kv_heads) * depth;
  b.y = {y.shape[1] * y.shape[2], depth, y.shape[2], 0, 0};
  return {};
}

Status bind_operands(const AttentionDescriptor& d, const BindRequest& request, AttentionBinding& b) {
  const bool packed = d.layout == AttentionLayout::packed;
  b.mask_input = packed ? 1 : 3;
  const std::size_t expected = b.mask_input + (d.mask == AttentionMask::none ? 0 : 1);
  if (request.inputs.size() != expected || request.outputs.size() != 1) {
    return fail(ErrorCode::internal, fmt::format("attention: {} inputs, expected {}", request.inputs.size(), expected));
  }
  INTAGLIO_CHECK(packed ? bind_packed(d, request, b) : bind_separate(d, request, b));
  if (d.mask != AttentionMask::none) INTAGLIO_CHECK(bind_mask(d, request.inputs[b.mask_input], b));
  return {};
}

}  // namespace

void AttentionBinding::reserve_scratch(std::size_t own) {
  const std::size_t table = static_cast<std::size_t>(visible.size()) * sizeof(KeyRange);
  thread_scratch_bytes = (own + 63) / 64 * 64;
  visible.at = visible.shared ? 0 : thread_scratch_bytes;
  (visible.shared ? shared_scratch_bytes : thread_scratch_bytes) += table;
}

std::string AttentionBinding::blocking_text() const {
  if (kv_heads == 0) return "empty";
  if (direct) return fmt::format("rows in place, {} x {} keys", key_blocks, even_key_block(keys));
  return fmt::format("{} queries x {} keys, {} key blocks", query_block, even_key_block(keys), key_blocks);
}

std::int64_t even_key_block(std::int64_t keys) {
  const std::int64_t blocks = (keys + kMostKeys - 1) / kMostKeys;
  return blocks == 0 ? 0 : round_up((keys + blocks - 1) / blocks, 16);
}

Result<std::unique_ptr<AttentionBinding>> bind_attention(const AttentionDescriptor& d, const BindRequest& request,
                                                         std::size_t row_granule) {
  auto b = std::make_unique<AttentionBinding>();
  INTAGLIO_CHECK(bind_operands(d, request, *b));
  INTAGLIO_TRY(const std::int64_t results, element_count(request.outputs[0].shape));
  if (results == 0) {
    b->kv_heads = 0;  // nothing to run
    return b;
  }
  const auto granule = static_cast<std::int64_t>(row_granule);
  const std::int64_t group = b->kv_heads == 0 ? 0 : b->heads / b->kv_heads;
  // From here on every dim is bounded by a tensor that exists: batch, heads, queries and value depth by y, keys by v.
  b->direct = b->queries <= kDirectRows && b->queries * group <= kDirectRows;
  b->query_block = std::clamp<std::int64_t>(round_up(b->queries, granule), granule, round_up(kQueryRows, granule));
  b->query_blocks = (b->queries + b->query_block - 1) / b->query_block;
  b->key_block = even_key_block(b->keys);
  b->key_blocks = b->keys == 0 ? 0 : (b->keys + b->key_block - 1) / b->key_block;
  // Of fewer keys that are seen, a block may be larger.
  if (d.causal || d.mask != AttentionMask::none) b->key_block = std::min(round_up(b->keys, 16), kMostKeys);
  b->pitch = static_cast<std::size_t>(b->key_block) + 16;  // not a power of two: rows spread over the sets of L1

  INTAGLIO_CHECK(bind_visible(d, request.threads, *b));
  // Of what the ops reserve for themselves.
  INTAGLIO_CHECK(byte_count(Shape{b->key_block + 16, b->depth + b->value_depth + 32}, DType::f32));
  const auto rows = static_cast<double>(b->batch) * static_cast<double>(b->heads) * static_cast<double>(b->queries);
  // Query i sees keys 0 .. i, or all: the mean of a row.
  double seen = static_cast<double>(b->keys);
  if (d.causal) {
    const auto queries = static_cast<double>(b->queries), first = std::min(queries, seen);
    seen = (first * (first + 1) / 2 + (queries - first) * seen) / queries;
  }
  b->flops = 2.0 * rows * seen * static_cast<double>(b->depth + b->value_depth);
  b->bytes = operand_bytes(request);
  b->split = {"heads and query blocks", b->batch * b->kv_heads * b->items(), 1};
  return b;
}

}  // namespace intaglio::ops
