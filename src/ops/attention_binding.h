// The loop structure of one attention problem. Internal to ops/attention*.cc.
#pragma once

#include "ops/attention.h"

namespace intaglio::ops {

// Where row (b, h, s) of an operand of logical shape [B, heads, S, depth] begins, in elements: in tensor `input` of the
// run at `at` + b * batch + h * head + s * row. Depth itself is contiguous.
struct HeadStrides {
  std::int64_t batch = 0, head = 0, row = 0;
  std::int64_t at = 0;
  std::size_t input = 0;
};

// Keys begin .. end - 1.
struct KeyRange {
  std::int64_t begin = 0, end = 0;
  bool empty() const { return begin >= end; }
};

struct AttentionBinding final : Binding {
  std::string blocking_text() const override;
  // Scratch of a thread: `own` bytes, and the table of visible keys behind them or in the shared scratch.
  void reserve_scratch(std::size_t own);
  std::int64_t batch = 0, heads = 0, kv_heads = 0, queries = 0, keys = 0, depth = 0, value_depth = 0;
  HeadStrides q, k, v, y;
  std::size_t mask_input = 0;
  std::int64_t mask_stride[4] = {0, 0, 0, 0};  // along B, H, Sq, Sk; 0 where repeated

  bool direct = false;  // few query rows: products straight from k and v, nothing packed
  std::int64_t query_block = 0;
  std::int64_t query_blocks = 0;
  std::int64_t key_block = 0;  // the most keys whose scores are held at once; a multiple of 16
  std::int64_t key_blocks = 0;
  // The table of ranges that the mask leaves (attention_visible.h): [batches][heads][blocks], an extent being 1 where
  // the ranges repeat; in the shared scratch or in that of each thread, at `at`.
  struct Visible {
    std::int64_t batches = 0, heads = 0, blocks = 0;  // 0: no mask, or one that hides all keys of a row or none
    std::int64_t size() const { return batches * heads * blocks; }
    bool shared = false;
    std::size_t at = 0;
  } visible;
  std::int64_t items() const { return heads / kv_heads * query_blocks; }  // of one (batch, kv head)

  // 16- and 8-bit products only: offsets in thread scratch, see attention_narrow.cc
  struct Narrow {
    std::size_t queries = 0, probabilities = 0, sums = 0, weights = 0, staging = 0, widened = 0;
    std::size_t query_scale = 0, key_scale = 0, key_start = 0, value_scale = 0;
    std::size_t query_pitch = 0, probability_pitch = 0;  // elements
  } narrow;

  std::size_t pitch = 0;                                                   // of the score rows
  std::size_t values_at = 0, scores_at = 0, state_at = 0, rescale_at = 0;  // in thread scratch; packed keys at 0
};

// The keys of each of as few blocks as there can be, all but the last alike: a last block of a few keys would pay for
// all rows.
std::int64_t even_key_block(std::int64_t keys);

// Blocks and strides; where things lie in thread scratch is left to the op. Errors (usage): shapes that do not fit
// together, naming the operand.
Result<std::unique_ptr<AttentionBinding>> bind_attention(const AttentionDescriptor& descriptor,
                                                         const BindRequest& request, std::size_t row_granule);

}  // namespace intaglio::ops
