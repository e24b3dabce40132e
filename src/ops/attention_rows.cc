#include "ops/attention_rows.h"

#include <algorithm>
#include <cstring>

#include "base/half.h"

namespace intaglio::ops {

namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
// A part begins where every kernel may begin with a panel and a step of K: kernels of tiles read 64 bytes of K at once.
constexpr std::int64_t kPartGranule = 64;

}  // namespace

AttentionHead AttentionRows::head_of(const AttentionBinding& b, const RunArgs& args, const VisibleKeys& visible,
                                     std::int64_t index) const noexcept {
  AttentionHead head;
  head.batch = index / b.kv_heads;
  head.kv_head = index % b.kv_heads;
  const auto at = [&](const HeadStrides& s) {
    return static_cast<const std::byte*>(args.inputs[s.input]) +
           (s.at + head.batch * s.batch + head.kv_head * s.head) * size_;
  };
  head.k = at(b.k);
  head.v = at(b.v);
  head.keys = visible.of_group(head.batch, head.kv_head);
  head.key_block = even_key_block(head.keys.end - head.keys.begin);
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

AttentionPart AttentionRows::part_of(const KeyRange& seen, const AttentionBlock& block) noexcept {
  const std::int64_t end = block.first + block.keys;
  if (seen.empty() || seen.end <= block.first || seen.begin >= end) return {};
  AttentionPart part;
  const std::int64_t at = std::max<std::int64_t>(seen.begin - block.first, 0) / kPartGranule * kPartGranule;
  part.first = block.first + at;
  part.at = static_cast<std::size_t>(at);
  part.keys = static_cast<std::size_t>(std::min(seen.end, end) - part.first);
  part.opens = seen.begin >= block.first;
  part.closes = seen.end <= end;
  return part;
}

void AttentionRows::begin(const AttentionItem& item) noexcept {
  std::fill_n(item.max, item.rows, kLowest);
  std::fill_n(item.sum, item.rows, 0.0f);
}

// y of a row that has seen no key. The mean is that of all keys of the run, hidden ones too.
void AttentionRows::blind_row(const AttentionBinding& b, const AttentionHead& head, std::byte* y) const noexcept {
  constexpr std::int64_t kColumns = 16;
  for (std::int64_t first = 0; first < b.value_depth; first += kColumns) {
    const std::int64_t columns = std::min(b.value_depth - first, kColumns);
    double sums[kColumns] = {};
    for (std::int64_t j = 0; d_.blind == AttentionBlind::mean && j < b.keys; ++j) {
      const std::byte* row = head.v + (j * b.v.row + first) * size_;
      for (std::int64_t d = 0; d < columns; ++d) {
        sums[d] += d_.dtype == DType::bf16 ? static_cast<double>(to_float(reinterpret_cast<const BFloat16*>(row)[d]))
                                           : static_cast<double>(reinterpret_cast<const float*>(row)[d]);
      }
    }
    for (std::int64_t d = 0; d < columns; ++d) {
      const auto mean = static_cast<float>(sums[d] / static_cast<double>(std::max<std::int64_t>(b.keys, 1)));
      const float value = d_.blind == AttentionBlind::nan ? std::numeric_limits<float>::quiet_NaN() : mean;
      if (d_.dtype == DType::bf16)
        reinterpret_cast<BFloat16*>(y)[first + d] = to_bfloat16(value);
      else
        reinterpret_cast<float*>(y)[first + d] = value;
    }
  }
}

void AttentionRows::finish_blind_rows(const AttentionBinding& b, const AttentionHead& head,
                                      const AttentionItem& item) const noexcept {
  for (std::size_t r = 0; r < item.rows; ++r) {
    if (item.sum[r] != 0.0f) continue;
    std::byte* y = item.y + static_cast<std::int64_t>(r) * b.y.row * size_;
    const std::byte*& known = *head.blind;
    if (known != nullptr) {
      std::memcpy(y, known, static_cast<std::size_t>(b.value_depth * size_));
    } else {
      blind_row(b, head, y);
      known = y;
    }
  }
}

void AttentionRows::soften(const AttentionBinding& b, const AttentionItem& item, const AttentionPart& part,
                           kernels::attention::SoftmaxArgs softmax, std::size_t out_size,
                           kernels::attention::SoftmaxKernel kernel) const noexcept {
  namespace table = kernels::attention;
  const std::size_t keys = part.keys;
  softmax.rows = item.rows;
  softmax.keys = keys;
  softmax.visible = keys;
  softmax.max = item.max;
  softmax.sum = item.sum;
  // Causal: rows before the first key of this part see none of it.
  const std::int64_t reach = item.first + 1 - part.first;
  if (d_.causal && reach < static_cast<std::int64_t>(keys)) {
    softmax.visible_step = 1;
    softmax.visible = static_cast<std::size_t>(std::max<std::int64_t>(reach, 0));
  }
  const std::size_t size = d_.mask == AttentionMask::kept ? 1 : sizeof(float);
  if (d_.mask != AttentionMask::none) {
    softmax.mask = d_.mask == AttentionMask::kept ? table::Mask::kept : table::Mask::added;
    softmax.mask_key_step = static_cast<std::size_t>(b.mask_stride[3]);
    softmax.mask_row_step = static_cast<std::size_t>(b.mask_stride[2]);
    softmax.mask_data =
        static_cast<const std::byte*>(item.mask) + static_cast<std::size_t>(part.first) * softmax.mask_key_step * size;
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
