#include "ops/quantize.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/alloc.h"
#include "kernels/quantize/table.h"
#include "ops/kernel_choice.h"
#include "ops/simple_candidate.h"

namespace intaglio::ops {

std::unique_ptr<Descriptor> make_quantize_descriptor();
void add_quantize_candidates(std::vector<const Candidate*>& out);

namespace {

// Elements are [outer, channels, inner]; one scale for each channel (channels == 1: one for all).
struct QuantizeBinding final : Binding {
  std::int64_t count = 0;
  std::int64_t channels = 1;
  std::int64_t inner = 1;
  bool scale_per_channel = false;
  bool zero_per_channel = false;
};

namespace table = kernels::quantize;

// Every thread's extremes (low, high) on a cache line of its own.
constexpr std::size_t kSlot = kAlignment;
constexpr std::int64_t kGrain = 1024;

// i32 minus i32 may leave 32 bits; the models' definition subtracts in the integers.
void dequantize_i32(const std::int32_t* x, float* y, std::int64_t count, float scale, std::int32_t zero) {
  for (std::int64_t i = 0; i < count; ++i) {
    y[i] = static_cast<float>(static_cast<std::int64_t>(x[i]) - zero) * scale;
  }
}

template <class T>
T at(const void* values, std::int64_t index) {
  return static_cast<const T*>(values)[index];
}

class PreparedQuantize final : public PreparedOp {
 public:
  PreparedQuantize(QuantizeDescriptor descriptor, const Target& target)
      : descriptor_(descriptor),
        extremes_(choose(table::Group::extremes, target.isa)),
        row_(choose(group_of(descriptor), target.isa)) {}

  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override {
    const bool dynamic = descriptor_.kind == QuantizeKind::dynamic;
    const std::size_t inputs = dynamic ? 1 : (descriptor_.zero ? 3 : 2);
    if (request.inputs.size() != inputs || request.outputs.size() != (dynamic ? 3u : 1u)) {
      return fail(ErrorCode::usage, "a quantisation has the wrong number of operands");
    }
    const Operand& x = request.inputs[0];
    INTAGLIO_CHECK(check_types(request));
    if (x.shape != request.outputs[0].shape) return fail(ErrorCode::usage, "quantising does not change the shape");
    QuantizeBinding binding;
    INTAGLIO_TRY(binding.count, element_count(x.shape));
    binding.bytes = static_cast<double>(binding.count) * 5;
    if (dynamic) {
      binding.phases = 2;
      binding.shared_scratch_bytes = static_cast<std::size_t>(request.threads) * kSlot;
      return bound(std::move(binding));
    }
    INTAGLIO_TRY(const std::int64_t scales, element_count(request.inputs[1].shape));
    std::int64_t zeros = 1;
    if (descriptor_.zero) {
      INTAGLIO_TRY(zeros, element_count(request.inputs[2].shape));
    }
    if (binding.count == 0) return bound(std::move(binding));
    const auto axis = static_cast<std::size_t>(descriptor_.axis);
    binding.scale_per_channel = scales != 1;
    binding.zero_per_channel = zeros != 1;
    if (binding.scale_per_channel || binding.zero_per_channel) {
      if (axis >= x.shape.size() || (scales != 1 && scales != x.shape[axis]) ||
          (zeros != 1 && zeros != x.shape[axis])) {
        return fail(ErrorCode::usage, fmt::format("{} scales and {} zero points do not fit axis {} of {}", scales,
                                                  zeros, axis, to_string(x.shape)));
      }
      binding.channels = x.shape[axis];
      for (std::size_t i = axis + 1; i < x.shape.size(); ++i) binding.inner *= x.shape[i];
    } else {
      binding.inner = std::max<std::int64_t>(binding.count, 1);
    }
    return bound(std::move(binding));
  }

  RunStatus run(const Binding& base, const RunArgs& args, const Worker& worker) const noexcept override {
    const auto& binding = static_cast<const QuantizeBinding&>(base);
    if (descriptor_.kind == QuantizeKind::dynamic) {
      if (worker.phase == 0)
        measure(binding, args, worker);
      else
        apply(binding, args, worker);
      return RunStatus::ok;
    }
    const Range range = share_of(binding.count, kGrain, worker);
    for (std::int64_t begin = range.begin; begin < range.end;) {
      const std::int64_t end = std::min(range.end, (begin / binding.inner + 1) * binding.inner);
      const std::int64_t channel = begin / binding.inner % binding.channels;
      convert(binding, args, begin, end, channel);
      begin = end;
    }
    return RunStatus::ok;
  }

  Facts facts() const override {
    if (plain_loop()) return {"dequantize_i32f32", "scalar", ""};
    return {row_->name, row_->isa, ""};
  }

 private:
  Status check_types(const BindRequest& request) const {
    const bool dynamic = descriptor_.kind == QuantizeKind::dynamic;
    const DType narrow = descriptor_.kind == QuantizeKind::dequantize ? descriptor_.input : descriptor_.output;
    bool good = request.inputs[0].dtype == descriptor_.input && request.outputs[0].dtype == descriptor_.output;
    const auto scale_and_zero = [&](std::span<const Operand> operands) {
      if (!operands.empty()) good = good && operands[0].dtype == DType::f32;
      if (operands.size() > 1) good = good && operands[1].dtype == narrow;
      for (const Operand& operand : operands)
        good = good && (!dynamic || element_count(operand.shape).value_or(0) == 1);
    };
    scale_and_zero(dynamic ? request.outputs.subspan(1) : request.inputs.subspan(1));
    if (good) return {};
    return fail(ErrorCode::usage, "the operands of a quantisation do not have the types or sizes of its descriptor");
  }

