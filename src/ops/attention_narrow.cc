// Attention with bf16 or 8-bit products. Keys and values of a head are packed once a thread and block of keys, as the B
// operands of kernels/gemm; rows of q are the A of the first product, probabilities that of the second.
//
// Thread scratch: packed keys at 0, packed values, scores (f32), state of the rows, and AttentionBinding::Narrow:
//   queries        rows of q as A, where they cannot be read in place: of one item, or of all that a thread holds where
//                  they meet several blocks of keys
//   probabilities  rows of A of the second product; the scores themselves where A is f32
//   sums           f32 results so far [item][row][value depth], with more than one block of keys
//   weights        1 / sum of the item's rows
//   query_scale, key_scale, value_scale, key_start (-128 * the key's sum: rows of q are stored with 128 added)
//   staging        16 keys as dense rows, for packing
//   widened        bf16 values as f32, for their quantisation
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "ops/attention_rows.h"
#include "ops/float_rows.h"
#include "ops/linear_loops.h"
#include "ops/quantize_op.h"

namespace intaglio::ops {
namespace {

namespace table = kernels::attention;
namespace gemm = kernels::gemm;
using Size = std::size_t;

struct NarrowKernels {
  gemm::Types types{};
  gemm::LayoutFacts layout{};
  gemm::Layout packed{};
  const gemm::KernelRow* gemm = nullptr;
  const table::SoftmaxRow* softmax = nullptr;
  const table::ValuesRow* values = nullptr;
  const table::MoveRow* pack_keys = nullptr;  // moves 4 bytes at a time: pairs of bf16, four 8-bit integers
  const kernels::quantize::RowKernelRow* quantize = nullptr;
  ElementwiseKernels convert;
};

NarrowKernels choose_narrow(const AttentionDescriptor& d, IsaSet isa) {
  const IsaSet set{isa.bits | isa_bit(Isa::scalar)};
  const bool int8 = d.compute == AttentionCompute::int8;
  NarrowKernels kernels;
  kernels.types = int8 ? gemm::Types::u8s8i32 : float_types(DType::bf16, DType::bf16, set);
  kernels.packed = int8 ? gemm::Layout::panels16x4_s8 : gemm::Layout::panels16x2_bf16;
  kernels.gemm = choose_gemm(kernels.types, set, kManyRows);
  const auto type = int8                                    ? table::Probabilities::u8
                    : kernels.types == gemm::Types::f32bf16 ? table::Probabilities::f32
                                                            : table::Probabilities::bf16;
  kernels.softmax = best_row(table::kSoftmaxKernels, table::kSoftmaxKernelCount, set,
                             [&](const auto& row) { return row.type == type; });
  const auto values = int8 ? table::Values::s8 : table::Values::bf16;
  kernels.values = best_row(table::kValuesKernels, table::kValuesKernelCount, set,
                            [&](const auto& row) { return row.type == values; });
  kernels.pack_keys = best_row(table::kMoveKernels, table::kMoveKernelCount, set,
                               [](const auto& row) { return row.move == table::Move::pack_keys; });
  kernels.quantize = choose_quantize_row(d.dtype, set);
  kernels.convert = choose_elementwise(set);
  return kernels;
}

class NarrowAttention final : public PreparedOp {
 public:
  NarrowAttention(const AttentionDescriptor& descriptor, const Target& target)
      : d_(descriptor), rows_(descriptor), kernels_(choose_narrow(descriptor, target.isa)) {
    quantize_args_ = symmetric_args(SymmetricRule{}, DType::i8);
  }

  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override;
  RunStatus run(const Binding& binding, const RunArgs& args, const Worker& worker) const noexcept override {
    const auto& b = static_cast<const AttentionBinding&>(binding);
    if (b.kv_heads == 0) return RunStatus::ok;  // no element of y
    if (kernels_.gemm->enter != nullptr) kernels_.gemm->enter();
    Size packed = 0;
    for_each_part(
        rows_, b, args, worker,
        [&](const AttentionHead& head, const AttentionBlock& block, Size needed) {
          packed = pack(b, args, head, block, needed);
        },
        [&](const AttentionHead& head, const AttentionItem& item, const AttentionPart& part) {
          attend(b, args, head, item, part, packed);
        });
    if (kernels_.gemm->leave != nullptr) kernels_.gemm->leave();
    return RunStatus::ok;
  }
  Facts facts() const override {
    return {kernels_.gemm->name, kernels_.gemm->isa,
            std::string(kernels_.softmax->name) + rows_.text() + (d_.dtype == DType::bf16 ? ", bf16" : ""),
            products_of(kernels_.types)};
  }

