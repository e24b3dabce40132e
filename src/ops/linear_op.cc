#include "ops/linear_op.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace intaglio::ops {

namespace gemm = kernels::gemm;

namespace {

// The plan of one concrete M. The prologue (phase 0) exists for integer inputs that the kernel cannot read in place or
// that need sums of their rows; it writes the shared scratch.
struct LinearBinding final : Binding {
  std::size_t m = 0;
  GemmBlocking gemm;
  bool scale_by_row = false;  // x_scale has M elements
  bool zero_by_row = false;   // x_zero has M elements
  bool prologue = false;
  // Offsets in the shared scratch.
  std::size_t flipped = 0;   // u8 [M][K]: x xor 0x80, if the input is i8
  std::size_t row_term = 0;  // i32 [M], if the weights have zero points
  std::size_t row_zero = 0;  // i32 [M], if zero_by_row
};

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// Positions of the run-time operands.
struct Operands {
  explicit Operands(const LinearDescriptor& d) {
    std::size_t next = 1;
    if (d.input_zero) zero = next++;
    if (d.input_scale) scale = next++;
    if (d.residual) residual = next++;
    count = next;
  }
  std::size_t zero = kNone, scale = kNone, residual = kNone, count = 1;
};

// Sum of `count` bytes, eight at a time.
std::uint32_t sum_bytes(const std::uint8_t* from, std::size_t count) {
  constexpr std::uint64_t kLow = 0x00FF00FF00FF00FFull;
  std::uint64_t total = 0;
  while (count >= 8) {
    std::uint64_t lanes = 0;  // four of 16 bits; 128 rounds of two bytes stay below 2^16
    for (int round = 0; round < 128 && count >= 8; ++round, from += 8, count -= 8) {
      std::uint64_t eight;
      std::memcpy(&eight, from, 8);
      lanes += (eight & kLow) + ((eight >> 8) & kLow);
    }
    total += (lanes & 0xFFFF) + (lanes >> 16 & 0xFFFF) + (lanes >> 32 & 0xFFFF) + (lanes >> 48);
  }
  for (; count != 0; --count) total += *from++;
  return static_cast<std::uint32_t>(total);
}

void flip_bytes(const std::uint8_t* from, std::size_t count, std::uint8_t* to) {
  for (; count >= 8; from += 8, to += 8, count -= 8) {
    std::uint64_t eight;
    std::memcpy(&eight, from, 8);
    eight ^= 0x8080808080808080ull;
    std::memcpy(to, &eight, 8);
  }
  for (; count != 0; --count) *to++ = *from++ ^ 0x80;
}

class PreparedLinear final : public PreparedOp {
 public:
  PreparedLinear(const LinearDescriptor& descriptor, const Target& target, std::vector<Blob> blobs)
      : d_(descriptor), target_(target), blobs_(std::move(blobs)), kernels_(choose_gemm(types_of(d_), target.isa)) {}

