// The prepared linear: takes its packed weights, binds concrete shapes, runs the phases.
#include "ops/linear_op.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/alloc.h"
#include "ops/linear_prologue.h"
#include "ops/work.h"

namespace intaglio::ops {

namespace gemm = kernels::gemm;

namespace {

class PreparedLinear final : public PreparedOp {
 public:
  PreparedLinear(const LinearDescriptor& descriptor, const Target& target, std::vector<Blob> blobs)
      : d_(descriptor), target_(target), types_(types_of(d_, target.isa)), blobs_(std::move(blobs)) {}

  // Finds the blobs by layout and checks their sizes; makes what depends on them and on the machine.
  Status take_blobs();

  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override;

  RunStatus run(const Binding& base, const RunArgs& args, const Worker& worker) const noexcept override {
    const auto& binding = static_cast<const LinearBinding&>(base);
    switch (binding.phase[worker.phase]) {
      case LinearPhase::measure:
        prologue_->measure(binding, args, worker);
        break;
      case LinearPhase::prepare:
        prologue_->prepare(binding, args, worker);
        break;
      case LinearPhase::multiply:
        multiply(binding, args, worker);
        break;
      case LinearPhase::join:
        join_row_max(binding, args, worker);
        break;
    }
    return RunStatus::ok;
  }

  // The residual is read right before the same element is written, and partial sums live in scratch.
  bool may_run_in_place(std::size_t index) const override {
    return index == LinearOperands(d_).residual && size_of(d_.residual_type) == size_of(d_.output);
  }

  Facts facts() const override;

 private:
  Result<const std::byte*> find(std::string_view layout, std::size_t bytes, bool required) const;
  Result<std::size_t> check_operands(const BindRequest& request, const LinearOperands& at) const;
  void reserve_scratch(LinearBinding& binding, std::size_t threads) const;
  void tell_touches(LinearBinding& binding, const LinearOperands& at) const;
  void add_zero_points(const LinearBinding& binding, const RunArgs& args, const Worker& worker,
                       gemm::Epilogue& e) const noexcept;
  void add_scales(const LinearBinding& binding, const RunArgs& args, const Worker& worker,
                  gemm::Epilogue& e) const noexcept;
  void add_rest(const RunArgs& args, gemm::Epilogue& e) const noexcept;
  void multiply(const LinearBinding& binding, const RunArgs& args, const Worker& worker) const noexcept;
  void join_row_max(const LinearBinding& binding, const RunArgs& args, const Worker& worker) const noexcept;