 private:
  bool int8() const { return d_.compute == AttentionCompute::int8; }
  Size element() const { return size_of(d_.dtype); }
  Size a_bytes() const { return gemm::facts_of(kernels_.types).a_bytes; }
  Size panel(Size k) const { return gemm::panel_bytes(kernels_.packed, k); }
  void reserve(AttentionBinding& b) const;
  Size pack(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head, const AttentionBlock& block,
            Size needed) const noexcept;
  void pack_keys(const AttentionBinding& b, const RunArgs& args, const std::byte* k, Size keys) const noexcept;
  void pack_values(const AttentionBinding& b, const RunArgs& args, const std::byte* v, Size keys) const noexcept;
  gemm::Args queries(const AttentionBinding& b, const RunArgs& args, const AttentionItem& item,
                     bool fresh) const noexcept;
  void attend(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head, const AttentionItem& item,
              const AttentionPart& part, Size packed) const noexcept;
  void mix(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head, const AttentionItem& item,
           const AttentionPart& part, Size packed) const noexcept;
  void finish(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head,
              const AttentionItem& item) const noexcept;
  void quantise_row(const std::byte* source, Size count, bool plus128, std::byte* out, float* scale,
                    std::int32_t* sum) const noexcept;
  template <class T>
  static T* at(const RunArgs& args, Size offset) {
    return reinterpret_cast<T*>(args.thread_scratch + offset);
  }
  float* sums_of(const AttentionBinding& b, const RunArgs& args, const AttentionItem& item) const noexcept {
    return at<float>(args, b.narrow.sums) + item.slot * b.query_block * b.value_depth;
  }
  float* query_scale_of(const AttentionBinding& b, const RunArgs& args, const AttentionItem& item) const noexcept {
    return at<float>(args, b.narrow.query_scale) + query_slot(b, item) * static_cast<Size>(b.query_block);
  }
  static Size query_slot(const AttentionBinding& b, const AttentionItem& item) {
    return b.key_blocks > 1 ? static_cast<Size>(item.slot) : 0;
  }

