#include "ops/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention/table.h"
#include "ops/attention_rows.h"
#include "ops/kernel_choice.h"
#include "ops/linear_loops.h"

namespace intaglio::ops {
namespace {

namespace table = kernels::attention;
namespace gemm = kernels::gemm;

using Size = std::size_t;

struct AttentionKernels {
  const gemm::KernelRow* gemm = nullptr;
  const table::SoftmaxRow* softmax = nullptr;
  const table::MoveRow* move[4] = {};  // indexed by Move
};

AttentionKernels choose_attention(IsaSet isa) {
  const IsaSet set{isa.bits | isa_bit(Isa::scalar)};
  AttentionKernels kernels;
  kernels.gemm = choose_gemm(gemm::Types::f32, set, kManyRows);
  kernels.softmax = best_row(table::kSoftmaxKernels, table::kSoftmaxKernelCount, set,
                             [](const auto& row) { return row.type == table::Probabilities::f32; });
  for (const table::Move move :
       {table::Move::pack_keys, table::Move::pack_values, table::Move::dot, table::Move::mix}) {
    kernels.move[static_cast<Size>(move)] =
        best_row(table::kMoveKernels, table::kMoveKernelCount, set, [&](const auto& row) { return row.move == move; });
  }
  return kernels;
}

const float* row_of(const std::byte* base, const HeadStrides& strides, Size row) {
  return reinterpret_cast<const float*>(base) + static_cast<std::int64_t>(row) * strides.row;
}
float* row_of(std::byte* base, const HeadStrides& strides, Size row) {
  return reinterpret_cast<float*>(base) + static_cast<std::int64_t>(row) * strides.row;
}

class AttentionOp final : public PreparedOp {
 public:
  AttentionOp(const AttentionDescriptor& descriptor, const Target& target)
      : d_(descriptor), rows_(descriptor), kernels_(choose_attention(target.isa)) {}
  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override {
    INTAGLIO_TRY(std::unique_ptr<AttentionBinding> binding, bind_attention(d_, request, kernels_.gemm->block_m));
    if (binding->kv_heads != 0) reserve(*binding);
    return std::unique_ptr<const Binding>(std::move(binding));
  }
  RunStatus run(const Binding& binding, const RunArgs& args, const Worker& worker) const noexcept override;
  Facts facts() const override {
    return {kernels_.gemm->name, kernels_.gemm->isa, kernels_.softmax->name + rows_.text(), Products::f32};
  }

 private:
  static void reserve(AttentionBinding& b);
  void pack(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head, Size first,
            Size keys) const noexcept;
  void attend(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head, const AttentionItem& item,
              const AttentionPart& part, Size packed) const noexcept;
  void score(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head, const AttentionItem& item,
             const AttentionPart& part) const noexcept;
  void mix(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head, const AttentionItem& item,
           const AttentionPart& part, Size packed) const noexcept;
  void move(table::Move which, const table::MoveArgs& args) const noexcept {
    kernels_.move[static_cast<Size>(which)]->kernel(args);
  }