  // Finds the blobs by layout and checks their sizes.
  Status take_blobs() {
    if (kernels_.many == nullptr) {
      return fail(ErrorCode::file, "linear: no GEMM kernel for this machine", {}, "recompile for this machine");
    }
    INTAGLIO_TRY(const std::size_t weight_bytes, packed_weight_bytes(d_));
    const std::size_t vector_bytes = static_cast<std::size_t>(d_.n) * 4;
    const auto find = [&](std::string_view layout, std::size_t bytes, bool required) -> Result<const std::byte*> {
      for (const Blob& blob : blobs_) {
        if (blob.layout != layout) continue;
        if (blob.bytes == bytes && reinterpret_cast<std::uintptr_t>(blob.data) % 64 == 0) return blob.data;
        return fail(ErrorCode::file,
                    fmt::format("linear: {} has {} bytes, expected {} aligned to 64", layout, blob.bytes, bytes));
      }
      if (!required) return nullptr;
      return fail(ErrorCode::file, fmt::format("linear: the plan holds no {}", layout), {},
                  "recompile for this machine");
    };
    const auto vector = [&]<class T>(const char* layout, bool required, const T*& out) -> Status {
      INTAGLIO_TRY(const std::byte* data, find(layout, vector_bytes, required));
      out = reinterpret_cast<const T*>(data);
      return {};
    };
    INTAGLIO_TRY(weight_, find(gemm::name_of(layout_of(d_)), weight_bytes, true));
    if (d_.weight != DType::f32) {
      INTAGLIO_CHECK(vector(kBlobColumnSum, true, column_sum_));
      INTAGLIO_CHECK(vector(kBlobColumnZero, false, column_zero_));
    }
    if (d_.weight_scale) INTAGLIO_CHECK(vector(kBlobWeightScale, true, weight_scale_));
    if (d_.bias) INTAGLIO_CHECK(vector(kBlobBias, true, bias_));
    return {};
  }

  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override {
    const Operands at(d_);
    INTAGLIO_TRY(const std::size_t m, check_operands(request, at));
    auto binding = std::make_unique<LinearBinding>();
    const auto n = static_cast<std::size_t>(d_.n), k = static_cast<std::size_t>(d_.k);
    binding->m = m;
    binding->gemm = block_gemm(kernels_, m, n, k, request.threads, target_);
    binding->thread_scratch_bytes = binding->gemm.scratch_bytes;
    const auto by_row = [&](std::size_t index) {
      return index != kNone && m != 1 && *element_count(request.inputs[index].shape) != 1;
    };
    binding->zero_by_row = by_row(at.zero);
    binding->scale_by_row = by_row(at.scale);
    const auto reserve = [&](bool needed, std::size_t bytes) {
      const std::size_t offset = binding->shared_scratch_bytes;
      if (needed) binding->shared_scratch_bytes += gemm::round_up(bytes, 64);
      binding->prologue |= needed;
      return offset;
    };
    binding->flipped = reserve(d_.input == DType::i8, m * k);
    binding->row_term = reserve(column_zero_ != nullptr, m * sizeof(std::int32_t));
    binding->row_zero = reserve(binding->zero_by_row, m * sizeof(std::int32_t));
    binding->phases = binding->prologue ? 2 : 1;
    binding->blocking = to_string(binding->gemm);
    binding->flops = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
    binding->bytes = static_cast<double>(m * k * size_of(d_.input) + m * n * 4) +
                     static_cast<double>(gemm::packed_bytes(layout_of(d_), k, n));
    return binding;
  }

  RunStatus run(const Binding& base, const RunArgs& args, const Worker& worker) const noexcept override {
    const auto& binding = static_cast<const LinearBinding&>(base);
    if (binding.prologue && worker.phase == 0) {
      run_prologue(binding, args, worker);
    } else {
      run_product(binding, args, worker);
    }
    return RunStatus::ok;
  }

  // The residual is read right before the same element is written, and partial sums live in scratch.
  bool may_run_in_place(std::size_t index) const override { return index == Operands(d_).residual; }

  Facts facts() const override {
    std::string epilogue;
    const auto add = [&](bool present, std::string_view what) {
      if (present) epilogue += (epilogue.empty() ? "" : ", ") + std::string(what);
    };
    add(d_.input_zero || column_zero_ != nullptr, "zero points");
    add(d_.input_scale || d_.weight_scale || d_.alpha != 1.0, "scale");
    add(d_.bias, "bias");
    add(d_.activation != Activation::none, name_of(d_.activation));
    add(d_.residual, "residual");
    add(d_.clamp, "clamp");
    return {kernels_.many->name, kernels_.many->isa, epilogue};
  }

