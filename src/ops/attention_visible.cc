#include "ops/attention_visible.h"

#include <algorithm>
#include <limits>

namespace intaglio::ops {
namespace {

// An added mask hides a key from a row that sees another one when their difference leaves e^x no bit, whatever finite
// scores of models are: the lowest finite f32 and its half, as exporters write them, and -inf.
constexpr float kHidden = -1e37f, kSeen = -1e30f;
constexpr float kNever = -std::numeric_limits<float>::infinity();

bool is_visible(std::uint8_t kept) {
  return kept != 0;
}
bool is_visible(float added) {
  return !(added <= kHidden);  // a NaN is seen
}

// Masks hide long runs: 16 at a time, which the compiler makes vectors of.
constexpr std::int64_t kRun = 16;
template <class T>
bool hides_run(const T* mask) {
  unsigned visible = 0;
  for (std::int64_t i = 0; i < kRun; ++i) visible |= is_visible(mask[i]) ? 1u : 0u;
  return visible == 0;
}
// The first visible key of begin .. end - 1, else end.
template <class T>
std::int64_t first_visible(const T* mask, std::int64_t begin, std::int64_t end) {
  while (end - begin >= kRun && hides_run(mask + begin)) begin += kRun;
  while (begin < end && !is_visible(mask[begin])) ++begin;
  return begin;
}
// One after the last visible key of begin .. end - 1, else begin.
template <class T>
std::int64_t last_visible(const T* mask, std::int64_t begin, std::int64_t end) {
  while (end - begin >= kRun && hides_run(mask + end - kRun)) end -= kRun;
  while (end > begin && !is_visible(mask[end - 1])) --end;
  return end;
}

enum class Sight : std::uint8_t { sees, nothing, averages };
// A row whose first visible key is `first`.
Sight sight_of(const std::uint8_t*, std::int64_t first, std::int64_t end) {
  return first < end ? Sight::sees : Sight::nothing;
}
Sight sight_of(const float* added, std::int64_t first, std::int64_t end) {
  if (std::any_of(added + first, added + end, [](float x) { return x >= kSeen; })) return Sight::sees;
  const bool hidden = std::all_of(added, added + end, [](float x) { return x == kNever; });
  return hidden ? Sight::nothing : Sight::averages;
}

// What a query row and a key cost beside the products and the softmax of their pairs, in such pairs: the row's state,
// result and quantisation, the key's packing. From the times of 128 and 512 tokens (12 heads of 64, Zen 4 with VNNI and
// BF16, 2026-11): a pair takes 2.7 ns in f32, 1.6 in bf16, 1.0 in int8; a row and a key together 20, 20 and 78 pairs.
struct Cost {
  double row, key;
};
constexpr Cost kPlainCost{6, 14}, kInt8Cost{26, 52};
const Cost& cost_of(const AttentionDescriptor& d) {
  return d.compute == AttentionCompute::int8 ? kInt8Cost : kPlainCost;
}

}  // namespace

std::int64_t VisibleKeys::rows_of(std::int64_t block) const noexcept {
  return std::min(b_.query_block, b_.queries - block * b_.query_block);
}

KeyRange VisibleKeys::reached(std::int64_t block) const noexcept {
  return {0, d_.causal ? std::min(block * b_.query_block + rows_of(block), b_.keys) : b_.keys};
}

template <class T>
KeyRange VisibleKeys::scan(const T* mask, std::int64_t block) const noexcept {
  const KeyRange all = reached(block);
  const std::int64_t step = b_.mask_stride[2], first = block * b_.query_block, rows = rows_of(block);
  KeyRange range{all.end, 0};
  for (std::int64_t r = 0; r < rows; ++r, mask += step) {
    const std::int64_t reach = d_.causal ? std::min(first + r + 1, b_.keys) : b_.keys;
    const std::int64_t begin = first_visible(mask, 0, reach);
    const Sight sight = sight_of(mask, begin, reach);
    if (sight == Sight::averages) return all;
    // What one row of a mask without rows sees, the next ones see too.
    const bool settled = step == 0 && (sight == Sight::sees || !d_.causal);
    if (begin < reach) {
      range.begin = std::min(range.begin, begin);
      const std::int64_t end = settled ? all.end : reach;
      if (end > range.end) range.end = last_visible(mask, std::max(range.end, begin), end);
    }
    if (settled) break;
  }
  return range.begin < range.end ? range : KeyRange{};
}

void VisibleKeys::fill(Range entries) const noexcept {
  const AttentionBinding::Visible& t = b_.visible;
  for (std::int64_t i = entries.begin; i < entries.end; ++i) {
    const std::int64_t block = i % t.blocks, head = i / t.blocks % t.heads, batch = i / t.blocks / t.heads;
    const std::int64_t row = b_.mask_stride[2] == 0 ? 0 : block * b_.query_block;
    const std::int64_t at = batch * b_.mask_stride[0] + head * b_.mask_stride[1] + row * b_.mask_stride[2];
    table_[i] = d_.mask == AttentionMask::kept ? scan(reinterpret_cast<const std::uint8_t*>(mask_) + at, block)
                                               : scan(reinterpret_cast<const float*>(mask_) + at, block);
  }
}

KeyRange VisibleKeys::of(std::int64_t batch, std::int64_t head, std::int64_t block) const noexcept {
  const AttentionBinding::Visible& t = b_.visible;
  if (t.size() == 0) return reached(block);
  const std::int64_t of_batch = t.batches == 1 ? 0 : batch, of_head = t.heads == 1 ? 0 : head;
  return table_[(of_batch * t.heads + of_head) * t.blocks + (t.blocks == 1 ? 0 : block)];
}

KeyRange VisibleKeys::of_group(std::int64_t batch, std::int64_t kv_head) const noexcept {
  const AttentionBinding::Visible& t = b_.visible;
  if (t.size() == 0) return reached(b_.query_blocks - 1);
  const std::int64_t group = b_.heads / b_.kv_heads;
  KeyRange all{b_.keys, 0};
  for (std::int64_t h = 0; h < (t.heads == 1 ? 1 : group); ++h) {
    for (std::int64_t block = 0; block < t.blocks; ++block) {
      const KeyRange one = of(batch, kv_head * group + h, block);
      if (one.empty()) continue;
      all = {std::min(all.begin, one.begin), std::max(all.end, one.end)};
    }
  }
  return all.empty() ? KeyRange{} : all;
}

double VisibleKeys::work_of_item(std::int64_t head, std::int64_t item) const noexcept {
  const std::int64_t block = item % b_.query_blocks;
  const std::int64_t h = head % b_.kv_heads * (b_.heads / b_.kv_heads) + item / b_.query_blocks;
  const KeyRange seen = of(head / b_.kv_heads, h, block);
  return static_cast<double>(rows_of(block)) * (static_cast<double>(seen.end - seen.begin) + cost_of(d_).row);
}

double VisibleKeys::work_of_packing(std::int64_t head) const noexcept {
  const KeyRange seen = of_group(head / b_.kv_heads, head % b_.kv_heads);
  return b_.direct ? 0 : static_cast<double>(seen.end - seen.begin) * cost_of(d_).key;
}

double VisibleKeys::work_of_head(std::int64_t head) const noexcept {
  double work = 0;
  const bool alike = b_.visible.heads <= 1;  // the query heads of a group
  const std::int64_t items = alike ? b_.query_blocks : b_.items();
  for (std::int64_t i = 0; i < items; ++i) work += work_of_item(head, i);
  return work * static_cast<double>(alike ? b_.heads / b_.kv_heads : 1) + work_of_packing(head);
}

// So many neighbouring (batch, key head) have the same work.
std::int64_t VisibleKeys::alike() const noexcept {
  return b_.visible.heads > 1 ? 1 : b_.visible.batches > 1 ? b_.kv_heads : b_.batch * b_.kv_heads;
}

// The first item whose middle lies beyond `target` when the work of all heads is put end to end. Both threads that
// share a head pack its keys: each bears half of what that adds, and a head is cut only where it costs less than the
// heads before and behind would be uneven. Sums are exact: the shares meet.
std::int64_t VisibleKeys::first_item(double target) const noexcept {
  const std::int64_t heads = b_.batch * b_.kv_heads, items = b_.items(), step = alike();
  double before = 0;
  for (std::int64_t head = 0; head < heads; head += step) {
    const double work = work_of_head(head), all = work * static_cast<double>(step);
    if (before + all <= target) {
      before += all;
      continue;
    }
    const std::int64_t passed = std::min(static_cast<std::int64_t>((target - before) / work), step - 1);
    before += work * static_cast<double>(passed) + work_of_packing(head + passed) / 2;
    for (std::int64_t i = 0; i < items; ++i) {
      const double one = work_of_item(head + passed, i);
      if (before + one / 2 > target) return (head + passed) * items + i;
      before += one;
    }
    return (head + passed + 1) * items;
  }
  return heads * items;
}

Range VisibleKeys::share(const Worker& worker) const noexcept {
  const std::int64_t heads = b_.batch * b_.kv_heads, step = alike();
  if (worker.count == 1) return {0, heads * b_.items()};
  double total = 0;
  for (std::int64_t head = 0; head < heads; head += step) total += work_of_head(head) * static_cast<double>(step);
  const auto begin_of = [&](int index) {
    return index == worker.count ? heads * b_.items() : first_item(total * index / worker.count);
  };
  return {begin_of(worker.index), begin_of(worker.index + 1)};
}

}  // namespace intaglio::ops
