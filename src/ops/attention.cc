#include "ops/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention/table.h"
#include "ops/attention_binding.h"
#include "ops/kernel_choice.h"
#include "ops/linear_loops.h"

namespace intaglio::ops {
namespace {

namespace table = kernels::attention;
namespace gemm = kernels::gemm;

using Size = std::size_t;
constexpr float kLowest = -std::numeric_limits<float>::infinity();

struct AttentionKernels {
  const gemm::KernelRow* gemm = nullptr;
  const table::SoftmaxRow* softmax = nullptr;
  const table::MoveRow* move[4] = {};  // indexed by Move
};

AttentionKernels choose_attention(IsaSet isa) {
  const IsaSet set{isa.bits | isa_bit(Isa::scalar)};
  AttentionKernels kernels;
  kernels.gemm = choose_gemm(gemm::Types::f32, set, kManyRows);
  kernels.softmax = best_row(table::kSoftmaxKernels, table::kSoftmaxKernelCount, set, [](const auto&) { return true; });
  for (const table::Move move :
       {table::Move::pack_keys, table::Move::pack_values, table::Move::dot, table::Move::mix}) {
    kernels.move[static_cast<Size>(move)] =
        best_row(table::kMoveKernels, table::kMoveKernelCount, set, [&](const auto& row) { return row.move == move; });
  }
  return kernels;
}

// C[m x n] (+)= A[m x k] B, cut into calls of the kernel; columns outside, so that a strip of B serves all rows from
// L1.
void multiply(const gemm::KernelRow& row, gemm::Args args, Size m, Size n) {
  const gemm::Args whole = args;
  const auto step = [](auto* p, Size elements) { return p == nullptr ? p : p + elements; };
  for (Size j = 0; j < n; j += row.block_n) {
    args.n = std::min(row.block_n, n - j);
    args.column = j;
    args.b = static_cast<const char*>(whole.b) + j / gemm::kPanelWidth * whole.b_panel;
    for (Size i = 0; i < m; i += row.block_m) {
      args.m = std::min(row.block_m, m - i);
      args.row = i;
      args.a = static_cast<const float*>(whole.a) + i * whole.a_pitch;
      args.partial = step(static_cast<float*>(whole.partial), i * whole.partial_pitch + j);
      args.out = step(static_cast<float*>(whole.out), i * whole.out_pitch + j);
      row.kernel(args);
    }
  }
}

// One (batch, key head) of one run.
struct Head {
  const float* k = nullptr;
  const float* v = nullptr;
  std::int64_t batch = 0, kv_head = 0;
};

// One block of query rows of one head against one block of keys.
struct Item {
  const float* q = nullptr;
  float* y = nullptr;
  const void* mask = nullptr;  // of the first row and key 0
  std::int64_t first = 0;      // query row
  Size rows = 0;
  float *max = nullptr, *sum = nullptr;
};

class AttentionOp final : public PreparedOp {
 public:
  AttentionOp(const AttentionDescriptor& descriptor, const Target& target)
      : d_(descriptor), kernels_(choose_attention(target.isa)) {}
  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override {
    INTAGLIO_TRY(std::unique_ptr<const Binding> binding, bind_attention(d_, request, kernels_.gemm->block_m));
    return binding;
  }
  RunStatus run(const Binding& binding, const RunArgs& args, const Worker& worker) const noexcept override;
  Facts facts() const override {
    const char* mask = d_.mask == AttentionMask::none   ? ""
                       : d_.mask == AttentionMask::kept ? " bool-mask"
                                                        : " added-mask";
    return {kernels_.gemm->name, kernels_.gemm->isa,
            fmt::format("{}{}{}", kernels_.softmax->name, mask, d_.causal ? " causal" : ""), Products::f32};
  }

 private:
  void run_head(const AttentionBinding& b, const RunArgs& args, std::int64_t head, std::int64_t begin,
                std::int64_t end) const noexcept;
  Item item_of(const AttentionBinding& b, const RunArgs& args, const Head& head, std::int64_t index,
               std::int64_t slot) const noexcept;
  void pack(const AttentionBinding& b, const RunArgs& args, const Head& head, Size first, Size keys) const noexcept;
  void attend(const AttentionBinding& b, const RunArgs& args, const Head& head, const Item& item,
              std::int64_t block) const noexcept;
  void soften(const AttentionBinding& b, const Item& item, float* scores, float* rescale, Size first,
              Size keys) const noexcept;
  void score(const AttentionBinding& b, const RunArgs& args, const Head& head, const Item& item, Size first,
             Size keys) const noexcept;
  void mix(const AttentionBinding& b, const RunArgs& args, const Head& head, const Item& item, Size first, Size keys,
           bool last) const noexcept;
  void move(table::Move which, const table::MoveArgs& args) const noexcept {
    kernels_.move[static_cast<Size>(which)]->kernel(args);
  }
  // The factor of a finished row.
  float weight(float sum) const noexcept {
    return sum == 0.0f ? (d_.safe ? 0.0f : std::numeric_limits<float>::quiet_NaN()) : 1.0f / sum;
  }

