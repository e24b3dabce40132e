#include "ops/softmax.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/softmax/table.h"
#include "ops/float_rows.h"
#include "ops/kernel_choice.h"
#include "ops/simple_candidate.h"
#include "ops/work.h"

namespace intaglio::ops {
namespace {

namespace table = kernels::softmax;

constexpr std::int64_t kColumns = 64;  // of one unit of work when the axis is not the last

struct SoftmaxBinding final : Binding {
  std::string blocking_text() const override { return fmt::format("{} x {} over {}", outer, inner, n); }
  std::int64_t outer = 1, n = 1, inner = 1;
  std::int64_t blocks = 1;  // of columns, per outer index
};

class SoftmaxOp final : public PreparedOp {
 public:
  SoftmaxOp(const SoftmaxDescriptor& descriptor, const Target& target)
      : d_(descriptor),
        kernels_(choose_elementwise(target.isa)),
        rows_(choose(target.isa, table::Group::rows)),
        columns_(choose(target.isa, table::Group::columns)) {}
  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override;
  RunStatus run(const Binding& binding, const RunArgs& args, const Worker& worker) const noexcept override;
  bool may_run_in_place(std::size_t index) const override { return index == 0; }
  Facts facts() const override { return {rows_->name, rows_->isa, d_.log ? "log" : ""}; }

 private:
  // The scalar row of a group if the set names no level at all.
  static const table::KernelRow* choose(IsaSet isa, table::Group group) {
    const IsaSet set{isa.bits | isa_bit(Isa::scalar)};
    return best_row(table::kKernels, table::kKernelCount, set, [&](const auto& row) { return row.group == group; });
  }
  void run_unit(const SoftmaxBinding& b, std::size_t at, std::size_t columns, const RunArgs& args) const noexcept;
  void run_f64(const SoftmaxBinding& b, std::size_t at, std::size_t columns, const RunArgs& args) const noexcept;

