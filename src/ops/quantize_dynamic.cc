// Dynamic quantisation: of whole tensors in two phases (extremes, then values), of rows in one.
#include <fmt/format.h>

#include <algorithm>

#include "base/alloc.h"
#include "ops/quantize_op.h"
#include "ops/simple_candidate.h"
#include "ops/work.h"

namespace intaglio::ops {
namespace {

namespace table = kernels::quantize;

// Every thread's extremes (low, high) on a cache line of its own.
constexpr std::size_t kSlot = kAlignment;
constexpr std::int64_t kGrain = 1024;

// rows x length elements; a tensor of one scale is one row.
struct DynamicBinding final : Binding {
  std::int64_t rows = 1;
  std::int64_t length = 0;
};

class DynamicQuantize final : public PreparedOp {
 public:
  DynamicQuantize(const QuantizeDescriptor& descriptor, const Target& target)
      : d_(descriptor),
        by_row_(d_.kind == QuantizeKind::rows_symmetric || d_.kind == QuantizeKind::rows_asymmetric),
        symmetric_(d_.kind == QuantizeKind::rows_symmetric || d_.kind == QuantizeKind::tensor_symmetric),
        extremes_(choose_quantize(d_.input == DType::bf16 ? table::Group::extremes_bf16 : table::Group::extremes,
                                  target.isa)),
        row_(choose_quantize_row(d_.input, target.isa)),
        call_(symmetric_args(d_.rule, d_.output)) {
    if (!symmetric_) call_.rule = table::Rule::asymmetric;
  }

  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override {
    if (request.inputs.size() != 1 || request.outputs.size() != (symmetric_ ? 2u : 3u))
      return fail(ErrorCode::usage, "a dynamic quantisation has the wrong number of operands");
    const Operand& x = request.inputs[0];
    const Operand& y = request.outputs[0];
    if (x.shape != y.shape) return fail(ErrorCode::usage, "quantising does not change the shape");
    DynamicBinding binding;
    INTAGLIO_TRY(const std::int64_t count, element_count(x.shape));
    binding.length = count;
    if (by_row_) {
      if (x.shape.empty()) return fail(ErrorCode::usage, "quantising rows needs an operand of at least one axis");
      binding.length = x.shape.back();
      INTAGLIO_TRY(binding.rows, element_count(std::span(x.shape.data(), x.shape.size() - 1)));
    } else {
      binding.phases = 2;
      binding.shared_scratch_bytes = static_cast<std::size_t>(request.threads) * kSlot;
    }
    bool good = x.dtype == d_.input && y.dtype == d_.output && request.outputs[1].dtype == DType::f32;
    if (!symmetric_) good = good && request.outputs[2].dtype == DType::u8;
    for (const Operand& operand : request.outputs.subspan(1))
      good = good && element_count(operand.shape).value_or(-1) == binding.rows;
    if (!good) {
      return fail(ErrorCode::usage,
                  "the operands of a dynamic quantisation do not have the types or sizes of its descriptor");
    }
    binding.flops = 6.0 * static_cast<double>(count);  // two for the extremes, then as quantize
    binding.bytes = operand_bytes(request);
    binding.split = by_row_ ? ThreadSplit{"rows", binding.rows, 1} : ThreadSplit{"elements", count, kGrain};
    tell_touches(binding);
    binding.blocking = fmt::format("{} rows of {}", binding.rows, binding.length);
    return bound(std::move(binding));
  }

  RunStatus run(const Binding& base, const RunArgs& args, const Worker& worker) const noexcept override {
    const auto& binding = static_cast<const DynamicBinding&>(base);
    if (by_row_)
      rows(binding, args, worker);
    else if (worker.phase == 0)
      measure(binding, args, worker);
    else
      apply(binding, args, worker);
    return RunStatus::ok;
  }

  Facts facts() const override { return {row_->name, row_->isa, ""}; }

