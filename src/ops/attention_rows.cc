#include "ops/attention_rows.h"

#include <algorithm>
#include <cstring>

#include "base/half.h"

namespace intaglio::ops {

namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
// An added mask hides a key from a row that sees another one when their difference leaves e^x no bit, whatever finite
// scores of models are: the lowest finite f32 and its half, as exporters write them, and -inf.
constexpr float kHidden = -1e37f, kSeen = -1e30f;

}  // namespace

// Keys from the returned one on are hidden from every query of the batch.
std::int64_t AttentionRows::visible_keys(const AttentionBinding& b, const RunArgs& args,
                                         std::int64_t batch) const noexcept {
  const bool by_head = b.mask_stride[1] != 0 && b.heads > 1;
  if (d_.mask == AttentionMask::none || by_head || b.mask_stride[3] == 0) return b.keys;
  const std::int64_t rows = b.mask_stride[2] == 0 ? 1 : b.queries, first = batch * b.mask_stride[0];
  std::int64_t keys = 0;
  for (std::int64_t r = 0; r < rows && keys < b.keys; ++r) {
    const std::int64_t row = first + r * b.mask_stride[2];
    std::int64_t last = b.keys;
    if (d_.mask == AttentionMask::kept) {
      const auto* kept = static_cast<const std::uint8_t*>(args.inputs[b.mask_input]) + row;
      while (last > keys && kept[last - 1] == 0) --last;
    } else {
      const auto* added = static_cast<const float*>(args.inputs[b.mask_input]) + row;
      while (last > keys && added[last - 1] <= kHidden) --last;
      if (!sees_one(added, last)) return b.keys;
    }
    keys = last;
  }
  return keys;
}

// A row that only hidden keys are left for averages them: then none may be left out. With causal, key 0 is the one that
// all rows reach.
bool AttentionRows::sees_one(const float* added, std::int64_t keys) const noexcept {
  for (std::int64_t j = 0; j < (d_.causal ? std::min<std::int64_t>(keys, 1) : keys); ++j) {
    if (added[j] >= kSeen) return true;
  }
  return false;
}

AttentionHead AttentionRows::head_of(const AttentionBinding& b, const RunArgs& args, std::int64_t index,
                                     Visible& visible) const noexcept {
  AttentionHead head;
  head.batch = index / b.kv_heads;
  head.kv_head = index % b.kv_heads;
  const auto at = [&](const HeadStrides& s) {
    return static_cast<const std::byte*>(args.inputs[s.input]) +
           (s.at + head.batch * s.batch + head.kv_head * s.head) * size_;
  };
  head.k = at(b.k);
  head.v = at(b.v);
  if (visible.batch != head.batch) visible = {head.batch, visible_keys(b, args, head.batch)};
  head.keys = visible.keys;
  return head;
}

AttentionItem AttentionRows::item_of(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head,
                                     std::int64_t index, std::int64_t slot) const noexcept {
  const std::int64_t h = head.kv_head * (b.heads / b.kv_heads) + index / b.query_blocks;
  AttentionItem item;
  item.slot = slot;
  item.first = index % b.query_blocks * b.query_block;
  item.rows = static_cast<std::size_t>(std::min(b.query_block, b.queries - item.first));
  const auto at = [&](const HeadStrides& s) {
    return (s.at + head.batch * s.batch + h * s.head + item.first * s.row) * size_;
  };
  item.q = static_cast<const std::byte*>(args.inputs[b.q.input]) + at(b.q);
  item.y = static_cast<std::byte*>(args.outputs[0]) + at(b.y);
  if (d_.mask != AttentionMask::none) {
    const std::int64_t offset = head.batch * b.mask_stride[0] + h * b.mask_stride[1] + item.first * b.mask_stride[2];
    const std::int64_t size = d_.mask == AttentionMask::kept ? 1 : static_cast<std::int64_t>(sizeof(float));
    item.mask = static_cast<const std::byte*>(args.inputs[b.mask_input]) + offset * size;
  }
  auto* state = reinterpret_cast<float*>(args.thread_scratch + b.state_at);
  item.max = state + 2 * slot * b.query_block;
  item.sum = item.max + b.query_block;
  return item;
}

void AttentionRows::begin(const AttentionBinding& b, const AttentionHead& head,
                          const AttentionItem& item) const noexcept {
  std::fill_n(item.max, item.rows, kLowest);
  std::fill_n(item.sum, item.rows, 0.0f);
  if (head.keys == 0) finish_blind_rows(b, head, item);
}

// Column `column` of y of a row that has seen no key. The mean is that of all keys of the run, hidden ones too.
float AttentionRows::blind_value(const AttentionBinding& b, const AttentionHead& head,
                                 std::int64_t column) const noexcept {
  if (d_.blind == AttentionBlind::nan) return std::numeric_limits<float>::quiet_NaN();
  if (d_.blind == AttentionBlind::zero || b.keys == 0) return 0.0f;
  double sum = 0;
  for (std::int64_t j = 0; j < b.keys; ++j) {
    const std::byte* element = head.v + (j * b.v.row + column) * size_;
    sum += d_.dtype == DType::bf16 ? static_cast<double>(to_float(*reinterpret_cast<const BFloat16*>(element)))
                                   : static_cast<double>(*reinterpret_cast<const float*>(element));
  }
  return static_cast<float>(sum / static_cast<double>(b.keys));
}

