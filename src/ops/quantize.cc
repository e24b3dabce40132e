#include "ops/quantize.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/quantize_op.h"
#include "ops/simple_candidate.h"
#include "ops/work.h"

namespace intaglio::ops {

std::unique_ptr<Descriptor> make_quantize_descriptor();
void add_quantize_candidates(std::vector<const Candidate*>& out);

namespace {

namespace table = kernels::quantize;

// Elements are [outer, channels, inner]; one scale for each channel (channels == 1: one for all).
struct QuantizeBinding final : Binding {
  std::int64_t count = 0;
  std::int64_t channels = 1;
  std::int64_t inner = 1;
  bool scale_per_channel = false;
  bool zero_per_channel = false;
};

constexpr std::int64_t kGrain = 1024;

// Scale and zero point of a run of elements: pointers are null where one value holds for all.
struct Channels {
  float scale = 1.0f;
  std::int32_t zero = 0;
  const float* scales = nullptr;
  const void* zeros = nullptr;
};

// i32 minus i32 may leave 32 bits; the models' definition subtracts in the integers.
void dequantize_i32(const std::int32_t* x, float* y, std::int64_t count, const Channels& channels) {
  const auto* zeros = static_cast<const std::int32_t*>(channels.zeros);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t zero = zeros != nullptr ? zeros[i] : channels.zero;
    const float scale = channels.scales != nullptr ? channels.scales[i] : channels.scale;
    y[i] = static_cast<float>(static_cast<std::int64_t>(x[i]) - zero) * scale;
  }
}

template <class T>
T at(const void* values, std::int64_t index) {
  return static_cast<const T*>(values)[index];
}

// quantize and dequantize; the dynamic kinds are in quantize_dynamic.cc.
class PreparedQuantize final : public PreparedOp {
 public:
  PreparedQuantize(QuantizeDescriptor descriptor, const Target& target)
      : descriptor_(descriptor), row_(choose_quantize(group_of(descriptor), target.isa)) {}

  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override {
    if (request.inputs.size() != (descriptor_.zero ? 3u : 2u) || request.outputs.size() != 1) {
      return fail(ErrorCode::usage, "a quantisation has the wrong number of operands");
    }
    const Operand& x = request.inputs[0];
    INTAGLIO_CHECK(check_types(request));
    if (x.shape != request.outputs[0].shape) return fail(ErrorCode::usage, "quantising does not change the shape");
    QuantizeBinding binding;
    INTAGLIO_TRY(binding.count, element_count(x.shape));
    // Divide, round, add, clamp; or subtract and multiply.
    binding.flops = (descriptor_.kind == QuantizeKind::quantize ? 4.0 : 2.0) * static_cast<double>(binding.count);
    binding.bytes = operand_bytes(request);
    binding.split = {"elements", binding.count, kGrain};
    INTAGLIO_TRY(const std::int64_t scales, element_count(request.inputs[1].shape));
    std::int64_t zeros = 1;
    if (descriptor_.zero) {
      INTAGLIO_TRY(zeros, element_count(request.inputs[2].shape));
    }
    const auto split = [&](DType type) {
      return Division{.units = binding.count, .grain = kGrain, .item_bytes = size_of(type)};
    };
    binding.touches = {reads(0, 0, split(descriptor_.input)), reads(1, 0), writes(0, 0, split(descriptor_.output))};
    if (descriptor_.zero) binding.touches->push_back(reads(2, 0));
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
    const Range range = share_of(binding.count, kGrain, worker);
    // Along the last axis neighbours have scales of their own: a run ends with the row, not with the channel.
    const bool each = binding.inner == 1;
    const std::int64_t length = each ? binding.channels : binding.inner;
    for (std::int64_t begin = range.begin; begin < range.end;) {
      const std::int64_t end = std::min(range.end, (begin / length + 1) * length);
      convert(args, begin, end, channels_at(binding, args, begin / binding.inner % binding.channels, each));
      begin = end;
    }
    return RunStatus::ok;
  }

  Facts facts() const override {
    if (plain_loop()) return {"dequantize_i32f32", "scalar", ""};
    return {row_->name, row_->isa, ""};
  }

 private:
  DType narrow() const { return descriptor_.kind == QuantizeKind::dequantize ? descriptor_.input : descriptor_.output; }

  Status check_types(const BindRequest& request) const {
    bool good = request.inputs[0].dtype == descriptor_.input && request.outputs[0].dtype == descriptor_.output &&
                request.inputs[1].dtype == DType::f32;
    if (descriptor_.zero) good = good && request.inputs[2].dtype == narrow();
    if (good) return {};
    return fail(ErrorCode::usage, "the operands of a quantisation do not have the types of its descriptor");
  }

  bool plain_loop() const { return descriptor_.input == DType::i32; }

  static table::Group group_of(const QuantizeDescriptor& descriptor) {
    if (descriptor.kind == QuantizeKind::dequantize) {
      return descriptor.input == DType::u8 ? table::Group::dequantize_u8 : table::Group::dequantize_s8;
    }
    return descriptor.output == DType::u8 ? table::Group::quantize_u8 : table::Group::quantize_s8;
  }

