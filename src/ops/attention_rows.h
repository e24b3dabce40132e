// What the attention ops share: who runs what, blocks of query rows, masks, softmax. Internal to ops/attention*.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention/table.h"
#include "kernels/gemm/table.h"
#include "ops/attention_visible.h"

namespace intaglio::ops {

// One (batch, key head) of one run.
struct AttentionHead {
  const std::byte* k = nullptr;
  const std::byte* v = nullptr;
  std::int64_t batch = 0, kv_head = 0;
  KeyRange keys;                      // what any of its queries sees: nothing else is read
  std::int64_t key_block = 0;         // blocks of so many keys, the first at keys.begin
  const std::byte** blind = nullptr;  // what the thread made of the first row without a key: all are alike
};

// Keys of one block of a head, packed at once.
struct AttentionBlock {
  std::int64_t first = 0, keys = 0;
};
// What an item computes of a block.
struct AttentionPart {
  std::int64_t first = 0;              // key
  std::size_t at = 0;                  // first - the block's first: a multiple of what kernels read K in
  std::size_t keys = 0;                // 0: nothing
  bool opens = false, closes = false;  // the item's first and last part
};

// One block of query rows of one head against the keys.
struct AttentionItem {
  const std::byte* q = nullptr;
  std::byte* y = nullptr;
  const void* mask = nullptr;  // of the first row and key 0
  std::int64_t first = 0;      // query row
  std::size_t rows = 0;
  float *max = nullptr, *sum = nullptr;
  std::int64_t slot = 0;  // of the items that a thread holds at once
};

// The descriptor with what follows from it at run time. Stateless.
class AttentionRows {
 public:
  explicit AttentionRows(const AttentionDescriptor& descriptor)
      : d_(descriptor), size_(static_cast<std::int64_t>(size_of(descriptor.dtype))) {}

  VisibleKeys visible(const AttentionBinding& b, const RunArgs& args) const { return {d_, b, args}; }
  // Head number `index` of (batch, key head).
  AttentionHead head_of(const AttentionBinding& b, const RunArgs& args, const VisibleKeys& visible,
                        std::int64_t index) const noexcept;
  // What an item of a head sees.
  static KeyRange keys_of(const AttentionBinding& b, const VisibleKeys& visible, const AttentionHead& head,
                          std::int64_t index) noexcept {
    return visible.of(head.batch, head.kv_head * (b.heads / b.kv_heads) + index / b.query_blocks,
                      index % b.query_blocks);
  }
  static AttentionPart part_of(const KeyRange& seen, const AttentionBlock& block) noexcept;
  AttentionItem item_of(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head, std::int64_t index,
                        std::int64_t slot) const noexcept;
  // Fresh maxima and sums.
  static void begin(const AttentionItem& item) noexcept;
  // y of an item that sees no key.
  void finish_blind(const AttentionBinding& b, const AttentionHead& head, const AttentionItem& item) const noexcept {
    begin(item);
    finish_blind_rows(b, head, item);
  }
  // y of the rows that have seen no key: 0, NaN or the mean of v, not what the hidden values made of them (0 * inf
  // would be NaN).
  void finish_blind_rows(const AttentionBinding& b, const AttentionHead& head,
                         const AttentionItem& item) const noexcept;
  // Softmax of the item's scores of a part. `softmax` has scores, pitch, scale, rescale (and out, in elements of
  // `out_size` bytes); the rest is filled in here.
  void soften(const AttentionBinding& b, const AttentionItem& item, const AttentionPart& part,
              kernels::attention::SoftmaxArgs softmax, std::size_t out_size,
              kernels::attention::SoftmaxKernel kernel) const noexcept;
  // The factor of a finished row; any for one that has seen no key.
  float weight(float sum) const noexcept { return sum == 0.0f ? 0.0f : 1.0f / sum; }
  // "added-mask causal", for people.
  std::string text() const;

 private:
  void blind_row(const AttentionBinding& b, const AttentionHead& head, std::byte* y) const noexcept;

  AttentionDescriptor d_;
  std::int64_t size_;  // of an element of q, k, v and y
};

// The worker's share of items, head by head and block of keys by block. Calls
//   pack(head, block, needed)    before the items of a block: its keys, of which the worker needs the first `needed`
//   attend(head, item, part)     for every item that sees keys of it
template <class Pack, class Attend>
void for_each_part(const AttentionRows& rows, const AttentionBinding& b, const RunArgs& args, const Worker& worker,
                   Pack&& pack, Attend&& attend) noexcept {
  const VisibleKeys visible = rows.visible(b, args);
  const std::int64_t entries = b.visible.size();
  if (b.visible.shared && worker.phase == 0) return visible.fill(share_of(entries, 1, worker));
  if (!b.visible.shared) visible.fill({0, entries});
  const Range share = visible.share(worker);
  for (std::int64_t unit = share.begin; unit < share.end;) {
    const std::int64_t index = unit / b.items(), before = index * b.items();
    const std::int64_t begin = unit - before, end = std::min(share.end - before, b.items());
    AttentionHead head = rows.head_of(b, args, visible, index);
    const std::byte* blind = nullptr;
    head.blind = &blind;
    const auto keys_of = [&](std::int64_t i) { return rows.keys_of(b, visible, head, i); };
    for (std::int64_t i = begin; i < end; ++i) {
      if (keys_of(i).empty()) rows.finish_blind(b, head, rows.item_of(b, args, head, i, i - begin));
    }
    for (AttentionBlock block{head.keys.begin, 0}; block.first < head.keys.end; block.first += head.key_block) {
      block.keys = std::min(head.key_block, head.keys.end - block.first);
      std::size_t needed = 0;
      for (std::int64_t i = begin; i < end; ++i) {
        const AttentionPart part = AttentionRows::part_of(keys_of(i), block);
        if (part.keys != 0) needed = std::max(needed, part.at + part.keys);
      }
      if (needed == 0) continue;
      pack(head, block, needed);
      for (std::int64_t i = begin; i < end; ++i) {
        const AttentionPart part = AttentionRows::part_of(keys_of(i), block);
        if (part.keys == 0) continue;
        const AttentionItem item = rows.item_of(b, args, head, i, i - begin);
        if (part.opens) AttentionRows::begin(item);
        attend(head, item, part);
      }
    }
    unit = before + end;
  }
}

// C[m x n] of one product, cut into calls of the kernel; columns outside, so that a strip of B serves all rows from L1.
// To args.out, of elements of out_bytes, if it is set; else to args.partial.
void multiply_blocks(const kernels::gemm::KernelRow& row, kernels::gemm::Args args, std::size_t m, std::size_t n,
                     std::size_t a_bytes, std::size_t out_bytes) noexcept;

// bf16 and 8-bit products: attention_narrow.cc.
Result<std::unique_ptr<PreparedOp>> prepare_narrow_attention(const AttentionDescriptor& descriptor,
                                                             const Target& target);

}  // namespace intaglio::ops