  SoftmaxDescriptor d_;
  ElementwiseKernels kernels_;
  const table::KernelRow* rows_;
  const table::KernelRow* columns_;
};

Result<std::unique_ptr<const Binding>> SoftmaxOp::bind(const BindRequest& request) const {
  if (request.inputs.size() != 1 || request.outputs.size() != 1)
    return fail(ErrorCode::internal, "softmax: one input, one output");
  const Shape& shape = request.inputs[0].shape;
  if (request.inputs[0].dtype != d_.dtype || request.outputs[0].dtype != d_.dtype ||
      request.outputs[0].shape != shape) {
    return fail(ErrorCode::usage,
                fmt::format("softmax: {} {} -> {} {}, expected {} and equal shapes", name_of(request.inputs[0].dtype),
                            to_string(shape), name_of(request.outputs[0].dtype), to_string(request.outputs[0].shape),
                            name_of(d_.dtype)));
  }
  if (d_.axis >= static_cast<std::int64_t>(std::max<std::size_t>(shape.size(), 1))) {
    return fail(ErrorCode::usage, fmt::format("softmax: axis {} of an operand of shape {}", d_.axis, to_string(shape)));
  }
  auto b = std::make_unique<SoftmaxBinding>();
  INTAGLIO_TRY(const std::int64_t total, element_count(shape));
  if (!shape.empty()) {
    const auto axis = static_cast<std::size_t>(d_.axis);
    INTAGLIO_TRY(b->outer, element_count(std::span(shape).first(axis)));
    b->n = shape[axis];
    INTAGLIO_TRY(b->inner, element_count(std::span(shape).subspan(axis + 1)));
  }
  if (total == 0)
    b->outer = b->blocks = 0;
  else
    b->blocks = (b->inner + kColumns - 1) / kColumns;
  if (total != 0 && d_.dtype != DType::f32 && d_.dtype != DType::f64) {
    const std::int64_t columns = std::min(b->inner, kColumns);
    b->thread_scratch_bytes = static_cast<std::size_t>(b->n * columns) * sizeof(float);
  }
  b->flops = 8.0 * static_cast<double>(total);
  b->bytes = operand_bytes(request);
  b->split = {"rows", b->outer * b->blocks, 1};
  const Division split{.units = b->outer * b->blocks,
                       .group = std::max<std::int64_t>(b->blocks, 1),
                       .item_bytes = total == 0 ? 0 : static_cast<std::size_t>(b->n * b->inner) * size_of(d_.dtype)};
  b->touches = {reads(0, 0, split), writes(0, 0, split)};
  return std::unique_ptr<const Binding>(std::move(b));
}

RunStatus SoftmaxOp::run(const Binding& binding, const RunArgs& args, const Worker& worker) const noexcept {
  const auto& b = static_cast<const SoftmaxBinding&>(binding);
  const Range share = share_of(b.outer * b.blocks, 1, worker);
  for (std::int64_t unit = share.begin; unit < share.end; ++unit) {
    const std::int64_t column = unit % b.blocks * kColumns;
    const auto at = static_cast<std::size_t>(unit / b.blocks * b.n * b.inner + column);
    const auto columns = static_cast<std::size_t>(std::min(kColumns, b.inner - column));
    if (d_.dtype == DType::f64)
      run_f64(b, at, columns, args);
    else
      run_unit(b, at, columns, args);
  }
  return RunStatus::ok;
}

void SoftmaxOp::run_unit(const SoftmaxBinding& b, std::size_t at, std::size_t columns,
                         const RunArgs& args) const noexcept {
  const std::size_t size = size_of(d_.dtype);
  const auto* x = static_cast<const std::byte*>(args.inputs[0]) + at * size;
  auto* y = static_cast<std::byte*>(args.outputs[0]) + at * size;
  const auto n = static_cast<std::size_t>(b.n), pitch = static_cast<std::size_t>(b.inner);
  table::Args call;
  call.n = n;
  call.columns = columns;
  call.log = d_.log;
  const table::Kernel kernel = b.inner == 1 ? rows_->kernel : columns_->kernel;
  if (d_.dtype == DType::f32) {
    call.source = reinterpret_cast<const float*>(x);
    call.out = reinterpret_cast<float*>(y);
    call.pitch = pitch;
    return kernel(call);
  }
  auto* scratch = reinterpret_cast<float*>(args.thread_scratch);
  const std::size_t lines = b.inner == 1 ? 1 : n, width = b.inner == 1 ? n : columns;
  for (std::size_t i = 0; i < lines; ++i) {
    convert_elements(kernels_, d_.dtype, x + i * pitch * size, DType::f32, scratch + i * width, width);
  }
  call.source = call.out = scratch;
  call.pitch = columns;
  kernel(call);
  for (std::size_t i = 0; i < lines; ++i) {
    convert_elements(kernels_, DType::f32, scratch + i * width, d_.dtype, y + i * pitch * size, width);
  }
}

void SoftmaxOp::run_f64(const SoftmaxBinding& b, std::size_t at, std::size_t columns,
                        const RunArgs& args) const noexcept {
  const auto n = static_cast<std::size_t>(b.n), pitch = static_cast<std::size_t>(b.inner);
  for (std::size_t c = 0; c < columns; ++c) {
    const double* x = static_cast<const double*>(args.inputs[0]) + at + c;
    double* y = static_cast<double*>(args.outputs[0]) + at + c;
    double max = -INFINITY, sum = 0.0;
    for (std::size_t i = 0; i < n; ++i) max = x[i * pitch] > max ? x[i * pitch] : max;
    for (std::size_t i = 0; i < n; ++i) sum += std::exp(x[i * pitch] - max);
    const double log_sum = std::log(sum);
    for (std::size_t i = 0; i < n; ++i) {
      const double shifted = x[i * pitch] - max;
      y[i * pitch] = d_.log ? shifted - log_sum : std::exp(shifted) / sum;
    }
  }
}

}  // namespace

void SoftmaxDescriptor::fields(FieldVisitor& visitor) {
  visitor.field("dtype", dtype);
  visitor.field("axis", axis);
  visitor.field("log", log);
}
Status SoftmaxDescriptor::validate() const {
  if (!is_floating(dtype)) return fail(ErrorCode::unsupported, fmt::format("softmax of {}", name_of(dtype)));
  if (axis < 0 || axis >= kMaxRank) return fail(ErrorCode::usage, fmt::format("softmax: axis {}", axis));
  return {};
}

std::unique_ptr<Descriptor> make_softmax_descriptor() {
  return std::make_unique<SoftmaxDescriptor>();
}
void add_softmax_candidates(std::vector<const Candidate*>& out) {
  static const SimpleCandidate<SoftmaxDescriptor, SoftmaxOp> candidate("intaglio.softmax", "softmax");
  out.push_back(&candidate);
}

}  // namespace intaglio::ops