 private:
  // M, from operands that were checked against the descriptor.
  Result<std::size_t> check_operands(const BindRequest& request, const Operands& at) const {
    const auto bad = [](std::string message) { return fail(ErrorCode::usage, "linear: " + message); };
    if (request.inputs.size() != at.count || request.outputs.size() != 1 || request.threads < 1) {
      return bad(fmt::format("{} inputs and {} outputs, expected {} and 1", request.inputs.size(),
                             request.outputs.size(), at.count));
    }
    const Operand& x = request.inputs[0];
    if (x.dtype != d_.input || x.shape.empty() || x.shape.back() != d_.k) {
      return bad(fmt::format("x is {} {}, expected {} [..., {}]", intaglio::name_of(x.dtype),
                             intaglio::to_string(x.shape), intaglio::name_of(d_.input), d_.k));
    }
    INTAGLIO_CHECK(byte_count(x.shape, x.dtype));
    INTAGLIO_TRY(const std::int64_t m, element_count(std::span(x.shape).first(x.shape.size() - 1)));
    Shape y_shape = x.shape;
    y_shape.back() = d_.n;
    INTAGLIO_TRY(const std::int64_t elements, element_count(y_shape));
    INTAGLIO_CHECK(byte_count(y_shape, d_.output));
    const Operand& y = request.outputs[0];
    if (y.dtype != d_.output || *element_count(y.shape) != elements) {
      return bad(fmt::format("y is {} {}, expected {} {}", intaglio::name_of(y.dtype), intaglio::to_string(y.shape),
                             intaglio::name_of(d_.output), intaglio::to_string(y_shape)));
    }
    const auto check = [&](std::size_t index, std::string_view what, DType dtype, std::int64_t count,
                           bool one) -> Status {
      if (index == kNone) return {};
      const Operand& operand = request.inputs[index];
      INTAGLIO_TRY(const std::int64_t got, element_count(operand.shape));
      if (operand.dtype == dtype && (got == count || (one && got == 1))) return {};
      return bad(fmt::format("{} is {} {}, expected {} with {} elements", what, intaglio::name_of(operand.dtype),
                             intaglio::to_string(operand.shape), intaglio::name_of(dtype), count));
    };
    INTAGLIO_CHECK(check(at.zero, "x_zero", d_.input, m, true));
    INTAGLIO_CHECK(check(at.scale, "x_scale", DType::f32, m, true));
    INTAGLIO_CHECK(check(at.residual, "residual", DType::f32, elements, false));
    return static_cast<std::size_t>(m);
  }

  // The zero point as the kernel sees it: i8 inputs are read as u8, 128 higher.
  std::int32_t zero_at(const RunArgs& args, std::size_t i) const {
    if (!d_.input_zero) return d_.input == DType::i8 ? 128 : 0;
    const void* zero = args.inputs[Operands(d_).zero];
    if (d_.input == DType::i8) return static_cast<const std::int8_t*>(zero)[i] + 128;
    return static_cast<const std::uint8_t*>(zero)[i];
  }

  void run_prologue(const LinearBinding& binding, const RunArgs& args, const Worker& worker) const noexcept {
    const auto k = static_cast<std::size_t>(d_.k);
    const auto* x = static_cast<const std::uint8_t*>(args.inputs[0]);
    auto* flipped = reinterpret_cast<std::uint8_t*>(args.shared_scratch + binding.flipped);
    auto* row_term = reinterpret_cast<std::int32_t*>(args.shared_scratch + binding.row_term);
    auto* row_zero = reinterpret_cast<std::int32_t*>(args.shared_scratch + binding.row_zero);
    const Range rows = share_of(static_cast<std::int64_t>(binding.m), 1, worker);
    for (auto i = static_cast<std::size_t>(rows.begin); i < static_cast<std::size_t>(rows.end); ++i) {
      const std::uint8_t* row = x + i * k;
      if (d_.input == DType::i8) {
        flip_bytes(row, k, flipped + i * k);
        row = flipped + i * k;
      }
      const std::int32_t zero = zero_at(args, binding.zero_by_row ? i : 0);
      if (binding.zero_by_row) row_zero[i] = zero;
      if (column_zero_ == nullptr) continue;
      const std::uint32_t term = sum_bytes(row, k) - static_cast<std::uint32_t>(k) * static_cast<std::uint32_t>(zero);
      row_term[i] = static_cast<std::int32_t>(term);
    }
  }