  LinearDescriptor d_;
  Target target_;
  gemm::Types types_;
  std::vector<Blob> blobs_;
  std::optional<LinearPrologue> prologue_;
  const std::byte* weight_ = nullptr;
  const std::int32_t* column_sum_ = nullptr;
  const std::int32_t* column_zero_ = nullptr;
  const float* weight_scale_ = nullptr;
  const float* bias_ = nullptr;
  gemm::GroupTable groups_;
  Buffer starts_;  // i32 [N]: takes away what kernels add to symmetric activations, 128 times the column's sum
};

Result<const std::byte*> PreparedLinear::find(std::string_view layout, std::size_t bytes, bool required) const {
  for (const Blob& blob : blobs_) {
    if (blob.layout != layout) continue;
    if (blob.bytes == bytes && reinterpret_cast<std::uintptr_t>(blob.data) % 64 == 0) return blob.data;
    return fail(ErrorCode::file,
                fmt::format("linear: {} has {} bytes, expected {} aligned to 64", layout, blob.bytes, bytes));
  }
  if (!required) return nullptr;
  return fail(ErrorCode::file, fmt::format("linear: the plan holds no {}", layout), {}, "recompile for this machine");
}

Status PreparedLinear::take_blobs() {
  if (choose_gemm(types_, target_.isa, kManyRows) == nullptr) {
    return fail(ErrorCode::file, "linear: no GEMM kernel for this machine", {}, "recompile for this machine");
  }
  const auto k = static_cast<std::size_t>(d_.k), n = static_cast<std::size_t>(d_.n);
  INTAGLIO_TRY(const std::size_t weight_bytes, packed_weight_bytes(d_));
  const auto vector = [&]<class T>(const char* layout, std::size_t elements, bool required, const T*& out) -> Status {
    INTAGLIO_TRY(const std::byte* data, find(layout, elements * sizeof(T), required));
    out = reinterpret_cast<const T*>(data);
    return {};
  };
  INTAGLIO_TRY(weight_, find(gemm::name_of(layout_of(d_)), weight_bytes, true));
  if (d_.grouped()) {
    const std::size_t elements = gemm::group_elements(k, n, group_of(d_));
    INTAGLIO_CHECK(vector(kBlobGroupScale, elements, true, groups_.scale));
    if (d_.weight_zero) INTAGLIO_CHECK(vector(kBlobGroupZero, elements, true, groups_.zero));
    for (std::size_t i = 0; groups_.zero != nullptr && i < elements; ++i) {
      if (!(groups_.zero[i] >= -128.0f && groups_.zero[i] <= 255.0f)) {  // kernels turn them into integers
        return fail(ErrorCode::file, fmt::format("linear: zero {} of the groups is {}", i, groups_.zero[i]));
      }
    }
    groups_.center = d_.weight_bits == 4 ? 8.0f : 0.0f;
    groups_.group = group_of(d_);
    groups_.panel = gemm::group_count(k, groups_.group) * gemm::kPanelWidth;
  } else if (d_.codes()) {
    INTAGLIO_CHECK(vector(kBlobColumnSum, n, true, column_sum_));
    INTAGLIO_CHECK(vector(kBlobColumnZero, n, false, column_zero_));
    if (d_.weight_scale) INTAGLIO_CHECK(vector(kBlobWeightScale, n, true, weight_scale_));
    INTAGLIO_TRY(starts_, Buffer::allocate(std::max<std::size_t>(n, 1) * sizeof(std::int32_t)));
    for (std::size_t j = 0; j < n; ++j) {
      const std::uint32_t start = 0u - 128u * static_cast<std::uint32_t>(column_sum_[j]);
      starts_.as<std::int32_t>()[j] = static_cast<std::int32_t>(start);
    }
  }
  if (d_.bias) INTAGLIO_CHECK(vector(kBlobBias, n, true, bias_));
  prologue_.emplace(d_, types_, column_zero_ != nullptr, target_.isa);
  return {};
}

// M, from operands that are checked against the descriptor.
Result<std::size_t> PreparedLinear::check_operands(const BindRequest& request, const LinearOperands& at) const {
  const auto bad = [](std::string message) { return fail(ErrorCode::usage, "linear: " + message); };
  const std::size_t outputs = d_.row_max ? 2 : 1;
  if (request.inputs.size() != at.count || request.outputs.size() != outputs || request.threads < 1) {
    return bad(fmt::format("{} inputs and {} outputs, expected {} and {}", request.inputs.size(),
                           request.outputs.size(), at.count, outputs));
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
  const Operand& y = request.outputs[0];
  if (y.dtype != d_.output || y.shape != y_shape) {
    return bad(fmt::format("y is {} {}, expected {} {}", intaglio::name_of(y.dtype), intaglio::to_string(y.shape),
                           intaglio::name_of(d_.output), intaglio::to_string(y_shape)));
  }
  INTAGLIO_CHECK(byte_count(y.shape, DType::f32));
  // Scratch has vectors of M for every thread, and rows of K in f32; with K = N = 0 the shapes bound neither.
  const Shape scratch{m, std::max<std::int64_t>(d_.k, 8), request.threads};
  INTAGLIO_CHECK(byte_count(scratch, DType::f64));
  const auto check = [&](const Operand& operand, std::string_view what, DType dtype, std::int64_t count,
                         bool may_be_one) -> Status {
    INTAGLIO_TRY(const std::int64_t elements, element_count(operand.shape));
    if (operand.dtype == dtype && (elements == count || (may_be_one && elements == 1))) return {};
    return bad(fmt::format("{} is {} {}, expected {} with {}{} elements", what, intaglio::name_of(operand.dtype),
                           intaglio::to_string(operand.shape), intaglio::name_of(dtype), may_be_one ? "1 or " : "",
                           count));
  };
  INTAGLIO_TRY(const std::int64_t elements, element_count(y_shape));
  if (at.zero != kNoOperand) INTAGLIO_CHECK(check(request.inputs[at.zero], "x_zero", d_.input, m, true));
  if (at.scale != kNoOperand) INTAGLIO_CHECK(check(request.inputs[at.scale], "x_scale", DType::f32, m, true));
  if (at.max != kNoOperand) INTAGLIO_CHECK(check(request.inputs[at.max], "x_max", DType::f32, m, false));
  if (at.residual != kNoOperand)
    INTAGLIO_CHECK(check(request.inputs[at.residual], "residual", d_.residual_type, elements, false));
  if (d_.row_max) INTAGLIO_CHECK(check(request.outputs[1], "row_max", DType::f32, m, false));
  return static_cast<std::size_t>(m);
}

void PreparedLinear::reserve_scratch(LinearBinding& binding, std::size_t threads) const {
  const auto k = static_cast<std::size_t>(d_.k);
  const std::size_t m = binding.m;
  const auto reserve = [&](bool needed, std::size_t bytes) {
    const std::size_t offset = binding.shared_scratch_bytes;
    if (needed) binding.shared_scratch_bytes += gemm::round_up(bytes, 64);
    return offset;
  };
  const bool dynamic = d_.dynamic != Dynamic::none;
  binding.activations = reserve(binding.rewritten, m * k * gemm::facts_of(types_).a_bytes);
  binding.slots = reserve(dynamic && !d_.by_token(), threads * 64);
  binding.row_scale = reserve(d_.by_token(), m * sizeof(float));
  binding.row_zero = reserve(binding.zero_by_row, m * sizeof(std::int32_t));
  binding.row_term = reserve(column_zero_ != nullptr, m * sizeof(std::int32_t));
  binding.row_sums =
      reserve(types_ == gemm::Types::s8w4, m * gemm::group_count(k, group_of(d_)) * sizeof(std::int32_t));
  binding.row_max = reserve(d_.row_max, threads * gemm::round_up(m, 16) * sizeof(float));
  binding.thread_scratch_bytes = std::max(binding.gemm.scratch_bytes, prologue_->thread_scratch_bytes());
}

Result<std::unique_ptr<const Binding>> PreparedLinear::bind(const BindRequest& request) const {
  const LinearOperands at(d_);
  INTAGLIO_TRY(const std::size_t m, check_operands(request, at));
  auto binding = std::make_unique<LinearBinding>();
  const auto n = static_cast<std::size_t>(d_.n), k = static_cast<std::size_t>(d_.k);
  binding->m = m;
  binding->gemm = block_gemm(types_, {m, n, k, groups_.group}, request.threads, target_);
  const auto by_row = [&](std::size_t index) {
    return index != kNoOperand && m != 1 && *element_count(request.inputs[index].shape) != 1;
  };
  binding->zero_by_row = by_row(at.zero) || d_.dynamic == Dynamic::token_asymmetric;
  binding->scale_by_row = by_row(at.scale) || d_.by_token();
  binding->rewritten = prologue_->rewrites();
  binding->phases = 0;
  const auto add = [&](bool needed, LinearPhase phase) {
    if (needed) binding->phase[binding->phases++] = phase;
  };
  add(d_.dynamic != Dynamic::none && !d_.by_token(), LinearPhase::measure);
  add(binding->rewritten || prologue_->sums_rows() || binding->zero_by_row, LinearPhase::prepare);
  add(true, LinearPhase::multiply);
  add(d_.row_max, LinearPhase::join);
  reserve_scratch(*binding, static_cast<std::size_t>(request.threads));
  tell_touches(*binding, at);
  binding->flops = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  binding->bytes = operand_bytes(request);
  for (const Blob& blob : blobs_) binding->bytes += static_cast<double>(blob.bytes);
  binding->split = split_of(binding->gemm, m, n);
  binding->kernel = binding->gemm.kernel->name;
  binding->isa = binding->gemm.kernel->isa;
  return binding;
}

// Rows of x are split before the product; the product as its blocking says, with all of what the other split needs.
void PreparedLinear::tell_touches(LinearBinding& b, const LinearOperands& at) const {
  const auto m = static_cast<std::int64_t>(b.m), grain = static_cast<std::int64_t>(b.gemm.grain);
  const auto n = static_cast<std::size_t>(d_.n), k = static_cast<std::size_t>(d_.k);
  const bool by_rows = b.gemm.split == Split::rows;
  const auto rows_of_y = [&](std::size_t element) {
    if (by_rows) return Division{.units = m, .grain = grain, .item_bytes = n * element};
    return Division{.units = d_.n, .grain = grain, .item_bytes = element, .pitch = n * element};
  };
  const Division x{.units = m, .item_bytes = k * size_of(d_.input)};
  b.touches.emplace();
  for (int phase = 0; phase < b.phases; ++phase) {
    const auto read = [&](std::size_t index, std::optional<Division> split) {
      if (index != kNoOperand) b.touches->push_back(reads(static_cast<int>(index), phase, split));
    };
    const LinearPhase kind = b.phase[phase];
    if (b.shared_scratch_bytes != 0)
      b.touches->push_back({Touch::Of::shared_scratch, 0, phase, kind != LinearPhase::join, std::nullopt});
    if (kind == LinearPhase::join) {
      b.touches->push_back(writes(1, phase, Division{.units = m, .grain = 16, .item_bytes = sizeof(float)}));
      continue;
    }
    for (const std::size_t small : {at.zero, at.scale}) read(small, std::nullopt);
    if (kind != LinearPhase::multiply) {
      read(0, x);
      read(at.max, Division{.units = m, .item_bytes = sizeof(float)});
      continue;
    }
    if (!b.rewritten) read(0, by_rows ? std::optional(Division{m, grain, 1, x.item_bytes}) : std::nullopt);
    read(at.residual, rows_of_y(size_of(d_.residual_type)));
    b.touches->push_back(writes(0, phase, rows_of_y(size_of(d_.output))));
  }
}

PreparedOp::Facts PreparedLinear::facts() const {
  std::string epilogue;
  const auto add = [&](bool present, std::string_view what) {
    if (present) epilogue += (epilogue.empty() ? "" : ", ") + std::string(what);
  };
  add(d_.dynamic != Dynamic::none, fmt::format("dynamic {}", name_of(d_.dynamic)));
  add(d_.input_zero || column_zero_ != nullptr || groups_.zero != nullptr ||
          (d_.dynamic != Dynamic::none && !d_.symmetric()),
      "zero points");
  add(d_.input_scale || d_.weight_scale || d_.alpha != 1.0, "scale");
  add(d_.bias, "bias");
  add(d_.activation != Activation::none, name_of(d_.activation));
  add(d_.residual, d_.residual_multiply ? "times residual" : "residual");
  add(d_.clamp, "clamp");
  add(d_.row_max, "row max");
  add(d_.output != DType::f32 && d_.output != DType::i32, fmt::format("to {}", intaglio::name_of(d_.output)));
  const gemm::KernelRow& row = *choose_gemm(types_, target_.isa, kManyRows);
  return {row.name, row.isa, epilogue, products_of(types_)};
}

void PreparedLinear::add_zero_points(const LinearBinding& binding, const RunArgs& args, const Worker& worker,
                                     gemm::Epilogue& e) const noexcept {
  const auto integers = [&](std::size_t offset) {
    return reinterpret_cast<const std::int32_t*>(args.shared_scratch + offset);
  };
  if (d_.symmetric() || binding.gemm.kernel->a_offset != 0) e.column_start = starts_.as<std::int32_t>();
  if (binding.zero_by_row) {
    e.row_zero = integers(binding.row_zero);
  } else if (d_.dynamic == Dynamic::tensor_asymmetric) {
    e.zero = prologue_->of_tensor(binding, args, worker.count).zero;
  } else if (d_.dynamic == Dynamic::none && binding.m != 0) {
    e.zero = prologue_->given_zero(args, 0);
  }
  if (e.row_zero != nullptr || e.zero != 0) e.column_sum = column_sum_;
  e.column_zero = column_zero_;
  if (column_zero_ != nullptr) e.row_term = integers(binding.row_term);
}

void PreparedLinear::add_scales(const LinearBinding& binding, const RunArgs& args, const Worker& worker,
                                gemm::Epilogue& e) const noexcept {
  const bool dynamic = d_.dynamic != Dynamic::none;
  e.scaled = d_.input_scale || weight_scale_ != nullptr || d_.alpha != 1.0 || dynamic;
  e.scale = static_cast<float>(d_.alpha);
  e.column_scale = weight_scale_;
  if (d_.by_token()) {
    e.row_scale = reinterpret_cast<const float*>(args.shared_scratch + binding.row_scale);
  } else if (dynamic) {
    e.scale = prologue_->of_tensor(binding, args, worker.count).scale;
  } else if (d_.input_scale) {
    const auto* scale = static_cast<const float*>(args.inputs[LinearOperands(d_).scale]);
    if (binding.scale_by_row)
      e.row_scale = scale;
    else if (binding.m != 0)
      e.scale = *scale;
  }
}

void PreparedLinear::add_rest(const RunArgs& args, gemm::Epilogue& e) const noexcept {
  e.bias = bias_;
  e.unary = d_.activation;
  if (d_.residual) e.residual = args.inputs[LinearOperands(d_).residual];
  e.residual_pitch = static_cast<std::size_t>(d_.n);
  e.residual_type = d_.residual_type;
  e.residual_multiply = d_.residual_multiply;
  e.residual_scale = static_cast<float>(d_.residual_scale);
  e.residual_zero = static_cast<std::int32_t>(d_.residual_zero);
  e.clamp = d_.clamp;
  e.clamp_low = static_cast<float>(d_.clamp_low);
  e.clamp_high = static_cast<float>(d_.clamp_high);
  e.out_type = d_.output;
  e.out_scale = static_cast<float>(d_.output_scale);
  e.out_zero = static_cast<std::int32_t>(d_.output_zero);
}

void PreparedLinear::multiply(const LinearBinding& binding, const RunArgs& args, const Worker& worker) const noexcept {
  gemm::Epilogue e;
  if (gemm::facts_of(types_).integer) add_zero_points(binding, args, worker, e);
  add_scales(binding, args, worker, e);
  add_rest(args, e);
  if (d_.row_max) {
    const std::size_t pitch = gemm::round_up(binding.m, 16);
    e.row_max = reinterpret_cast<float*>(args.shared_scratch + binding.row_max) +
                static_cast<std::size_t>(worker.index) * pitch;
    std::fill(e.row_max, e.row_max + pitch, 0.0f);
  }
  GemmProblem problem;
  problem.blocking = binding.gemm;
  problem.m = binding.m;
  problem.n = problem.out_pitch = static_cast<std::size_t>(d_.n);
  problem.k = problem.a_pitch = static_cast<std::size_t>(d_.k);
  problem.a = binding.rewritten ? args.shared_scratch + binding.activations : args.inputs[0];
  problem.b = weight_;
  problem.b_panel = gemm::panel_bytes(layout_of(d_), problem.k);
  problem.groups = groups_;
  if (types_ == gemm::Types::s8w4) {
    problem.groups.row_sums = reinterpret_cast<const std::int32_t*>(args.shared_scratch + binding.row_sums);
    problem.groups.row_sums_pitch = gemm::group_count(problem.k, groups_.group);
  }
  problem.out = args.outputs[0];
  problem.epilogue = &e;
  problem.scratch = args.thread_scratch;
  run_gemm(problem, worker);
}

void PreparedLinear::join_row_max(const LinearBinding& binding, const RunArgs& args,
                                  const Worker& worker) const noexcept {
  const std::size_t pitch = gemm::round_up(binding.m, 16);
  const auto* vectors = reinterpret_cast<const float*>(args.shared_scratch + binding.row_max);
  auto* out = static_cast<float*>(args.outputs[1]);
  const Range rows = share_of(static_cast<std::int64_t>(binding.m), 16, worker);
  for (auto i = static_cast<std::size_t>(rows.begin); i < static_cast<std::size_t>(rows.end); ++i) {
    float most = 0.0f;
    for (int t = 0; t < worker.count; ++t) most = std::max(most, vectors[static_cast<std::size_t>(t) * pitch + i]);
    out[i] = most;
  }
}

}  // namespace

gemm::Types types_of(const LinearDescriptor& d, IsaSet isa) {
  using gemm::Types;
  if (d.integer_input()) return d.input == DType::u8 ? Types::u8s8i32 : Types::s8s8i32;
  if (d.codes()) {
    if (d.weight_bits == 4) return d.dynamic != Dynamic::none ? Types::s8w4 : Types::f32w4;
    return d.dynamic != Dynamic::none ? Types::u8s8i32 : Types::f32w8;
  }
  return float_types(d.input, d.weight, isa);
}

Result<std::unique_ptr<PreparedOp>> prepare_linear(const LinearDescriptor& descriptor, std::vector<Blob> blobs,
                                                   const Target& target) {
  INTAGLIO_CHECK(descriptor.validate());
  auto op = std::make_unique<PreparedLinear>(descriptor, target, std::move(blobs));
  INTAGLIO_CHECK(op->take_blobs());
  return op;
}

}  // namespace intaglio::ops