 private:
  // Rows are split; of a tensor, elements, and thread 0 writes scale and zero point.
  void tell_touches(DynamicBinding& b) const {
    const auto split = [&](std::size_t of_x, std::size_t of_row) {
      if (by_row_) return Division{.units = b.rows, .item_bytes = of_row};
      return Division{.units = b.length, .grain = kGrain, .item_bytes = of_x};
    };
    const auto length = static_cast<std::size_t>(b.length);
    const std::size_t size = size_of(d_.input);
    const int last = b.phases - 1;
    b.touches.emplace();
    for (int phase = 0; phase < b.phases; ++phase) b.touches->push_back(reads(0, phase, split(size, length * size)));
    b.touches->push_back(writes(0, last, split(1, length)));
    for (int output = 1; output < (symmetric_ ? 2 : 3); ++output) {
      const std::size_t bytes = output == 1 ? sizeof(float) : 1;
      b.touches->push_back(writes(output, last, Division{.units = b.rows, .item_bytes = bytes}));
    }
    if (by_row_) return;
    b.touches->push_back({Touch::Of::shared_scratch, 0, 0, true, std::nullopt});
    b.touches->push_back({Touch::Of::shared_scratch, 0, 1, false, std::nullopt});
  }

  const std::byte* source(const RunArgs& args, std::int64_t element) const {
    return static_cast<const std::byte*>(args.inputs[0]) + static_cast<std::size_t>(element) * size_of(d_.input);
  }

  void rows(const DynamicBinding& binding, const RunArgs& args, const Worker& worker) const {
    const Range range = share_of(binding.rows, 1, worker);
    table::RowArgs call = call_;
    call.count = static_cast<std::size_t>(binding.length);
    for (std::int64_t row = range.begin; row < range.end; ++row) {
      std::int32_t zero = 0;
      call.source = source(args, row * binding.length);
      call.out = static_cast<std::uint8_t*>(args.outputs[0]) + row * binding.length;
      call.scale = static_cast<float*>(args.outputs[1]) + row;
      call.zero = &zero;
      row_->kernel(call);
      if (!symmetric_) static_cast<std::uint8_t*>(args.outputs[2])[row] = static_cast<std::uint8_t>(zero);
    }
  }

  void measure(const DynamicBinding& binding, const RunArgs& args, const Worker& worker) const {
    const Range range = share_of(binding.length, kGrain, worker);
    table::Args call;
    call.source = source(args, range.begin);
    call.out = args.shared_scratch + static_cast<std::size_t>(worker.index) * kSlot;
    call.count = static_cast<std::size_t>(range.size());
    extremes_->kernel(call);
  }

  void apply(const DynamicBinding& binding, const RunArgs& args, const Worker& worker) const {
    float extremes[2] = {0, 0};
    for (int i = 0; i < worker.count; ++i) {
      const auto* slot = reinterpret_cast<const float*>(args.shared_scratch + static_cast<std::size_t>(i) * kSlot);
      extremes[0] = std::min(extremes[0], slot[0]);
      extremes[1] = std::max(extremes[1], slot[1]);
    }
    const Range range = share_of(binding.length, kGrain, worker);
    float scale = 1;
    std::int32_t zero = 0;
    table::RowArgs call = call_;
    call.source = source(args, range.begin);
    call.out = static_cast<std::uint8_t*>(args.outputs[0]) + range.begin;
    call.count = static_cast<std::size_t>(range.size());
    call.extremes = extremes;
    call.scale = &scale;
    call.zero = &zero;
    row_->kernel(call);
    if (worker.index != 0) return;
    *static_cast<float*>(args.outputs[1]) = scale;
    if (!symmetric_) *static_cast<std::uint8_t*>(args.outputs[2]) = static_cast<std::uint8_t>(zero);
  }

  QuantizeDescriptor d_;
  bool by_row_, symmetric_;
  const table::KernelRow* extremes_;
  const table::RowKernelRow* row_;
  table::RowArgs call_;  // what is the same in all calls
};

}  // namespace

std::unique_ptr<PreparedOp> prepare_dynamic_quantize(const QuantizeDescriptor& descriptor, const Target& target) {
  return std::make_unique<DynamicQuantize>(descriptor, target);
}

}  // namespace intaglio::ops
