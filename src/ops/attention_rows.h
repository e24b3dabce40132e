// What the attention ops share: who runs what, blocks of query rows, masks, softmax. Internal to ops/attention*.
#pragma once

#include <cmath>
#include <limits>

#include "kernels/attention/table.h"
#include "kernels/gemm/table.h"
#include "ops/attention_binding.h"

namespace intaglio::ops {

// One (batch, key head) of one run.
struct AttentionHead {
  const std::byte* k = nullptr;
  const std::byte* v = nullptr;
  std::int64_t batch = 0, kv_head = 0;
  std::int64_t keys = 0;  // those from here on are hidden from all queries of the batch
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

  // What a thread knows of the mask of the batch that it is at: the heads of a batch share it.
  struct Visible {
    std::int64_t batch = -1, keys = 0;
  };
  // Head number `index` of (batch, key head), with the keys that its queries can see.
  AttentionHead head_of(const AttentionBinding& b, const RunArgs& args, std::int64_t index,
                        Visible& visible) const noexcept;
  AttentionItem item_of(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head, std::int64_t index,
                        std::int64_t slot) const noexcept;
  // Fresh maxima and sums; where there are no keys at all, y.
  void begin(const AttentionBinding& b, const AttentionHead& head, const AttentionItem& item) const noexcept;
  // y of the rows that have seen no key: 0, NaN or the mean of v, not what the hidden values made of them (0 * inf
  // would be NaN).
  void finish_blind_rows(const AttentionBinding& b, const AttentionHead& head,
                         const AttentionItem& item) const noexcept;
  // The keys that the last row of the item sees.
  std::int64_t seen(const AttentionHead& head, const AttentionItem& item) const noexcept {
    const std::int64_t reach = item.first + static_cast<std::int64_t>(item.rows);
    return d_.causal && reach < head.keys ? reach : head.keys;
  }
  // Softmax of the item's scores of keys first .. first + keys - 1. `softmax` has scores, pitch, scale, rescale (and
  // out, in elements of `out_size` bytes); the rest is filled in here.
  void soften(const AttentionBinding& b, const AttentionItem& item, kernels::attention::SoftmaxArgs softmax,
              std::size_t first, std::size_t keys, std::size_t out_size,
              kernels::attention::SoftmaxKernel kernel) const noexcept;
  // The factor of a finished row; any for one that has seen no key.
  float weight(float sum) const noexcept { return sum == 0.0f ? 0.0f : 1.0f / sum; }
  // "added-mask causal", for people.
  std::string text() const;

 private:
  bool sees_one(const float* added, std::int64_t keys) const noexcept;
  float blind_value(const AttentionBinding& b, const AttentionHead& head, std::int64_t column) const noexcept;
  std::int64_t visible_keys(const AttentionBinding& b, const RunArgs& args, std::int64_t batch) const noexcept;

  AttentionDescriptor d_;
  std::int64_t size_;  // of an element of q, k, v and y
};

// Calls run_head(head, begin, end) for the worker's share of items: those begin .. end - 1 of each head.
template <class RunHead>
void for_each_head(const AttentionRows& rows, const AttentionBinding& b, const RunArgs& args, const Worker& worker,
                   RunHead&& run_head) noexcept {
  const std::int64_t items = b.items();
  AttentionRows::Visible visible;
  const Range share = share_of(b.split.total, b.split.grain, worker);
  for (std::int64_t unit = share.begin; unit < share.end;) {
    const std::int64_t head = unit / items;
    const std::int64_t end = share.end < (head + 1) * items ? share.end : (head + 1) * items;
    run_head(rows.head_of(b, args, head, visible), unit - head * items, end - head * items);
    unit = end;
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