  bool plain_loop() const { return descriptor_.input == DType::i32; }

  static table::Group group_of(const QuantizeDescriptor& descriptor) {
    if (descriptor.kind == QuantizeKind::dequantize) {
      return descriptor.input == DType::u8 ? table::Group::dequantize_u8 : table::Group::dequantize_s8;
    }
    return descriptor.output == DType::u8 ? table::Group::quantize_u8 : table::Group::quantize_s8;
  }
  // The scalar row if the set names no level at all.
  static const table::KernelRow* choose(table::Group group, IsaSet isa) {
    const IsaSet set{isa.bits | isa_bit(Isa::scalar)};
    return best_row(table::kKernels, table::kKernelCount, set, [&](const auto& row) { return row.group == group; });
  }

  static const float* slot_of(const RunArgs& args, int index) {
    return reinterpret_cast<const float*>(args.shared_scratch + static_cast<std::size_t>(index) * kSlot);
  }

  void measure(const QuantizeBinding& binding, const RunArgs& args, const Worker& worker) const {
    const Range range = share_of(binding.count, kGrain, worker);
    const auto* x = static_cast<const float*>(args.inputs[0]);
    extremes_->kernel({x + range.begin, args.shared_scratch + static_cast<std::size_t>(worker.index) * kSlot,
                       static_cast<std::size_t>(range.size()), 1.0f, 0});
  }

  void apply(const QuantizeBinding& binding, const RunArgs& args, const Worker& worker) const {
    float low = 0;
    float high = 0;
    for (int i = 0; i < worker.count; ++i) {
      low = std::min(low, slot_of(args, i)[0]);
      high = std::max(high, slot_of(args, i)[1]);
    }
    const float scale = low == high ? 1.0f : (high - low) / 255.0f;
    const float lowest = -low;
    std::uint8_t zero = 0;
    row_->kernel({&lowest, &zero, 1, scale, 0});
    const Range range = share_of(binding.count, kGrain, worker);
    row_->kernel({static_cast<const float*>(args.inputs[0]) + range.begin,
                  static_cast<std::uint8_t*>(args.outputs[0]) + range.begin, static_cast<std::size_t>(range.size()),
                  scale, zero});
    if (worker.index != 0) return;
    *static_cast<float*>(args.outputs[1]) = scale;
    *static_cast<std::uint8_t*>(args.outputs[2]) = zero;
  }

  std::int32_t zero_at(const QuantizeBinding& binding, const RunArgs& args, std::int64_t channel) const {
    if (!descriptor_.zero) return 0;
    const std::int64_t index = binding.zero_per_channel ? channel : 0;
    const DType dtype = descriptor_.kind == QuantizeKind::quantize ? descriptor_.output : descriptor_.input;
    if (dtype == DType::u8) return at<std::uint8_t>(args.inputs[2], index);
    if (dtype == DType::i8) return at<std::int8_t>(args.inputs[2], index);
    return at<std::int32_t>(args.inputs[2], index);
  }

  // Elements [begin, end), all of one channel.
  void convert(const QuantizeBinding& binding, const RunArgs& args, std::int64_t begin, std::int64_t end,
               std::int64_t channel) const {
    const float scale = at<float>(args.inputs[1], binding.scale_per_channel ? channel : 0);
    const std::int32_t zero = zero_at(binding, args, channel);
    if (plain_loop()) {
      return dequantize_i32(static_cast<const std::int32_t*>(args.inputs[0]) + begin,
                            static_cast<float*>(args.outputs[0]) + begin, end - begin, scale, zero);
    }
    const auto* x =
        static_cast<const std::byte*>(args.inputs[0]) + begin * static_cast<std::int64_t>(size_of(descriptor_.input));
    auto* y = static_cast<std::byte*>(args.outputs[0]) + begin * static_cast<std::int64_t>(size_of(descriptor_.output));
    row_->kernel({x, y, static_cast<std::size_t>(end - begin), scale, zero});
  }

  QuantizeDescriptor descriptor_;
  const table::KernelRow* extremes_;  // dynamic
  const table::KernelRow* row_;       // of the 8-bit types; not used for i32
};

}  // namespace

void QuantizeDescriptor::fields(FieldVisitor& visitor) {
  visitor.choice("kind", kind, kQuantizeKinds);
  visitor.field("input", input);
  visitor.field("output", output);
  visitor.field("axis", axis);
  visitor.field("zero", zero);
}

Status QuantizeDescriptor::validate() const {
  const auto narrow = [](DType dtype) { return dtype == DType::u8 || dtype == DType::i8; };
  if (kind == QuantizeKind::dynamic && output != DType::u8) {
    return fail(ErrorCode::file, "a dynamic quantisation makes u8");
  }
  const bool legal = kind == QuantizeKind::dequantize ? (narrow(input) || input == DType::i32) && output == DType::f32
                                                      : input == DType::f32 && narrow(output);
  if (!legal)
    return fail(ErrorCode::file,
                fmt::format("quantisation from {} to {} does not exist", name_of(input), name_of(output)));
  if (axis < 0 || axis >= kMaxRank)
    return fail(ErrorCode::file, "a quantisation has an axis outside the supported rank");
  return {};
}

std::unique_ptr<Descriptor> make_quantize_descriptor() {
  return std::make_unique<QuantizeDescriptor>();
}

void add_quantize_candidates(std::vector<const Candidate*>& out) {
  static const SimpleCandidate<QuantizeDescriptor, PreparedQuantize> candidate("intaglio.quantize", "quantize");
  out.push_back(&candidate);
}

}  // namespace intaglio::ops
