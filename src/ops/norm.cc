#include "ops/norm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/norm/table.h"
#include "ops/float_rows.h"
#include "ops/kernel_choice.h"
#include "ops/quantize_op.h"
#include "ops/simple_candidate.h"
#include "ops/work.h"

namespace intaglio::ops {
namespace {

namespace table = kernels::norm;

// Bytes of one thread's buffers, each 64-byte aligned.
std::size_t padded(std::size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

// gamma or beta of one binding: where it is, and whether it must be written out first.
struct Vector {
  int input = -1;
  bool expanded = false;
  DType type = DType::f32;
  BroadcastLoops loops;
  std::size_t at = 0;  // in thread scratch
};

// Indices of the outputs of a run, -1: absent.
struct Outputs {
  int y = -1, q = -1, scale = -1, zero = -1, absmax = -1;
  int count = 0;
};
Outputs outputs_of(const NormDescriptor& d) {
  Outputs o;
  if (d.keep_float) o.y = o.count++;
  if (d.quantize != NormQuantize::none) o.q = o.count++, o.scale = o.count++;
  if (d.quantize == NormQuantize::asymmetric) o.zero = o.count++;
  if (d.absmax) o.absmax = o.count++;
  return o;
}

struct NormBinding final : Binding {
  std::string blocking_text() const override { return fmt::format("{} rows of {}", rows, n); }
  std::int64_t rows = 0;
  std::size_t n = 0;
  int residual = -1;
  Vector gamma, beta;
  std::size_t row_at[2] = {0, 0};  // scratch rows: x (and y) as f32; the residual as f32, later y as 16 bits
};

class NormOp final : public PreparedOp {
 public:
  NormOp(const NormDescriptor& descriptor, const Target& target)
      : d_(descriptor),
        kernels_(choose_elementwise(target.isa)),
        row_(best_row(table::kKernels, table::kKernelCount, target.isa, [](const auto&) { return true; })),
        compute_(descriptor.dtype == DType::f64 ? DType::f64 : DType::f32),
        outputs_(outputs_of(descriptor)),
        extremes_(choose_quantize(kernels::quantize::Group::extremes_bf16, target.isa)),
        quantize_(choose_quantize_row(descriptor.dtype == DType::bf16 ? DType::bf16 : DType::f32, target.isa)),
        quantize_call_(symmetric_args(descriptor.rule, descriptor.quantized)) {
    if (row_ == nullptr) row_ = &table::kKernels[0];
    if (d_.quantize == NormQuantize::asymmetric) quantize_call_.rule = kernels::quantize::Rule::asymmetric;
  }
  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override;
  RunStatus run(const Binding& binding, const RunArgs& args, const Worker& worker) const noexcept override;
  bool may_run_in_place(std::size_t index) const override {
    return d_.keep_float && (index == 0 || (index == 1 && d_.residual));
  }
  Facts facts() const override {
    return {row_->name, row_->isa,
            std::string(d_.residual ? "residual " : "") + (d_.gamma ? "gamma " : "") + (d_.beta ? "beta " : "") +
                (d_.quantize != NormQuantize::none ? "quantize" : "")};
  }

 private:
  Result<Vector> bind_vector(const BindRequest& request, int input, const Shape& shape, std::size_t& scratch) const;
  Status check_outputs(const BindRequest& request, std::int64_t rows) const;
  void tell_touches(NormBinding& b, const BindRequest& request) const;
  const void* vector_at(const Vector& vector, const RunArgs& args) const noexcept;
  void run_f32(const NormBinding& b, const RunArgs& args, std::int64_t row, const float* gamma,
               const float* beta) const noexcept;
  void finish_row(const NormBinding& b, const RunArgs& args, std::int64_t row, const void* y,
                  float* extremes) const noexcept;
  void run_f64(const NormBinding& b, const RunArgs& args, std::int64_t row, const double* gamma,
               const double* beta) const noexcept;
  // Something is wanted of a row besides y.
  bool more() const { return d_.quantize != NormQuantize::none || d_.absmax; }

  NormDescriptor d_;
  ElementwiseKernels kernels_;
  const table::KernelRow* row_;
  DType compute_;
  Outputs outputs_;
  const kernels::quantize::KernelRow* extremes_;     // bf16
  const kernels::quantize::RowKernelRow* quantize_;  // f32 or bf16
  kernels::quantize::RowArgs quantize_call_;         // what is the same for all rows
};

Status NormOp::check_outputs(const BindRequest& request, std::int64_t rows) const {
  const Shape& shape = request.inputs[0].shape;
  const auto check = [&](int index, DType type, bool whole) -> Status {
    if (index < 0) return {};
    const Operand& given = request.outputs[static_cast<std::size_t>(index)];
    if (given.dtype == type && (whole ? given.shape == shape : element_count(given.shape).value_or(-1) == rows))
      return {};
    return fail(ErrorCode::usage, fmt::format("norm: output {} {} {} for {} rows of {} {}", index, name_of(given.dtype),
                                              to_string(given.shape), rows, name_of(d_.dtype), to_string(shape)));
  };
  INTAGLIO_CHECK(check(outputs_.y, d_.dtype, true));
  INTAGLIO_CHECK(check(outputs_.q, d_.quantized, true));
  INTAGLIO_CHECK(check(outputs_.scale, DType::f32, false));
  INTAGLIO_CHECK(check(outputs_.zero, DType::u8, false));
  return check(outputs_.absmax, DType::f32, false);
}

Result<Vector> NormOp::bind_vector(const BindRequest& request, int input, const Shape& shape,
                                   std::size_t& scratch) const {
  Vector v;
  if (input < 0) return v;
  const Operand& operand = request.inputs[static_cast<std::size_t>(input)];
  if (!is_floating(operand.dtype))
    return fail(ErrorCode::usage, fmt::format("norm: operand {} is {}", input, name_of(operand.dtype)));
  v.input = input;
  v.type = operand.dtype;
  INTAGLIO_TRY(v.loops, broadcast_loops(shape, std::span(&operand.shape, 1)));
  INTAGLIO_TRY(const std::int64_t count, element_count(operand.shape));
  v.expanded = v.type != compute_ || count != v.loops.total;
  if (v.expanded) {
    v.at = scratch;
    scratch += padded(static_cast<std::size_t>(v.loops.total) * size_of(compute_));
  }
  return v;
}

Result<std::unique_ptr<const Binding>> NormOp::bind(const BindRequest& request) const {
  const std::size_t expected = 1 + (d_.residual ? 1 : 0) + (d_.gamma ? 1 : 0) + (d_.beta ? 1 : 0);
  if (request.inputs.size() != expected || request.outputs.size() != static_cast<std::size_t>(outputs_.count)) {
    return fail(ErrorCode::internal,
                fmt::format("norm: {} inputs and {} outputs, expected {} and {}", request.inputs.size(),
                            request.outputs.size(), expected, outputs_.count));
  }
  const Shape& shape = request.inputs[0].shape;
  for (const Operand& each : {request.inputs[0], request.inputs[d_.residual ? 1 : 0]}) {
    if (each.dtype != d_.dtype || each.shape != shape) {
      return fail(ErrorCode::usage, fmt::format("norm: operand {} {}, expected {} {}", name_of(each.dtype),
                                                to_string(each.shape), name_of(d_.dtype), to_string(shape)));
    }
  }
  if (d_.axis > static_cast<std::int64_t>(shape.size())) {
    return fail(ErrorCode::usage, fmt::format("norm: axis {} of an operand of shape {}", d_.axis, to_string(shape)));
  }
  auto b = std::make_unique<NormBinding>();
  const Shape normalised(shape.begin() + d_.axis, shape.end());
  INTAGLIO_CHECK(element_count(shape));
  INTAGLIO_TRY(const std::int64_t n, element_count(normalised));
  INTAGLIO_TRY(b->rows, element_count(std::span(shape.data(), static_cast<std::size_t>(d_.axis))));
  INTAGLIO_CHECK(check_outputs(request, b->rows));
  b->n = static_cast<std::size_t>(n);
  int next = 1;
  if (d_.residual) b->residual = next++;
  std::size_t scratch = 0;
  INTAGLIO_TRY(b->gamma, bind_vector(request, d_.gamma ? next++ : -1, normalised, scratch));
  INTAGLIO_TRY(b->beta, bind_vector(request, d_.beta ? next++ : -1, normalised, scratch));
  if (d_.dtype != compute_ || !d_.keep_float) {
    for (std::size_t& at : b->row_at) {
      at = scratch;
      scratch += padded(b->n * sizeof(float));
    }
  }
  b->thread_scratch_bytes = b->rows == 0 || n == 0 ? 0 : scratch;
  b->flops = 8.0 * static_cast<double>(b->rows) * static_cast<double>(b->n);
  b->bytes = operand_bytes(request);
  b->split = {"rows", b->rows, 1};
  tell_touches(*b, request);
  return std::unique_ptr<const Binding>(std::move(b));
}

// Threads split the rows.
void NormOp::tell_touches(NormBinding& b, const BindRequest& request) const {
  const auto split = [&](std::size_t bytes) { return Division{.units = b.rows, .item_bytes = bytes}; };
  const std::size_t row = b.n * size_of(d_.dtype);
  b.touches.emplace();
  for (int i = 0; i < static_cast<int>(request.inputs.size()); ++i)
    b.touches->push_back(reads(i, 0, i == 0 || i == b.residual ? std::optional(split(row)) : std::nullopt));
  const auto add = [&](int output, std::size_t bytes) {
    if (output >= 0) b.touches->push_back(writes(output, 0, split(bytes)));
  };
  add(outputs_.y, row);
  add(outputs_.q, b.n);
  add(outputs_.scale, sizeof(float));
  add(outputs_.zero, 1);
  add(outputs_.absmax, sizeof(float));
}

const void* NormOp::vector_at(const Vector& vector, const RunArgs& args) const noexcept {
  if (vector.input < 0) return nullptr;
  const void* given = args.inputs[vector.input];
  if (!vector.expanded) return given;
  std::byte* out = args.thread_scratch + vector.at;
  expand_elements(kernels_, vector.loops, 0, vector.type, given, compute_, out);
  return out;
}

RunStatus NormOp::run(const Binding& binding, const RunArgs& args, const Worker& worker) const noexcept {
  const auto& b = static_cast<const NormBinding&>(binding);
  const Range share = share_of(b.rows, 1, worker);
  if (share.begin >= share.end || (b.n == 0 && !more())) return RunStatus::ok;
  const void* gamma = vector_at(b.gamma, args);
  const void* beta = vector_at(b.beta, args);
  for (std::int64_t row = share.begin; row < share.end; ++row) {
    if (compute_ == DType::f64) {
      run_f64(b, args, row, static_cast<const double*>(gamma), static_cast<const double*>(beta));
    } else {
      run_f32(b, args, row, static_cast<const float*>(gamma), static_cast<const float*>(beta));
    }
  }
  return RunStatus::ok;
}

void NormOp::run_f32(const NormBinding& b, const RunArgs& args, std::int64_t row, const float* gamma,
                     const float* beta) const noexcept {
  const std::size_t at = static_cast<std::size_t>(row) * b.n * size_of(d_.dtype);
  const auto in = [&](int input) { return static_cast<const std::byte*>(args.inputs[input]) + at; };
  const auto scratch = [&](std::size_t slot) { return reinterpret_cast<float*>(args.thread_scratch + b.row_at[slot]); };
  std::byte* out = outputs_.y >= 0 ? static_cast<std::byte*>(args.outputs[outputs_.y]) + at : nullptr;
  const bool direct = d_.dtype == DType::f32;
  const auto as_f32 = [&](int input, std::size_t slot) -> const float* {
    if (direct) return reinterpret_cast<const float*>(in(input));
    convert_elements(kernels_, d_.dtype, in(input), DType::f32, scratch(slot), b.n);
    return scratch(slot);
  };
  float extremes[2];
  table::Args call;
  call.kind = d_.kind == NormKind::layer ? table::Kind::layer : table::Kind::rms;
  call.source = as_f32(0, 0);
  if (b.residual >= 0) call.residual = as_f32(b.residual, 1);
  call.gamma = gamma;
  call.beta = beta;
  call.out = direct && out != nullptr ? reinterpret_cast<float*>(out) : scratch(0);
  call.n = b.n;
  call.epsilon = static_cast<float>(d_.epsilon);
  if (direct && more()) call.extremes = extremes;
  row_->kernel(call);
  const void* y = call.out;
  if (!direct) {
    void* narrow = out != nullptr ? static_cast<void*>(out) : scratch(1);
    convert_elements(kernels_, DType::f32, call.out, d_.dtype, narrow, b.n);
    y = narrow;
  }
  if (more()) finish_row(b, args, row, y, extremes);
}

// y: the row as its dtype; extremes: those of an f32 row, room for those of a bf16 one.
void NormOp::finish_row(const NormBinding& b, const RunArgs& args, std::int64_t row, const void* y,
                        float* extremes) const noexcept {
  if (d_.dtype == DType::bf16) {
    kernels::quantize::Args call;
    call.source = y;
    call.out = extremes;
    call.count = b.n;
    extremes_->kernel(call);
  }
  if (outputs_.absmax >= 0)
    static_cast<float*>(args.outputs[outputs_.absmax])[row] = std::max(-extremes[0], extremes[1]);
  if (d_.quantize == NormQuantize::none) return;
  std::int32_t zero = 0;
  kernels::quantize::RowArgs call = quantize_call_;
  call.source = y;
  call.out = static_cast<std::uint8_t*>(args.outputs[outputs_.q]) + static_cast<std::size_t>(row) * b.n;
  call.count = b.n;
  call.extremes = extremes;
  call.scale = static_cast<float*>(args.outputs[outputs_.scale]) + row;
  call.zero = &zero;
  quantize_->kernel(call);
  if (outputs_.zero >= 0)
    static_cast<std::uint8_t*>(args.outputs[outputs_.zero])[row] = static_cast<std::uint8_t>(zero);
}

void NormOp::run_f64(const NormBinding& b, const RunArgs& args, std::int64_t row, const double* gamma,
                     const double* beta) const noexcept {
  const std::size_t at = static_cast<std::size_t>(row) * b.n;
  const double* x = static_cast<const double*>(args.inputs[0]) + at;
  const double* r = b.residual >= 0 ? static_cast<const double*>(args.inputs[b.residual]) + at : nullptr;
  double* y = static_cast<double*>(args.outputs[0]) + at;
  for (std::size_t i = 0; i < b.n; ++i) y[i] = r != nullptr ? x[i] + r[i] : x[i];
  const auto count = static_cast<double>(b.n);
  double mean = 0.0, squares = 0.0;
  if (d_.kind == NormKind::layer) {
    for (std::size_t i = 0; i < b.n; ++i) mean += y[i];
    mean /= count;
  }
  for (std::size_t i = 0; i < b.n; ++i) squares += (y[i] - mean) * (y[i] - mean);
  const double factor = 1.0 / std::sqrt(squares / count + d_.epsilon);
  for (std::size_t i = 0; i < b.n; ++i) {
    double v = (y[i] - mean) * factor;
    if (gamma != nullptr) v *= gamma[i];
    y[i] = beta != nullptr ? v + beta[i] : v;
  }
}

}  // namespace

void NormDescriptor::fields(FieldVisitor& visitor) {
  visitor.choice("kind", kind, 2);
  visitor.field("dtype", dtype);
  visitor.field("axis", axis);
  visitor.field("epsilon", epsilon);
  visitor.field("residual", residual);
  visitor.field("gamma", gamma);
  visitor.field("beta", beta);
  visitor.choice("quantize", quantize, kNormQuantizes);
  visitor.field("quantized", quantized);
  rule.fields(visitor);
  visitor.field("keep_float", keep_float);
  visitor.field("absmax", absmax);
}

Status NormDescriptor::validate() const {
  if (!is_floating(dtype)) return fail(ErrorCode::unsupported, fmt::format("norm of {}", name_of(dtype)));
  if (axis < 0 || axis > kMaxRank) return fail(ErrorCode::usage, fmt::format("norm: axis {}", axis));
  if (kind == NormKind::rms && beta) return fail(ErrorCode::usage, "norm: rms_norm has no beta");
  const bool narrow = dtype == DType::f32 || dtype == DType::bf16;
  if ((quantize != NormQuantize::none || absmax) && !narrow)
    return fail(ErrorCode::usage, fmt::format("norm: {} rows are not quantised", name_of(dtype)));
  if (quantize == NormQuantize::none && !keep_float) return fail(ErrorCode::usage, "norm: no result is kept");
  if (quantized != DType::u8 && (quantized != DType::i8 || quantize == NormQuantize::asymmetric))
    return fail(ErrorCode::usage, fmt::format("norm: quantisation to {}", name_of(quantized)));
  return rule.validate();
}

std::unique_ptr<Descriptor> make_norm_descriptor() {
  return std::make_unique<NormDescriptor>();
}
void add_norm_candidates(std::vector<const Candidate*>& out) {
  static const SimpleCandidate<NormDescriptor, NormOp> candidate("intaglio.norm", "norm");
  out.push_back(&candidate);
}

}  // namespace intaglio::ops