  AttentionDescriptor d_;
  AttentionRows rows_;
  NarrowKernels kernels_;
  kernels::quantize::RowArgs quantize_args_;
};

Result<std::unique_ptr<const Binding>> NarrowAttention::bind(const BindRequest& request) const {
  // Rows whose block is large (AMX) take any number of rows in steps of two tiles.
  const Size granule = std::min<Size>(kernels_.gemm->block_m, 32);
  INTAGLIO_TRY(std::unique_ptr<AttentionBinding> binding, bind_attention(d_, request, granule));
  if (binding->kv_heads != 0) reserve(*binding);
  return std::unique_ptr<const Binding>(std::move(binding));
}

// bind_attention has bounded every product below by tensors that exist.
void NarrowAttention::reserve(AttentionBinding& b) const {
  b.direct = false;
  const auto keys = static_cast<Size>(b.key_block), depth = static_cast<Size>(b.depth),
             value_depth = static_cast<Size>(b.value_depth), rows = static_cast<Size>(b.query_block);
  const Size slots = static_cast<Size>(b.items());
  Size total = 0;
  const auto take = [&](Size bytes) {
    const Size offset = total;
    total += gemm::round_up(bytes, 64);
    return offset;
  };
  take(gemm::panel_count(keys) * panel(depth));  // keys at 0
  b.values_at = take(gemm::panel_count(value_depth) * panel(keys));
  b.scores_at = take(rows * b.pitch * sizeof(float));
  b.state_at = take(2 * slots * rows * sizeof(float));
  b.rescale_at = take(rows * sizeof(float));
  AttentionBinding::Narrow& n = b.narrow;
  const Size padded_depth = gemm::round_up(depth, 64);
  n.query_pitch = padded_depth + 64 / a_bytes();
  const Size query_slots = b.key_blocks > 1 ? slots : 1;
  n.queries = take(kernels_.types == gemm::Types::bf16 ? 0 : query_slots * rows * n.query_pitch * a_bytes());
  n.probability_pitch = gemm::round_up(keys, 64) + 64 / a_bytes();
  const bool in_scores = kernels_.softmax->type == table::Probabilities::f32;
  if (in_scores) n.probability_pitch = b.pitch;
  n.probabilities = in_scores ? b.scores_at : take(rows * n.probability_pitch * a_bytes());
  n.sums = take(b.key_blocks > 1 ? slots * rows * value_depth * sizeof(float) : 0);
  n.weights = take(rows * sizeof(float));
  n.query_scale = take(int8() ? query_slots * rows * sizeof(float) : 0);
  n.key_scale = take(int8() ? (keys + 16) * sizeof(float) : 0);
  n.key_start = take(int8() ? (keys + 16) * sizeof(std::int32_t) : 0);
  n.value_scale = take(int8() ? (value_depth + 16) * sizeof(float) : 0);
  n.staging = take(16 * padded_depth * 2);
  n.widened = take(int8() && d_.dtype == DType::bf16 ? keys * value_depth * sizeof(float) : 0);
  b.reserve_scratch(total);
}

// Returns how many keys are packed then. The scales of 8-bit values are those of the whole block, whoever needs it;
// what kernels read of K beyond the needed keys must not depend on the share either.
Size NarrowAttention::pack(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head,
                           const AttentionBlock& block, Size needed) const noexcept {
  const Size all = static_cast<Size>(block.keys), some = std::min(all, gemm::round_up(needed, gemm::kInt8KPadding));
  const std::int64_t size = static_cast<std::int64_t>(element());
  pack_keys(b, args, head.k + block.first * b.k.row * size, some);
  const Size values = int8() ? all : some;
  pack_values(b, args, head.v + block.first * b.v.row * size, values);
  return values;
}

void NarrowAttention::quantise_row(const std::byte* source, Size count, bool plus128, std::byte* out, float* scale,
                                   std::int32_t* sum) const noexcept {
  kernels::quantize::RowArgs row = quantize_args_;
  std::int32_t zero = 0;
  row.source = source;
  row.out = reinterpret_cast<std::uint8_t*>(out);
  row.count = count;
  row.plus128 = plus128;
  row.scale = scale;
  row.zero = &zero;
  row.sums = sum;
  kernels_.quantize->kernel(row);
}

// Panels of 16 keys: their rows, as they are or quantised, are a matrix of 4-byte units to be transposed.
void NarrowAttention::pack_keys(const AttentionBinding& b, const RunArgs& args, const std::byte* k,
                                Size keys) const noexcept {
  const auto depth = static_cast<Size>(b.depth), pitch = static_cast<Size>(b.k.row);
  const Size bytes = panel(depth), row_bytes = bytes / gemm::kPanelWidth;  // of one key, padded
  // Inputs of the caller are aligned to their elements only, not to the pairs that are moved.
  const bool aligned = reinterpret_cast<std::uintptr_t>(k) % alignof(float) == 0;
  const bool in_place = !int8() && depth * 2 == row_bytes && pitch % 2 == 0 && aligned;
  auto* staging = at<std::byte>(args, b.narrow.staging);
  table::MoveArgs move;
  move.depth = row_bytes / sizeof(float);
  for (Size j = 0; j < keys; j += gemm::kPanelWidth) {
    const Size count = std::min(gemm::kPanelWidth, keys - j);
    const std::byte* rows = k + j * pitch * element();
    for (Size i = 0; i < count && !in_place; ++i) {
      std::byte* out = staging + i * row_bytes;
      const std::byte* row = rows + i * pitch * element();
      if (int8()) {
        std::int32_t sum = 0;
        quantise_row(row, depth, false, out, at<float>(args, b.narrow.key_scale) + j + i, &sum);
        at<std::int32_t>(args, b.narrow.key_start)[j + i] =
            static_cast<std::int32_t>(0u - 128u * static_cast<std::uint32_t>(sum));
        std::memset(out + depth, 0, row_bytes - depth);
      } else {
        std::memcpy(out, row, depth * 2);
        std::memset(out + depth * 2, 0, row_bytes - depth * 2);
      }
    }
    move.keys = count;
    move.source = reinterpret_cast<const float*>(in_place ? rows : staging);
    move.pitch = in_place ? pitch / 2 : move.depth;
    move.out = at<float>(args, j / gemm::kPanelWidth * bytes);
    kernels_.pack_keys->kernel(move);
  }
}

void NarrowAttention::pack_values(const AttentionBinding& b, const RunArgs& args, const std::byte* v,
                                  Size keys) const noexcept {
  table::ValuesArgs values;
  values.source = v;
  values.pitch = static_cast<Size>(b.v.row);
  values.keys = keys;
  values.depth = static_cast<Size>(b.value_depth);
  values.out = at<std::byte>(args, b.values_at);
  values.panel = panel(keys);
  if (int8()) values.scale = at<float>(args, b.narrow.value_scale);
  if (int8() && d_.dtype == DType::bf16) {
    auto* widened = at<float>(args, b.narrow.widened);
    for (Size j = 0; j < keys; ++j) {
      convert_elements(kernels_.convert, d_.dtype, v + j * values.pitch * 2, DType::f32, widened + j * values.depth,
                       values.depth);
    }
    values.source = widened;
    values.pitch = values.depth;
  }
  kernels_.values->kernel(values);
}

// The item's rows of q as A; what there is to do for that is done if they are fresh.
gemm::Args NarrowAttention::queries(const AttentionBinding& b, const RunArgs& args, const AttentionItem& item,
                                    bool fresh) const noexcept {
  gemm::Args product;
  const auto depth = static_cast<Size>(b.depth), pitch = static_cast<Size>(b.q.row);
  product.k = depth;
  product.a = item.q;
  product.a_pitch = pitch;
  if (kernels_.types == gemm::Types::bf16) return product;
  product.a_pitch = b.narrow.query_pitch;
  auto* out = at<std::byte>(args, b.narrow.queries) +
              query_slot(b, item) * static_cast<Size>(b.query_block) * product.a_pitch * a_bytes();
  product.a = out;
  if (!fresh) return product;
  float* scale = query_scale_of(b, args, item);
  for (Size r = 0; r < item.rows; ++r) {
    const std::byte* row = item.q + r * pitch * element();
    std::byte* to = out + r * product.a_pitch * a_bytes();
    if (int8())
      quantise_row(row, depth, true, to, scale + r, nullptr);
    else
      convert_elements(kernels_.convert, d_.dtype, row, DType::f32, to, depth);
  }
  return product;
}

void NarrowAttention::attend(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head,
                             const AttentionItem& item, const AttentionPart& part, Size packed) const noexcept {
  gemm::Args product = queries(b, args, item, part.opens);
  auto* scores = at<float>(args, b.scores_at);
  gemm::Epilogue scaled;
  product.b_panel = panel(product.k);
  product.b = args.thread_scratch + part.at / gemm::kPanelWidth * product.b_panel;
  product.partial = scores;
  product.partial_pitch = b.pitch;
  if (int8()) {
    scaled.column_start = at<std::int32_t>(args, b.narrow.key_start) + part.at;
    scaled.scaled = true;
    scaled.row_scale = query_scale_of(b, args, item);
    scaled.column_scale = at<float>(args, b.narrow.key_scale) + part.at;
    product.epilogue = &scaled;
    product.out = scores;
    product.out_pitch = b.pitch;
  }
  multiply_blocks(*kernels_.gemm, product, item.rows, part.keys, a_bytes(), sizeof(float));
  table::SoftmaxArgs softmax;
  softmax.scores = scores;
  softmax.pitch = b.pitch;
  softmax.scale = static_cast<float>(d_.scale);
  softmax.rescale = at<float>(args, b.rescale_at);
  softmax.out = at<std::byte>(args, b.narrow.probabilities);
  softmax.out_pitch = b.narrow.probability_pitch;
  rows_.soften(b, item, part, softmax, a_bytes(), kernels_.softmax->kernel);
  mix(b, args, head, item, part, packed);
}

// Probabilities by values: straight to y if this is the only block of keys, else added to the sums so far.
void NarrowAttention::mix(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head,
                          const AttentionItem& item, const AttentionPart& part, Size packed) const noexcept {
  const auto depth = static_cast<Size>(b.value_depth);
  gemm::Args product;
  product.k = part.keys;
  product.a = at<std::byte>(args, b.narrow.probabilities);
  product.a_pitch = b.narrow.probability_pitch;
  product.b = at<std::byte>(args, b.values_at + part.at * gemm::kPanelWidth * (int8() ? 1 : 2));
  product.b_panel = panel(packed);
  gemm::Epilogue epilogue;
  if (int8()) {
    epilogue.scaled = true;
    epilogue.column_scale = at<float>(args, b.narrow.value_scale);
  }
  product.epilogue = &epilogue;
  if (part.opens && part.closes) {
    auto* weights = at<float>(args, b.narrow.weights);
    for (Size r = 0; r < item.rows; ++r) weights[r] = rows_.weight(item.sum[r]);
    epilogue.scaled = true;
    epilogue.row_scale = weights;
    epilogue.out_type = d_.dtype;
    product.out = item.y;
    product.out_pitch = static_cast<Size>(b.y.row);
    multiply_blocks(*kernels_.gemm, product, item.rows, depth, a_bytes(), element());
    return rows_.finish_blind_rows(b, head, item);
  }
  float* sums = sums_of(b, args, item);
  if (!part.opens) {
    const auto* rescale = at<float>(args, b.rescale_at);
    for (Size r = 0; r < item.rows; ++r) {
      if (rescale[r] == 1.0f) continue;
      for (Size d = 0; d < depth; ++d) sums[r * depth + d] *= rescale[r];
    }
    epilogue.residual = sums;
    epilogue.residual_pitch = depth;
  }
  product.out = sums;
  product.out_pitch = depth;
  multiply_blocks(*kernels_.gemm, product, item.rows, depth, a_bytes(), sizeof(float));
  if (part.closes) finish(b, args, head, item);
}

void NarrowAttention::finish(const AttentionBinding& b, const RunArgs& args, const AttentionHead& head,
                             const AttentionItem& item) const noexcept {
  float* sums = sums_of(b, args, item);
  const auto depth = static_cast<Size>(b.value_depth);
  for (Size r = 0; r < item.rows; ++r) {
    float* row = sums + r * depth;
    const float weight = rows_.weight(item.sum[r]);
    for (Size d = 0; d < depth; ++d) row[d] *= weight;
    std::byte* y = item.y + static_cast<std::int64_t>(r) * b.y.row * static_cast<std::int64_t>(element());
    if (d_.dtype == DType::f32)
      std::memcpy(y, row, depth * sizeof(float));
    else
      convert_elements(kernels_.convert, DType::f32, row, d_.dtype, y, depth);
  }
  rows_.finish_blind_rows(b, head, item);
}

}  // namespace

Result<std::unique_ptr<PreparedOp>> prepare_narrow_attention(const AttentionDescriptor& descriptor,
                                                             const Target& target) {
  return std::make_unique<NarrowAttention>(descriptor, target);
}

}  // namespace intaglio::ops
