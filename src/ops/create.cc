#include "ops/create.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "ops/fill.h"
#include "ops/simple_candidate.h"
#include "ops/work.h"

namespace intaglio::ops {

std::unique_ptr<Descriptor> make_create_descriptor();
void add_create_candidates(std::vector<const Candidate*>& out);

namespace {

struct CreateBinding final : Binding {
  DType dtype = DType::f32;
  std::int64_t count = 0;
  std::uint64_t bits = 0;            // full
  std::int64_t start = 0, step = 0;  // iota
  std::vector<std::int64_t> values;  // dims
};

template <class T>
void count_up(void* out, const CreateBinding& binding, const Range& range) {
  for (std::int64_t i = range.begin; i < range.end; ++i) {
    // Wraps in the dtype like ATen and ONNX Runtime; the unsigned product has no overflow.
    const auto value =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(binding.start) +
                                  static_cast<std::uint64_t>(i) * static_cast<std::uint64_t>(binding.step));
    static_cast<T*>(out)[i] = static_cast<T>(value);
  }
}

template <class T>
void fill(void* out, std::uint64_t bits, const Range& range) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  std::fill(static_cast<T*>(out) + range.begin, static_cast<T*>(out) + range.end, value);
}

class PreparedCreate final : public PreparedOp {
 public:
  PreparedCreate(CreateDescriptor descriptor, const Target&) : descriptor_(descriptor) {}

  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override {
    if (!request.inputs.empty() || request.outputs.size() != 1)
      return fail(ErrorCode::usage, "nothing goes in and one tensor comes out");
    const Operand& out = request.outputs[0];
    CreateBinding binding;
    binding.dtype = out.dtype;
    INTAGLIO_TRY(binding.count, element_count(out.shape));
    binding.bytes = operand_bytes(request);
    binding.split = {"elements", binding.count, 4096};
    const auto wants = [&](std::size_t params) { return request.params.size() == params; };
    switch (descriptor_.kind) {
      case CreateKind::full:
        binding.bits = element_bits(descriptor_.value, out.dtype);
        break;
      case CreateKind::iota:
        if (!wants(2)) return fail(ErrorCode::usage, "iota wants start and step");
        if (out.dtype != DType::i64 && out.dtype != DType::i32 && out.dtype != DType::f32) {
          return fail(ErrorCode::usage, fmt::format("iota cannot make {}", name_of(out.dtype)));
        }
        binding.start = request.params[0];
        binding.step = request.params[1];
        break;
      case CreateKind::dims:
        if (!wants(static_cast<std::size_t>(binding.count)) || out.dtype != DType::i64) {
          return fail(ErrorCode::usage, "dims wants as many values as the i64 output has elements");
        }
        binding.values.assign(request.params.begin(), request.params.end());
        break;
    }
    const Division split{.units = binding.count, .grain = binding.split.grain, .item_bytes = size_of(out.dtype)};
    binding.touches = {writes(0, 0, split)};
    return bound(std::move(binding));
  }

  RunStatus run(const Binding& base, const RunArgs& args, const Worker& worker) const noexcept override {
    const auto& binding = static_cast<const CreateBinding&>(base);
    const Range range = share_of(binding.count, binding.split.grain, worker);
    if (range.begin >= range.end) return RunStatus::ok;
    void* out = args.outputs[0];
    if (descriptor_.kind == CreateKind::dims) {
      std::memcpy(static_cast<std::int64_t*>(out) + range.begin, binding.values.data() + range.begin,
                  static_cast<std::size_t>(range.end - range.begin) * sizeof(std::int64_t));
    } else if (descriptor_.kind == CreateKind::iota) {
      if (binding.dtype == DType::i64)
        count_up<std::int64_t>(out, binding, range);
      else if (binding.dtype == DType::i32)
        count_up<std::int32_t>(out, binding, range);
      else
        count_up<float>(out, binding, range);
    } else {
      switch (size_of(binding.dtype)) {
        case 1:
          fill<std::uint8_t>(out, binding.bits, range);
          break;
        case 2:
          fill<std::uint16_t>(out, binding.bits, range);
          break;
        case 4:
          fill<std::uint32_t>(out, binding.bits, range);
          break;
        default:
          fill<std::uint64_t>(out, binding.bits, range);
          break;
      }
    }
    return RunStatus::ok;
  }

  Facts facts() const override {
    constexpr std::string_view kNames[] = {"iota", "full", "dims"};
    return {std::string(kNames[static_cast<std::size_t>(descriptor_.kind)]), "scalar", ""};
  }

 private:
  CreateDescriptor descriptor_;
};

}  // namespace

void CreateDescriptor::fields(FieldVisitor& visitor) {
  visitor.choice("kind", kind, kCreateKinds);
  visitor.field("value", value);
}

std::unique_ptr<Descriptor> make_create_descriptor() {
  return std::make_unique<CreateDescriptor>();
}

void add_create_candidates(std::vector<const Candidate*>& out) {
  static const SimpleCandidate<CreateDescriptor, PreparedCreate> candidate("intaglio.create", "create");
  out.push_back(&candidate);
}

}  // namespace intaglio::ops
