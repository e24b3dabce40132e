// Which keys the blocks of query rows see, and how threads share the blocks by that. Internal to ops/attention*.
#pragma once

#include "ops/attention_binding.h"

namespace intaglio::ops {

// Of one run: what mask and causal limit leave of the keys for each block of query rows. Keys outside a block's range
// are as good as absent from its rows: hidden by a bool mask, by an added -inf, or by an added number <= -1e37 beside a
// key that the row sees (>= -1e30). A row whose keys all are hidden by finite numbers averages them; its block sees all
// that it reaches.
//
// The ranges that a mask gives are told once a run, in a table: by every thread for itself, or, if they take reading a
// mask with rows, by all threads in a phase of their own.
class VisibleKeys {
 public:
  VisibleKeys(const AttentionDescriptor& descriptor, const AttentionBinding& binding, const RunArgs& args)
      : d_(descriptor),
        b_(binding),
        mask_(b_.visible.size() == 0 ? nullptr : static_cast<const std::byte*>(args.inputs[b_.mask_input])),
        table_(reinterpret_cast<KeyRange*>((b_.visible.shared ? args.shared_scratch : args.thread_scratch) +
                                           b_.visible.at)) {}

  // Entries of the table. Before anything below is asked for, all of it must be filled.
  void fill(Range entries) const noexcept;
  // Of query rows block * query_block and so on of one head.
  KeyRange of(std::int64_t batch, std::int64_t head, std::int64_t block) const noexcept;
  // What any block of the query heads that share a key head sees.
  KeyRange of_group(std::int64_t batch, std::int64_t kv_head) const noexcept;
  // The items of a worker: parts of equal work in order, whatever the rows see.
  Range share(const Worker& worker) const noexcept;

 private:
  KeyRange reached(std::int64_t block) const noexcept;
  template <class T>
  KeyRange scan(const T* mask, std::int64_t block) const noexcept;
  std::int64_t rows_of(std::int64_t block) const noexcept;
  double work_of_item(std::int64_t head, std::int64_t item) const noexcept;
  double work_of_packing(std::int64_t head) const noexcept;
  double work_of_head(std::int64_t head) const noexcept;
  std::int64_t alike() const noexcept;
  std::int64_t first_item(double target) const noexcept;

  const AttentionDescriptor& d_;
  const AttentionBinding& b_;
  const std::byte* mask_;
  KeyRange* table_;
};

}  // namespace intaglio::ops
