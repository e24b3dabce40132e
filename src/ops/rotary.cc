#include "ops/rotary.h"

#include <fmt/format.h>

#include <cstring>

#include "kernels/rotary/table.h"
#include "ops/float_rows.h"
#include "ops/kernel_choice.h"
#include "ops/simple_candidate.h"

namespace intaglio::ops {

std::unique_ptr<Descriptor> make_rotary_descriptor();
void add_rotary_candidates(std::vector<const Candidate*>& out);

namespace {

namespace table = kernels::rotary;
using Size = std::size_t;

// x seen as [outer, heads, size]; the row of cos and sin of head h of block o is at (start(o) + h * head_step) * half.
struct RotaryBinding final : Binding {
  std::string blocking_text() const override {
    return fmt::format("{} of {} elements, {} of {} heads", 2 * half, size, rotated, heads);
  }
  std::int64_t outer = 0, heads = 0, rotated = 0;
  Size size = 0, half = 0;
  Size head_step = 0;         // 0 or 1
  std::int64_t per_step = 1;  // rows of the table per element of its outer dims
  BroadcastLoops loops;       // over the outer dims, operand 0: the table's
  Size table_rows = 0;        // most rows of the table that one block uses
  Size row_at = 0;            // in thread scratch: one row of x as f32; before it cos and sin as f32
};

class RotaryOp final : public PreparedOp {
 public:
  RotaryOp(const RotaryDescriptor& descriptor, const Target& target)
      : d_(descriptor), kernels_(choose_elementwise(target.isa)) {
    const table::Type type = d_.dtype == DType::bf16 ? table::Type::bf16 : table::Type::f32;
    const IsaSet set{target.isa.bits | isa_bit(Isa::scalar)};
    row_ = best_row(table::kKernels, table::kKernelCount, set, [&](const auto& row) { return row.type == type; });
  }
  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override;
  RunStatus run(const Binding& binding, const RunArgs& args, const Worker& worker) const noexcept override;
  bool may_run_in_place(std::size_t index) const override { return index == 0; }
  Facts facts() const override {
    return {d_.dtype == DType::f64 ? "rotary_f64" : row_->name, d_.dtype == DType::f64 ? "scalar" : row_->isa,
            d_.interleaved ? "interleaved" : "halves"};
  }

 private:
  bool in_place_type() const { return d_.dtype == DType::f32 || d_.dtype == DType::bf16; }
  void run_block(const RotaryBinding& b, const RunArgs& args, std::int64_t block) const noexcept;
  void rotate(const RotaryBinding& b, table::Args call, const RunArgs& args) const noexcept;
  void rotate_f64(const RotaryBinding& b, const double* x, double* y, const void* cos, const void* sin,
                  Size table_at) const noexcept;