  AttentionDescriptor d_;
  AttentionKernels kernels_;
};

RunStatus AttentionOp::run(const Binding& binding, const RunArgs& args, const Worker& worker) const noexcept {
  const auto& b = static_cast<const AttentionBinding&>(binding);
  if (b.kv_heads == 0) return RunStatus::ok;  // no element of y
  const std::int64_t items = b.items();
  const Range share = share_of(b.split.total, b.split.grain, worker);
  for (std::int64_t unit = share.begin; unit < share.end;) {
    const std::int64_t head = unit / items;
    const std::int64_t end = std::min(share.end, (head + 1) * items);
    run_head(b, args, head, unit - head * items, end - head * items);
    unit = end;
  }
  return RunStatus::ok;
}

Item AttentionOp::item_of(const AttentionBinding& b, const RunArgs& args, const Head& head, std::int64_t index,
                          std::int64_t slot) const noexcept {
  const std::int64_t h = head.kv_head * (b.heads / b.kv_heads) + index / b.query_blocks;
  Item item;
  item.first = index % b.query_blocks * b.query_block;
  item.rows = static_cast<Size>(std::min(b.query_block, b.queries - item.first));
  const auto at = [&](const HeadStrides& s) { return head.batch * s.batch + h * s.head + item.first * s.row; };
  item.q = static_cast<const float*>(args.inputs[b.q.input]) + b.q.at + at(b.q);
  item.y = static_cast<float*>(args.outputs[0]) + at(b.y);
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

void AttentionOp::run_head(const AttentionBinding& b, const RunArgs& args, std::int64_t head_index, std::int64_t begin,
                           std::int64_t end) const noexcept {
  Head head;
  head.batch = head_index / b.kv_heads;
  head.kv_head = head_index % b.kv_heads;
  head.k =
      static_cast<const float*>(args.inputs[b.k.input]) + b.k.at + head.batch * b.k.batch + head.kv_head * b.k.head;
  head.v =
      static_cast<const float*>(args.inputs[b.v.input]) + b.v.at + head.batch * b.v.batch + head.kv_head * b.v.head;
  for (std::int64_t i = begin; i < end; ++i) {
    const Item item = item_of(b, args, head, i, i - begin);
    std::fill_n(item.max, item.rows, kLowest);
    std::fill_n(item.sum, item.rows, 0.0f);
    if (b.keys != 0) continue;
    for (Size r = 0; r < item.rows; ++r) {
      std::fill_n(item.y + static_cast<std::int64_t>(r) * b.y.row, b.value_depth, weight(0.0f) * 0.0f);
    }
  }
  for (std::int64_t block = 0; block < b.key_blocks; ++block) {
    const auto first = static_cast<Size>(block * b.key_block);
    if (!b.direct)
      pack(b, args, head, first, std::min(static_cast<Size>(b.key_block), static_cast<Size>(b.keys) - first));
    for (std::int64_t i = begin; i < end; ++i) attend(b, args, head, item_of(b, args, head, i, i - begin), block);
  }
}

void AttentionOp::pack(const AttentionBinding& b, const RunArgs& args, const Head& head, Size first,
                       Size keys) const noexcept {
  table::MoveArgs move_args;
  move_args.keys = keys;
  move_args.source = head.k + static_cast<std::int64_t>(first) * b.k.row;
  move_args.pitch = static_cast<Size>(b.k.row);
  move_args.depth = static_cast<Size>(b.depth);
  move_args.out = reinterpret_cast<float*>(args.thread_scratch);
  move(table::Move::pack_keys, move_args);
  move_args.source = head.v + static_cast<std::int64_t>(first) * b.v.row;
  move_args.pitch = static_cast<Size>(b.v.row);
  move_args.depth = static_cast<Size>(b.value_depth);
  move_args.out = reinterpret_cast<float*>(args.thread_scratch + b.values_at);
  move(table::Move::pack_values, move_args);
}

void AttentionOp::attend(const AttentionBinding& b, const RunArgs& args, const Head& head, const Item& item,
                         std::int64_t block) const noexcept {
  const std::int64_t first = block * b.key_block;
  // The keys that the last row sees; nothing is computed beyond them.
  const std::int64_t seen = d_.causal ? std::min(b.keys, item.first + static_cast<std::int64_t>(item.rows)) : b.keys;
  if (first >= seen) return;
  const auto keys = static_cast<Size>(std::min(b.key_block, seen - first));
  auto* scores = reinterpret_cast<float*>(args.thread_scratch + b.scores_at);
  auto* rescale = reinterpret_cast<float*>(args.thread_scratch + b.rescale_at);
  score(b, args, head, item, static_cast<Size>(first), keys);
  soften(b, item, scores, rescale, static_cast<Size>(first), keys);
  if (block != 0) {
    for (Size r = 0; r < item.rows; ++r) {
      float* y = item.y + static_cast<std::int64_t>(r) * b.y.row;
      if (rescale[r] != 1.0f) {
        for (std::int64_t d = 0; d < b.value_depth; ++d) y[d] *= rescale[r];
      }
    }
  }
  mix(b, args, head, item, static_cast<Size>(first), keys, first + b.key_block >= seen);
}

void AttentionOp::score(const AttentionBinding& b, const RunArgs& args, const Head& head, const Item& item, Size first,
                        Size keys) const noexcept {
  auto* scores = reinterpret_cast<float*>(args.thread_scratch + b.scores_at);
  if (b.direct) {
    table::MoveArgs dot;
    dot.source = head.k + static_cast<std::int64_t>(first) * b.k.row;
    dot.pitch = static_cast<Size>(b.k.row);
    dot.keys = keys;
    dot.depth = static_cast<Size>(b.depth);
    for (Size r = 0; r < item.rows; ++r) {
      dot.weights = item.q + static_cast<std::int64_t>(r) * b.q.row;
      dot.out = scores + r * b.pitch;
      move(table::Move::dot, dot);
    }
    return;
  }
  gemm::Args product;
  product.k = static_cast<Size>(b.depth);
  product.a = item.q;
  product.a_pitch = static_cast<Size>(b.q.row);
  product.b = args.thread_scratch;
  product.b_panel = gemm::panel_bytes(gemm::Layout::panels16_f32, product.k);
  product.partial = scores;
  product.partial_pitch = b.pitch;
  multiply(*kernels_.gemm, product, item.rows, keys);
}

void AttentionOp::soften(const AttentionBinding& b, const Item& item, float* scores, float* rescale, Size first,
                         Size keys) const noexcept {
  table::SoftmaxArgs softmax;
  softmax.scores = scores;
  softmax.pitch = b.pitch;
  softmax.rows = item.rows;
  softmax.keys = keys;
  softmax.visible = keys;
  softmax.scale = static_cast<float>(d_.scale);
  softmax.max = item.max;
  softmax.sum = item.sum;
  softmax.rescale = rescale;
  // Causal: rows before the first key of this block see none of it.
  const std::int64_t reach = item.first + 1 - static_cast<std::int64_t>(first);
  if (d_.causal && reach < static_cast<std::int64_t>(keys)) {
    softmax.visible_step = 1;
    softmax.visible = static_cast<Size>(std::max<std::int64_t>(reach, 0));
  }
  if (d_.mask != AttentionMask::none) {
    softmax.mask = d_.mask == AttentionMask::kept ? table::Mask::kept : table::Mask::added;
    const Size size = d_.mask == AttentionMask::kept ? 1 : sizeof(float);
    softmax.mask_key_step = static_cast<Size>(b.mask_stride[3]);
    softmax.mask_row_step = static_cast<Size>(b.mask_stride[2]);
    softmax.mask_data = static_cast<const std::byte*>(item.mask) + first * softmax.mask_key_step * size;
  }
  if (reach >= 0 || !d_.causal) return kernels_.softmax->kernel(softmax);
  // Some rows lie wholly before the block: one call for them, one for the rest.
  table::SoftmaxArgs before = softmax;
  before.rows = std::min(item.rows, static_cast<Size>(-reach));
  before.visible_step = 0;
  kernels_.softmax->kernel(before);
  softmax.rows -= before.rows;
  softmax.scores += before.rows * b.pitch;
  softmax.max += before.rows;
  softmax.sum += before.rows;
  softmax.rescale += before.rows;
  if (softmax.mask_data != nullptr) {
    const Size size = d_.mask == AttentionMask::kept ? 1 : sizeof(float);
    softmax.mask_data = static_cast<const std::byte*>(softmax.mask_data) + before.rows * softmax.mask_row_step * size;
  }
  if (softmax.rows != 0) kernels_.softmax->kernel(softmax);
}

void AttentionOp::mix(const AttentionBinding& b, const RunArgs& args, const Head& head, const Item& item, Size first,
                      Size keys, bool last) const noexcept {
  auto* scores = reinterpret_cast<float*>(args.thread_scratch + b.scores_at);
  if (b.direct) {
    table::MoveArgs sum;
    sum.source = head.v + static_cast<std::int64_t>(first) * b.v.row;
    sum.pitch = static_cast<Size>(b.v.row);
    sum.keys = keys;
    sum.depth = static_cast<Size>(b.value_depth);
    sum.accumulate = first != 0;
    for (Size r = 0; r < item.rows; ++r) {
      sum.weights = scores + r * b.pitch;
      sum.out = item.y + static_cast<std::int64_t>(r) * b.y.row;
      move(table::Move::mix, sum);
    }
  } else {
    gemm::Args product;
    product.k = keys;
    product.a = scores;
    product.a_pitch = b.pitch;
    product.b = args.thread_scratch + b.values_at;
    const Size packed = std::min(static_cast<Size>(b.key_block), static_cast<Size>(b.keys) - first);
    product.b_panel = gemm::panel_bytes(gemm::Layout::panels16_f32, packed);
    product.partial = item.y;
    product.partial_pitch = static_cast<Size>(b.y.row);
    product.load_partial = first != 0;
    multiply(*kernels_.gemm, product, item.rows, static_cast<Size>(b.value_depth));
  }
  if (!last) return;
  for (Size r = 0; r < item.rows; ++r) {
    float* y = item.y + static_cast<std::int64_t>(r) * b.y.row;
    const float factor = weight(item.sum[r]);
    for (std::int64_t d = 0; d < b.value_depth; ++d) y[d] *= factor;
  }
}

class AttentionCandidate final : public Candidate {
 public:
  std::string_view name() const override { return "intaglio.attention_f32"; }
  std::string_view family() const override { return "attention"; }
  std::optional<std::string> refuses(const Descriptor& descriptor, const Target&) const override {
    if (auto status = descriptor.validate(); !status) return status.error().message;
    const DType dtype = static_cast<const AttentionDescriptor&>(descriptor).dtype;
    if (dtype != DType::f32) return fmt::format("f32 only, not {}", name_of(dtype));
    return std::nullopt;
  }
  Result<std::vector<Blob>> pack(const Descriptor&, std::span<const Constant>, const Target&) const override {
    return std::vector<Blob>{};
  }
  Result<std::unique_ptr<PreparedOp>> prepare(const Descriptor& descriptor, std::vector<Blob>,
                                              const Target& target) const override {
    if (const auto why = refuses(descriptor, target)) return fail(ErrorCode::unsupported, "attention: " + *why);
    return std::make_unique<AttentionOp>(static_cast<const AttentionDescriptor&>(descriptor), target);
  }
};

}  // namespace

void AttentionDescriptor::fields(FieldVisitor& visitor) {
  visitor.field("dtype", dtype);
  visitor.choice("layout", layout, 3);
  visitor.field("heads", heads);
  visitor.field("kv_heads", kv_heads);
  visitor.choice("mask", mask, 3);
  visitor.field("scale", scale);
  visitor.field("causal", causal);
  visitor.field("safe", safe);
}
Status AttentionDescriptor::validate() const {
  if (!is_floating(dtype)) return fail(ErrorCode::unsupported, fmt::format("attention of {}", name_of(dtype)));
  const bool packed = layout == AttentionLayout::packed;
  constexpr std::int64_t kMostHeads = 1 << 20;
  if (packed && (heads < 1 || kv_heads < 1 || heads > kMostHeads || heads % kv_heads != 0)) {
    return fail(ErrorCode::usage, fmt::format("attention: {} heads are no multiple of {} key heads", heads, kv_heads));
  }
  return {};
}

std::unique_ptr<Descriptor> make_attention_descriptor() {
  return std::make_unique<AttentionDescriptor>();
}
void add_attention_candidates(std::vector<const Candidate*>& out) {
  static const AttentionCandidate candidate;
  out.push_back(&candidate);
}

}  // namespace intaglio::ops