  // each: the run goes on through the channels that follow.
  Channels channels_at(const QuantizeBinding& binding, const RunArgs& args, std::int64_t channel, bool each) const {
    Channels channels;
    const std::int64_t scale_at = binding.scale_per_channel ? channel : 0;
    if (each && binding.scale_per_channel)
      channels.scales = static_cast<const float*>(args.inputs[1]) + scale_at;
    else
      channels.scale = at<float>(args.inputs[1], scale_at);
    if (!descriptor_.zero) return channels;
    const std::int64_t zero_at = binding.zero_per_channel ? channel : 0;
    if (each && binding.zero_per_channel) {
      channels.zeros =
          static_cast<const std::byte*>(args.inputs[2]) + zero_at * static_cast<std::int64_t>(size_of(narrow()));
    } else if (narrow() == DType::u8) {
      channels.zero = at<std::uint8_t>(args.inputs[2], zero_at);
    } else if (narrow() == DType::i8) {
      channels.zero = at<std::int8_t>(args.inputs[2], zero_at);
    } else {
      channels.zero = at<std::int32_t>(args.inputs[2], zero_at);
    }
    return channels;
  }

  void convert(const RunArgs& args, std::int64_t begin, std::int64_t end, const Channels& channels) const {
    if (plain_loop()) {
      return dequantize_i32(static_cast<const std::int32_t*>(args.inputs[0]) + begin,
                            static_cast<float*>(args.outputs[0]) + begin, end - begin, channels);
    }
    table::Args call;
    call.source =
        static_cast<const std::byte*>(args.inputs[0]) + begin * static_cast<std::int64_t>(size_of(descriptor_.input));
    call.out =
        static_cast<std::byte*>(args.outputs[0]) + begin * static_cast<std::int64_t>(size_of(descriptor_.output));
    call.count = static_cast<std::size_t>(end - begin);
    call.scale = channels.scale;
    call.zero = channels.zero;
    call.scales = channels.scales;
    call.zeros = channels.zeros;
    row_->kernel(call);
  }

  QuantizeDescriptor descriptor_;
  const table::KernelRow* row_;  // of the 8-bit types; not used for i32
};

class QuantizeCandidate final : public Candidate {
 public:
  std::string_view name() const override { return "intaglio.quantize"; }
  std::string_view family() const override { return "quantize"; }
  std::unique_ptr<Descriptor> make_descriptor() const override { return std::make_unique<QuantizeDescriptor>(); }
  std::optional<std::string> refuses(const Descriptor& descriptor, const Target&) const override {
    if (auto status = descriptor.validate(); !status) return status.error().message;
    return std::nullopt;
  }
  Result<std::vector<Blob>> pack(const Descriptor&, std::span<const Constant>, const Target&) const override {
    return std::vector<Blob>{};
  }
  Result<std::unique_ptr<PreparedOp>> prepare(const Descriptor& descriptor, std::vector<Blob>,
                                              const Target& target) const override {
    INTAGLIO_CHECK(descriptor.validate());
    const auto& d = static_cast<const QuantizeDescriptor&>(descriptor);
    if (is_dynamic(d.kind)) return prepare_dynamic_quantize(d, target);
    return std::make_unique<PreparedQuantize>(d, target);
  }
};

}  // namespace

void SymmetricRule::fields(FieldVisitor& visitor) {
  visitor.field("divisor", divisor);
  visitor.field("least", least);
  visitor.field("by_reciprocal", by_reciprocal);
}

Status SymmetricRule::validate() const {
  if (divisor >= 1.0 && divisor <= 1024.0 && least >= 0.0 && least <= 1e38) return {};
  return fail(ErrorCode::file,
              fmt::format("a symmetric quantisation has a divisor of {} and a least scale of {}", divisor, least));
}

void QuantizeDescriptor::fields(FieldVisitor& visitor) {
  visitor.choice("kind", kind, kQuantizeKinds);
  visitor.field("input", input);
  visitor.field("output", output);
  visitor.field("axis", axis);
  visitor.field("zero", zero);
  rule.fields(visitor);
}

Status QuantizeDescriptor::validate() const {
  const auto narrow = [](DType dtype) { return dtype == DType::u8 || dtype == DType::i8; };
  if ((kind == QuantizeKind::dynamic || kind == QuantizeKind::rows_asymmetric) && output != DType::u8) {
    return fail(ErrorCode::file, "a dynamic quantisation makes u8");
  }
  const bool legal = kind == QuantizeKind::dequantize ? (narrow(input) || input == DType::i32) && output == DType::f32
                     : is_dynamic(kind)               ? (input == DType::f32 || input == DType::bf16) && narrow(output)
                                                      : input == DType::f32 && narrow(output);
  if (!legal)
    return fail(ErrorCode::file,
                fmt::format("quantisation from {} to {} does not exist", name_of(input), name_of(output)));
  if (axis < 0 || axis >= kMaxRank)
    return fail(ErrorCode::file, "a quantisation has an axis outside the supported rank");
  return rule.validate();
}

std::unique_ptr<Descriptor> make_quantize_descriptor() {
  return std::make_unique<QuantizeDescriptor>();
}

void add_quantize_candidates(std::vector<const Candidate*>& out) {
  static const QuantizeCandidate candidate;
  out.push_back(&candidate);
}

}  // namespace intaglio::ops