  RotaryDescriptor d_;
  ElementwiseKernels kernels_;
  const table::KernelRow* row_ = nullptr;
};

tl::unexpected<Error> bad(std::string message) {
  return fail(ErrorCode::usage, "rotary: " + std::move(message));
}

Result<std::unique_ptr<const Binding>> RotaryOp::bind(const BindRequest& request) const {
  if (request.inputs.size() != 3 || request.outputs.size() != 1) return bad("three inputs and one output are needed");
  const Shape &x = request.inputs[0].shape, &cos = request.inputs[1].shape;
  if (x.size() < 2 || cos.empty() || cos.size() > x.size() || request.inputs[2].shape != cos)
    return bad(fmt::format("x {} with cos {}", to_string(x), to_string(cos)));
  if (request.outputs[0].shape != x) return bad("y has another shape than x");
  if (request.inputs[0].dtype != d_.dtype || request.outputs[0].dtype != d_.dtype ||
      request.inputs[1].dtype != d_.table || request.inputs[2].dtype != d_.table)
    return bad(fmt::format("operands of other dtypes than {} with tables of {}", name_of(d_.dtype), name_of(d_.table)));
  RotaryBinding b;
  b.heads = x[x.size() - 2];
  b.size = static_cast<Size>(x.back());
  b.half = static_cast<Size>(cos.back());
  b.rotated = d_.heads == 0 ? b.heads : d_.heads;
  if (b.rotated > b.heads) return bad(fmt::format("{} heads are to be rotated, x has {}", b.rotated, b.heads));
  if (b.half > b.size / 2) return bad(fmt::format("{} pairs of {} elements", b.half, b.size));
  const Shape outer(x.begin(), x.end() - 2);
  const bool has_heads = cos.size() >= 2;
  const std::int64_t table_heads = has_heads ? cos[cos.size() - 2] : 1;
  if (table_heads != 1 && table_heads != b.heads)
    return bad(fmt::format("cos {} does not broadcast to {}", to_string(cos), to_string(x)));
  b.head_step = table_heads == 1 ? 0 : 1;
  b.per_step = table_heads;
  const Shape table_outer(cos.begin(), cos.end() - (has_heads ? 2 : 1));
  INTAGLIO_TRY(b.loops, broadcast_loops(outer, std::vector<Shape>{table_outer}));
  b.outer = b.loops.total;
  const double elements = static_cast<double>(b.outer) * static_cast<double>(b.heads) * static_cast<double>(b.size);
  b.flops = 3.0 * static_cast<double>(b.outer) * static_cast<double>(b.rotated) * 2.0 * static_cast<double>(b.half);
  INTAGLIO_TRY(const std::int64_t angles, element_count(cos));
  b.bytes = 2.0 * elements * static_cast<double>(size_of(d_.dtype)) +
            2.0 * static_cast<double>(angles) * static_cast<double>(size_of(d_.table));
  b.split = {"blocks of heads", b.outer, 1};
  // Tables of another type than f32 and rows of f16 go through scratch.
  b.table_rows = b.head_step == 0 ? 1 : static_cast<Size>(b.rotated);
  const bool scratch = d_.dtype != DType::f64 && (d_.table != DType::f32 || !in_place_type());
  b.row_at = 2 * b.table_rows * b.half * sizeof(float);
  b.thread_scratch_bytes = scratch ? b.row_at + b.size * sizeof(float) : 0;
  return bound(std::move(b));
}

// Where block `block` reads its first row of the table, in elements.
Size table_start(const RotaryBinding& b, std::int64_t block) {
  std::int64_t at = 0;
  for (Size d = b.loops.dims.size(); d-- > 0;) {
    at += block % b.loops.dims[d] * b.loops.strides[0][d];
    block /= b.loops.dims[d];
  }
  return static_cast<Size>(at * b.per_step) * b.half;
}

RunStatus RotaryOp::run(const Binding& binding, const RunArgs& args, const Worker& worker) const noexcept {
  const auto& b = static_cast<const RotaryBinding&>(binding);
  const Range share = share_of(b.outer, 1, worker);
  for (std::int64_t block = share.begin; block < share.end; ++block) run_block(b, args, block);
  return RunStatus::ok;
}

void RotaryOp::run_block(const RotaryBinding& b, const RunArgs& args, std::int64_t block) const noexcept {
  const Size element = size_of(d_.dtype), row_bytes = b.size * element;
  const Size offset = static_cast<Size>(block * b.heads) * row_bytes;
  const std::byte* x = static_cast<const std::byte*>(args.inputs[0]) + offset;
  std::byte* y = static_cast<std::byte*>(args.outputs[0]) + offset;
  const Size rotated = static_cast<Size>(b.rotated), heads = static_cast<Size>(b.heads);
  if (x != y) {
    const Size kept = 2 * b.half * element;
    if (kept < row_bytes) {
      for (Size h = 0; h < rotated; ++h)
        std::memcpy(y + h * row_bytes + kept, x + h * row_bytes + kept, row_bytes - kept);
    }
    if (rotated < heads) std::memcpy(y + rotated * row_bytes, x + rotated * row_bytes, (heads - rotated) * row_bytes);
  }
  if (b.half == 0) return;
  const Size at = table_start(b, block);
  if (d_.dtype == DType::f64) {
    for (Size h = 0; h < rotated; ++h) {
      rotate_f64(b, reinterpret_cast<const double*>(x) + h * b.size, reinterpret_cast<double*>(y) + h * b.size,
                 args.inputs[1], args.inputs[2], at + h * b.head_step * b.half);
    }
    return;
  }
  table::Args call;
  call.x = x;
  call.y = y;
  call.rows = rotated;
  call.half = b.half;
  call.x_pitch = call.y_pitch = b.size;
  call.table_pitch = b.head_step * b.half;
  call.interleaved = d_.interleaved;
  if (d_.table == DType::f32) {
    call.cos = static_cast<const float*>(args.inputs[1]) + at;
    call.sin = static_cast<const float*>(args.inputs[2]) + at;
  } else {
    const Size count = b.table_rows * b.half, skip = at * size_of(d_.table);
    auto* cos = reinterpret_cast<float*>(args.thread_scratch);
    for (int i = 0; i < 2; ++i) {
      convert_elements(kernels_, d_.table, static_cast<const std::byte*>(args.inputs[1 + i]) + skip, DType::f32,
                       cos + static_cast<Size>(i) * count, count);
    }
    call.cos = cos;
    call.sin = cos + count;
  }
  rotate(b, call, args);
}

void RotaryOp::rotate(const RotaryBinding& b, table::Args call, const RunArgs& args) const noexcept {
  if (in_place_type()) return row_->kernel(call);
  // f16: a row at a time through f32.
  auto* row = reinterpret_cast<float*>(args.thread_scratch + b.row_at);
  const Size heads = call.rows, width = 2 * b.half, bytes = b.size * size_of(d_.dtype);
  const auto* x = static_cast<const std::byte*>(call.x);
  auto* y = static_cast<std::byte*>(call.y);
  call.x = call.y = row;
  call.rows = 1;
  for (Size h = 0; h < heads; ++h) {
    convert_elements(kernels_, d_.dtype, x + h * bytes, DType::f32, row, width);
    row_->kernel(call);
    convert_elements(kernels_, DType::f32, row, d_.dtype, y + h * bytes, width);
    call.cos += call.table_pitch;
    call.sin += call.table_pitch;
  }
}

void RotaryOp::rotate_f64(const RotaryBinding& b, const double* x, double* y, const void* cos, const void* sin,
                          Size table_at) const noexcept {
  const auto angle = [&](const void* from, Size i) {
    return d_.table == DType::f64 ? static_cast<const double*>(from)[table_at + i]
                                  : static_cast<double>(static_cast<const float*>(from)[table_at + i]);
  };
  for (Size i = 0; i < b.half; ++i) {
    const Size first = d_.interleaved ? 2 * i : i, second = d_.interleaved ? 2 * i + 1 : i + b.half;
    const double u = x[first], v = x[second], c = angle(cos, i), s = angle(sin, i);
    y[first] = u * c - v * s;
    y[second] = v * c + u * s;
  }
}

}  // namespace

void RotaryDescriptor::fields(FieldVisitor& visitor) {
  visitor.field("dtype", dtype);
  visitor.field("table", table);
  visitor.field("interleaved", interleaved);
  visitor.field("heads", heads);
}

Status RotaryDescriptor::validate() const {
  if (!is_floating(dtype)) return bad(fmt::format("x of {}", name_of(dtype)));
  if (table != dtype && table != DType::f32) return bad(fmt::format("cos and sin of {}", name_of(table)));
  if (heads < 0) return bad(fmt::format("heads {}", heads));
  return {};
}

std::unique_ptr<Descriptor> RotaryDescriptor::clone() const {
  return std::make_unique<RotaryDescriptor>(*this);
}

std::unique_ptr<Descriptor> make_rotary_descriptor() {
  return std::make_unique<RotaryDescriptor>();
}

void add_rotary_candidates(std::vector<const Candidate*>& out) {
  static const SimpleCandidate<RotaryDescriptor, RotaryOp> candidate("intaglio.rotary", "rotary");
  out.push_back(&candidate);
}

}  // namespace intaglio::ops