  void run_product(const LinearBinding& binding, const RunArgs& args, const Worker& worker) const noexcept {
    const Operands at(d_);
    gemm::Epilogue e;
    if (d_.input != DType::f32) {
      if (binding.zero_by_row) {
        e.row_zero = reinterpret_cast<const std::int32_t*>(args.shared_scratch + binding.row_zero);
      } else {
        e.zero = binding.m != 0 ? zero_at(args, 0) : 0;
      }
      if (e.row_zero != nullptr || e.zero != 0) e.column_sum = column_sum_;
      e.column_zero = column_zero_;
      if (column_zero_ != nullptr)
        e.row_term = reinterpret_cast<const std::int32_t*>(args.shared_scratch + binding.row_term);
    }
    e.scaled = d_.input_scale || d_.weight_scale || d_.alpha != 1.0;
    e.scale = static_cast<float>(d_.alpha);
    e.column_scale = weight_scale_;
    if (d_.input_scale) {
      const auto* scale = static_cast<const float*>(args.inputs[at.scale]);
      if (binding.scale_by_row)
        e.row_scale = scale;
      else if (binding.m != 0)
        e.scale = *scale;
    }
    e.bias = bias_;
    e.unary = d_.activation;
    if (d_.residual) e.residual = args.inputs[at.residual];
    e.residual_pitch = static_cast<std::size_t>(d_.n);
    e.clamp = d_.clamp;
    e.clamp_low = static_cast<float>(d_.clamp_low);
    e.clamp_high = static_cast<float>(d_.clamp_high);
    e.out_type = d_.output;

    GemmProblem problem;
    problem.kernels = kernels_;
    problem.blocking = binding.gemm;
    problem.m = binding.m;
    problem.n = problem.out_pitch = static_cast<std::size_t>(d_.n);
    problem.k = problem.a_pitch = static_cast<std::size_t>(d_.k);
    problem.a = d_.input == DType::i8 ? args.shared_scratch + binding.flipped : args.inputs[0];
    problem.b = weight_;
    problem.b_panel = gemm::panel_elements(layout_of(d_), problem.k);
    problem.out = args.outputs[0];
    problem.epilogue = &e;
    problem.scratch = args.thread_scratch;
    run_gemm(problem, worker);
  }

  LinearDescriptor d_;
  Target target_;
  std::vector<Blob> blobs_;
  GemmKernels kernels_;
  const std::byte* weight_ = nullptr;
  const std::int32_t* column_sum_ = nullptr;
  const std::int32_t* column_zero_ = nullptr;
  const float* weight_scale_ = nullptr;
  const float* bias_ = nullptr;
};

}  // namespace

Result<std::size_t> packed_weight_bytes(const LinearDescriptor& d) {
  const auto n = static_cast<std::int64_t>(gemm::round_up(static_cast<std::size_t>(d.n), gemm::kPanelWidth));
  const auto k = static_cast<std::int64_t>(gemm::round_up(static_cast<std::size_t>(d.k), gemm::kInt8KPadding));
  const Shape padded{n, k};
  INTAGLIO_CHECK(byte_count(padded, DType::f32));
  return gemm::packed_bytes(layout_of(d), static_cast<std::size_t>(d.k), static_cast<std::size_t>(d.n));
}

Result<std::unique_ptr<PreparedOp>> prepare_linear(const LinearDescriptor& descriptor, std::vector<Blob> blobs,
                                                   const Target& target) {
  INTAGLIO_CHECK(descriptor.validate());
  auto op = std::make_unique<PreparedLinear>(descriptor, target, std::move(blobs));
  INTAGLIO_CHECK(op->take_blobs());
  return op;
}

}  // namespace intaglio::ops
