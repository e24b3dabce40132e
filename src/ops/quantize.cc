#include "ops/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/alloc.h"
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

struct Extremes {
  float low = 0;
  float high = 0;
};

// Every thread's extremes on a cache line of its own.
constexpr std::size_t kSlot = kAlignment;
constexpr std::int64_t kGrain = 1024;

// Several independent chains, so that the compiler can use vectors; min and max do not depend on the order.
Extremes extremes_of(const float* x, std::int64_t count) {
  constexpr int kChains = 16;
  float low[kChains] = {};
  float high[kChains] = {};
  std::int64_t i = 0;
  for (; i + kChains <= count; i += kChains) {
    for (int j = 0; j < kChains; ++j) {
      low[j] = x[i + j] < low[j] ? x[i + j] : low[j];
      high[j] = x[i + j] > high[j] ? x[i + j] : high[j];
    }
  }
  for (; i < count; ++i) {
    low[0] = x[i] < low[0] ? x[i] : low[0];
    high[0] = x[i] > high[0] ? x[i] : high[0];
  }
  return {*std::min_element(low, low + kChains), *std::max_element(high, high + kChains)};
}

// The clamp comes before the conversion, so it cannot overflow; the first comparison sends NaN to `least`, then to 0.
template <class T>
T quantized(float scaled, float zero) {
  constexpr float kLeast = std::is_signed_v<T> ? -128.0f : 0.0f;
  constexpr float kMost = std::is_signed_v<T> ? 127.0f : 255.0f;
  float value = std::nearbyint(scaled) + zero;
  value = value > kLeast ? value : (value == value ? kLeast : 0.0f);
  value = value < kMost ? value : kMost;
  return static_cast<T>(static_cast<std::int32_t>(value));
}

template <class T>
void quantize_run(const float* x, T* y, std::int64_t count, float scale, float zero) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = quantized<T>(x[i] / scale, zero);
}

template <class T>
void dequantize_run(const T* x, float* y, std::int64_t count, float scale, std::int32_t zero) {
  // i32 minus i32 may leave 32 bits; the models' definition subtracts in the integers.
  for (std::int64_t i = 0; i < count; ++i) {
    y[i] = static_cast<float>(static_cast<std::int64_t>(x[i]) - zero) * scale;
  }
}

template <class T>
T at(const void* values, std::int64_t index) { return static_cast<const T*>(values)[index]; }

class PreparedQuantize final : public PreparedOp {
 public:
  PreparedQuantize(QuantizeDescriptor descriptor, const Target&) : descriptor_(descriptor) {}

  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override {
    const bool dynamic = descriptor_.kind == QuantizeKind::dynamic;
    const std::size_t inputs = dynamic ? 1 : (descriptor_.zero ? 3 : 2);
    if (request.inputs.size() != inputs || request.outputs.size() != (dynamic ? 3u : 1u)) {
      return fail(ErrorCode::usage, "a quantisation has the wrong number of operands");
    }
    const Operand& x = request.inputs[0];
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
    const auto axis = static_cast<std::size_t>(descriptor_.axis);
    binding.scale_per_channel = scales != 1;
    binding.zero_per_channel = zeros != 1;
    if (binding.scale_per_channel || binding.zero_per_channel) {
      if (axis >= x.shape.size() || (scales != 1 && scales != x.shape[axis]) || (zeros != 1 && zeros != x.shape[axis])) {
        return fail(ErrorCode::usage, fmt::format("{} scales and {} zero points do not fit axis {} of {}", scales, zeros, axis, to_string(x.shape)));
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
      if (worker.phase == 0) measure(binding, args, worker);
      else apply(binding, args, worker);
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
    constexpr std::string_view kNames[] = {"dynamic_quantize", "quantize", "dequantize"};
    return {fmt::format("{}_{}_{}", kNames[static_cast<std::size_t>(descriptor_.kind)], name_of(descriptor_.input), name_of(descriptor_.output)), "sse42", ""};
  }

 private:
  static void measure(const QuantizeBinding& binding, const RunArgs& args, const Worker& worker) {
    const Range range = share_of(binding.count, kGrain, worker);
    const auto* x = static_cast<const float*>(args.inputs[0]);
    auto* slot = reinterpret_cast<Extremes*>(args.shared_scratch + static_cast<std::size_t>(worker.index) * kSlot);
    *slot = extremes_of(x + range.begin, range.end - range.begin);
  }

  static void apply(const QuantizeBinding& binding, const RunArgs& args, const Worker& worker) {
    Extremes all;
    for (int i = 0; i < worker.count; ++i) {
      const auto* slot = reinterpret_cast<const Extremes*>(args.shared_scratch + static_cast<std::size_t>(i) * kSlot);
      all.low = std::min(all.low, slot->low);
      all.high = std::max(all.high, slot->high);
    }
    const float scale = all.low == all.high ? 1.0f : (all.high - all.low) / 255.0f;
    const auto zero = quantized<std::uint8_t>(-all.low / scale, 0.0f);
    const Range range = share_of(binding.count, kGrain, worker);
    quantize_run(static_cast<const float*>(args.inputs[0]) + range.begin, static_cast<std::uint8_t*>(args.outputs[0]) + range.begin,
                 range.end - range.begin, scale, static_cast<float>(zero));
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
  void convert(const QuantizeBinding& binding, const RunArgs& args, std::int64_t begin, std::int64_t end, std::int64_t channel) const {
    const float scale = at<float>(args.inputs[1], binding.scale_per_channel ? channel : 0);
    const std::int32_t zero = zero_at(binding, args, channel);
    const std::int64_t count = end - begin;
    if (descriptor_.kind == QuantizeKind::quantize) {
      const float* x = static_cast<const float*>(args.inputs[0]) + begin;
      if (descriptor_.output == DType::u8) quantize_run(x, static_cast<std::uint8_t*>(args.outputs[0]) + begin, count, scale, static_cast<float>(zero));
      else quantize_run(x, static_cast<std::int8_t*>(args.outputs[0]) + begin, count, scale, static_cast<float>(zero));
      return;
    }
    float* y = static_cast<float*>(args.outputs[0]) + begin;
    if (descriptor_.input == DType::u8) dequantize_run(static_cast<const std::uint8_t*>(args.inputs[0]) + begin, y, count, scale, zero);
    else if (descriptor_.input == DType::i8) dequantize_run(static_cast<const std::int8_t*>(args.inputs[0]) + begin, y, count, scale, zero);
    else dequantize_run(static_cast<const std::int32_t*>(args.inputs[0]) + begin, y, count, scale, zero);
  }

  QuantizeDescriptor descriptor_;
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
  const bool legal = kind == QuantizeKind::dequantize ? (narrow(input) || input == DType::i32) && output == DType::f32
                                                      : input == DType::f32 && narrow(output);
  if (!legal) return fail(ErrorCode::file, fmt::format("quantisation from {} to {} does not exist", name_of(input), name_of(output)));
  if (axis < 0 || axis >= kMaxRank) return fail(ErrorCode::file, "a quantisation has an axis outside the supported rank");
  return {};
}

std::unique_ptr<Descriptor> make_quantize_descriptor() { return std::make_unique<QuantizeDescriptor>(); }

void add_quantize_candidates(std::vector<const Candidate*>& out) {
  static const SimpleCandidate<QuantizeDescriptor, PreparedQuantize> candidate("intaglio.quantize", "quantize");
  out.push_back(&candidate);
}

}  // namespace intaglio::ops