void AttentionRows::finish_blind_rows(const AttentionBinding& b, const AttentionHead& head,
                                      const AttentionItem& item) const noexcept {
  const std::byte* first = nullptr;  // all blind rows of a head are equal
  for (std::size_t r = 0; r < item.rows; ++r) {
    if (item.sum[r] != 0.0f) continue;
    std::byte* y = item.y + static_cast<std::int64_t>(r) * b.y.row * size_;
    if (first != nullptr) {
      std::memcpy(y, first, static_cast<std::size_t>(b.value_depth * size_));
      continue;
    }
    for (std::int64_t d = 0; d < b.value_depth; ++d) {
      const float value = blind_value(b, head, d);
      if (d_.dtype == DType::bf16)
        reinterpret_cast<BFloat16*>(y)[d] = to_bfloat16(value);
      else
        reinterpret_cast<float*>(y)[d] = value;
    }
    first = y;
  }
}

void AttentionRows::soften(const AttentionBinding& b, const AttentionItem& item,
                           kernels::attention::SoftmaxArgs softmax, std::size_t first, std::size_t keys,
                           std::size_t out_size, kernels::attention::SoftmaxKernel kernel) const noexcept {
  namespace table = kernels::attention;
  softmax.rows = item.rows;
  softmax.keys = keys;
  softmax.visible = keys;
  softmax.max = item.max;
  softmax.sum = item.sum;
  // Causal: rows before the first key of this block see none of it.
  const std::int64_t reach = item.first + 1 - static_cast<std::int64_t>(first);
  if (d_.causal && reach < static_cast<std::int64_t>(keys)) {
    softmax.visible_step = 1;
    softmax.visible = static_cast<std::size_t>(std::max<std::int64_t>(reach, 0));
  }
  const std::size_t size = d_.mask == AttentionMask::kept ? 1 : sizeof(float);
  if (d_.mask != AttentionMask::none) {
    softmax.mask = d_.mask == AttentionMask::kept ? table::Mask::kept : table::Mask::added;
    softmax.mask_key_step = static_cast<std::size_t>(b.mask_stride[3]);
    softmax.mask_row_step = static_cast<std::size_t>(b.mask_stride[2]);
    softmax.mask_data = static_cast<const std::byte*>(item.mask) + first * softmax.mask_key_step * size;
  }
  if (reach >= 0 || !d_.causal) return kernel(softmax);
  // Some rows lie wholly before the block: one call for them, one for the rest.
  table::SoftmaxArgs before = softmax;
  before.rows = std::min(item.rows, static_cast<std::size_t>(-reach));
  before.visible_step = 0;
  kernel(before);
  softmax.rows -= before.rows;
  softmax.scores += before.rows * b.pitch;
  softmax.max += before.rows;
  softmax.sum += before.rows;
  softmax.rescale += before.rows;
  if (softmax.out != nullptr)
    softmax.out = static_cast<std::byte*>(softmax.out) + before.rows * softmax.out_pitch * out_size;
  if (softmax.mask_data != nullptr)
    softmax.mask_data = static_cast<const std::byte*>(softmax.mask_data) + before.rows * softmax.mask_row_step * size;
  if (softmax.rows != 0) kernel(softmax);
}

void multiply_blocks(const kernels::gemm::KernelRow& row, kernels::gemm::Args args, std::size_t m, std::size_t n,
                     std::size_t a_bytes, std::size_t out_bytes) noexcept {
  const kernels::gemm::Args whole = args;
  for (std::size_t j = 0; j < n; j += row.block_n) {
    args.n = std::min(row.block_n, n - j);
    args.column = j;
    args.b = static_cast<const char*>(whole.b) + j / kernels::gemm::kPanelWidth * whole.b_panel;
    for (std::size_t i = 0; i < m; i += row.block_m) {
      args.m = std::min(row.block_m, m - i);
      args.row = i;
      args.a = static_cast<const char*>(whole.a) + i * whole.a_pitch * a_bytes;
      if (whole.out != nullptr)
        args.out = static_cast<char*>(whole.out) + (i * whole.out_pitch + j) * out_bytes;
      else
        args.partial = static_cast<float*>(whole.partial) + i * whole.partial_pitch + j;
      row.kernel(args);
    }
  }
}

std::string AttentionRows::text() const {
  std::string out = d_.mask == AttentionMask::none ? "" : d_.mask == AttentionMask::kept ? " bool-mask" : " added-mask";
  if (d_.causal) out += " causal";
  return out;
}

}  // namespace intaglio::ops