  AttentionDescriptor d_;
  AttentionRows rows_;
  AttentionKernels kernels_;
};

// Thread scratch. bind_attention has bounded every product below by tensors that exist.
void AttentionOp::reserve(AttentionBinding& b) {
  const auto floats = [](std::int64_t count) { return gemm::round_up(static_cast<Size>(count), 16) * sizeof(float); };
  const auto columns = static_cast<std::int64_t>(gemm::round_up(static_cast<Size>(b.value_depth), 16));
  b.values_at = b.direct ? 0 : floats(b.key_block * b.depth);
  b.scores_at = b.values_at + (b.direct ? 0 : floats(b.key_block * columns));
  b.state_at = b.scores_at + floats(b.query_block * static_cast<std::int64_t>(b.pitch));
  b.rescale_at = b.state_at + 2 * floats(b.items() * b.query_block);
  b.reserve_scratch(b.rescale_at + floats(b.query_block));
}

RunStatus AttentionOp::run(const Binding& binding, const RunArgs& args, const Worker& worker) const noexcept {
  const auto& b = static_cast<const AttentionBinding&>(binding);
  if (b.kv_heads == 0) return RunStatus::ok;  // no element of y
  Size packed = 0;
  for_each_part(
      rows_, b, args, worker,
      [&](const AttentionHead& head, const AttentionBlock& block, Size needed) {
        packed = needed;
        if (!b.direct) pack(b, args, head, static_cast<Size>(block.first), needed);
      },
      [&](const AttentionHead& head, const AttentionItem& item, const AttentionPart& part) {
        attend(b, args, head, item, part, packed);
      });
  return RunStatus::ok;
}

void AttentionOp::pack(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head, Size first,
                       Size keys) const noexcept {
  table::MoveArgs move_args;
  move_args.keys = keys;
  move_args.source = row_of(head.k, b.k, first);
  move_args.pitch = static_cast<Size>(b.k.row);
  move_args.depth = static_cast<Size>(b.depth);
  move_args.out = reinterpret_cast<float*>(args.thread_scratch);
  move(table::Move::pack_keys, move_args);
  move_args.source = row_of(head.v, b.v, first);
  move_args.pitch = static_cast<Size>(b.v.row);
  move_args.depth = static_cast<Size>(b.value_depth);
  move_args.out = reinterpret_cast<float*>(args.thread_scratch + b.values_at);
  move(table::Move::pack_values, move_args);
}

void AttentionOp::attend(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head,
                         const AttentionItem& item, const AttentionPart& part, Size packed) const noexcept {
  auto* scores = reinterpret_cast<float*>(args.thread_scratch + b.scores_at);
  auto* rescale = reinterpret_cast<float*>(args.thread_scratch + b.rescale_at);
  score(b, args, head, item, part);
  table::SoftmaxArgs softmax;
  softmax.scores = scores;
  softmax.pitch = b.pitch;
  softmax.scale = static_cast<float>(d_.scale);
  softmax.rescale = rescale;
  rows_.soften(b, item, part, softmax, 0, kernels_.softmax->kernel);
  if (!part.opens) {
    for (Size r = 0; r < item.rows; ++r) {
      float* y = row_of(item.y, b.y, r);
      if (rescale[r] != 1.0f) {
        for (std::int64_t d = 0; d < b.value_depth; ++d) y[d] *= rescale[r];
      }
    }
  }
  mix(b, args, head, item, part, packed);
}

void AttentionOp::score(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head,
                        const AttentionItem& item, const AttentionPart& part) const noexcept {
  auto* scores = reinterpret_cast<float*>(args.thread_scratch + b.scores_at);
  if (b.direct) {
    table::MoveArgs dot;
    dot.source = row_of(head.k, b.k, static_cast<Size>(part.first));
    dot.pitch = static_cast<Size>(b.k.row);
    dot.keys = part.keys;
    dot.depth = static_cast<Size>(b.depth);
    for (Size r = 0; r < item.rows; ++r) {
      dot.weights = row_of(item.q, b.q, r);
      dot.out = scores + r * b.pitch;
      move(table::Move::dot, dot);
    }
    return;
  }
  gemm::Args product;
  product.k = static_cast<Size>(b.depth);
  product.a = item.q;
  product.a_pitch = static_cast<Size>(b.q.row);
  product.b_panel = gemm::panel_bytes(gemm::Layout::panels16_f32, product.k);
  product.b = args.thread_scratch + part.at / gemm::kPanelWidth * product.b_panel;
  product.partial = scores;
  product.partial_pitch = b.pitch;
  multiply_blocks(*kernels_.gemm, product, item.rows, part.keys, sizeof(float), sizeof(float));
}

void AttentionOp::mix(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head,
                      const AttentionItem& item, const AttentionPart& part, Size packed) const noexcept {
  auto* scores = reinterpret_cast<float*>(args.thread_scratch + b.scores_at);
  if (b.direct) {
    table::MoveArgs sum;
    sum.source = row_of(head.v, b.v, static_cast<Size>(part.first));
    sum.pitch = static_cast<Size>(b.v.row);
    sum.keys = part.keys;
    sum.depth = static_cast<Size>(b.value_depth);
    sum.accumulate = !part.opens;
    for (Size r = 0; r < item.rows; ++r) {
      sum.weights = scores + r * b.pitch;
      sum.out = row_of(item.y, b.y, r);
      move(table::Move::mix, sum);
    }
  } else {
    gemm::Args product;
    product.k = part.keys;
    product.a = scores;
    product.a_pitch = b.pitch;
    product.b = args.thread_scratch + b.values_at + part.at * gemm::kPanelWidth * sizeof(float);
    product.b_panel = gemm::panel_bytes(gemm::Layout::panels16_f32, packed);
    product.partial = item.y;
    product.partial_pitch = static_cast<Size>(b.y.row);
    product.load_partial = !part.opens;
    multiply_blocks(*kernels_.gemm, product, item.rows, static_cast<Size>(b.value_depth), sizeof(float), sizeof(float));
  }
  if (!part.closes) return;
  for (Size r = 0; r < item.rows; ++r) {
    float* y = row_of(item.y, b.y, r);
    const float factor = rows_.weight(item.sum[r]);
    for (std::int64_t d = 0; d < b.value_depth; ++d) y[d] *= factor;
  }
  rows_.finish_blind_rows(b, head, item);
}

class AttentionCandidate final : public Candidate {
 public:
  std::string_view name() const override { return "intaglio.attention"; }
  std::string_view family() const override { return "attention"; }
  std::optional<std::string> refuses(const Descriptor& descriptor, const Target&) const override {
    if (auto status = descriptor.validate(); !status) return status.error().message;
    const DType dtype = static_cast<const AttentionDescriptor&>(descriptor).dtype;
    if (dtype != DType::f32 && dtype != DType::bf16) return fmt::format("f32 and bf16 only, not {}", name_of(dtype));
    return std::nullopt;
  }
  Result<std::vector<Blob>> pack(const Descriptor&, std::span<const Constant>, const Target&) const override {
    return std::vector<Blob>{};
  }
  Result<std::unique_ptr<PreparedOp>> prepare(const Descriptor& descriptor, std::vector<Blob>,
                                              const Target& target) const override {
    if (const auto why = refuses(descriptor, target)) return fail(ErrorCode::unsupported, "attention: " + *why);
    const auto& d = static_cast<const AttentionDescriptor&>(descriptor);
    if (d.compute == AttentionCompute::int8 || d.dtype != DType::f32) return prepare_narrow_attention(d, target);
    return std::make_unique<AttentionOp>(d, target);
  }
};

}  // namespace

void AttentionDescriptor::fields(FieldVisitor& visitor) {
  visitor.field("dtype", dtype);
  visitor.choice("layout", layout, 3);
  visitor.field("heads", heads);
  visitor.field("kv_heads", kv_heads);
  visitor.choice("compute", compute, 2);
  visitor.choice("mask", mask, 3);
  visitor.field("scale", scale);
  visitor.field("causal", causal);
  visitor.choice("blind", blind, 3);
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
