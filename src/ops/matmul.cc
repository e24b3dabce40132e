// The matmul family: descriptor, its rules, shapes, candidates.
#include "ops/matmul.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/families.h"
#include "ops/linear_loops.h"
#include "ops/matmul_op.h"

namespace intaglio::ops {
namespace {

bool is_byte(DType t) {
  return t == DType::u8 || t == DType::i8;
}
}  // namespace

bool has_gemm(const MatmulDescriptor& d) {
  return d.a == DType::f32 || d.a == DType::f16 || d.a == DType::bf16 || is_byte(d.a);
}

kernels::gemm::Types gemm_types(const MatmulDescriptor& d, IsaSet isa) {
  using kernels::gemm::Types;
  if (is_byte(d.a)) return d.a == DType::i8 ? Types::s8s8i32 : Types::u8s8i32;
  return float_types(d.a, d.b, isa);
}

void MatmulDescriptor::fields(FieldVisitor& visitor) {
  visitor.field("a", a);
  visitor.field("b", b);
  visitor.field("output", output);
  visitor.field("transpose_a", transpose_a);
  visitor.field("transpose_b", transpose_b);
  visitor.field("a_zero", a_zero);
  visitor.field("b_zero", b_zero);
  visitor.field("alpha", alpha);
}

std::unique_ptr<Descriptor> MatmulDescriptor::clone() const {
  return std::make_unique<MatmulDescriptor>(*this);
}

Status MatmulDescriptor::validate() const {
  const auto bad = [](std::string message) { return fail(ErrorCode::usage, "matmul: " + message); };
  if (is_byte(a) && is_byte(b) && output == DType::i32) {
    if (alpha != 1.0) return bad("alpha needs f32");
    return {};
  }
  const bool known = a != DType::boolean && !is_byte(a) && a != DType::i16 && a != DType::u16;
  if (!known || a != b || output != a) {
    return bad(fmt::format("{} by {} to {}", name_of(a), name_of(b), name_of(output)));
  }
  if (a_zero || b_zero) return bad("zero points need 8-bit integers");
  if (alpha != 1.0 && a != DType::f32) return bad("alpha needs f32");
  return {};
}

std::unique_ptr<Descriptor> make_matmul_descriptor() {
  return std::make_unique<MatmulDescriptor>();
}

namespace {

tl::unexpected<Error> bad(std::string message) {
  return fail(ErrorCode::usage, "matmul: " + message);
}

// An operand as a stack of matrices; a vector as one row (a) or one column (b).
struct Stack {
  Shape batch;
  std::int64_t rows = 1, columns = 1;
  MatrixStrides strides;
};
Stack stack_of(const Shape& shape, bool transposed, bool vector_is_row) {
  Stack out;
  if (shape.size() == 1) {
    (vector_is_row ? out.columns : out.rows) = shape[0];
    const auto length = static_cast<std::size_t>(shape[0]);
    out.strides = vector_is_row ? MatrixStrides{length, 1} : MatrixStrides{1, 1};
    return out;
  }
  out.batch.assign(shape.begin(), shape.end() - 2);
  out.rows = shape[shape.size() - 2];
  out.columns = shape.back();
  out.strides = {static_cast<std::size_t>(out.columns), 1};
  if (transposed) {
    std::swap(out.rows, out.columns);
    std::swap(out.strides.row, out.strides.column);
  }
  return out;
}

// How the matrices of both operands follow the output's batch dims.
std::vector<MatmulShape::BatchDim> batch_dims(const Shape& a, const Shape& b, const Shape& batch) {
  std::vector<MatmulShape::BatchDim> out(batch.size());
  const auto steps = [&](const Shape& own, std::size_t MatmulShape::BatchDim::* step) {
    std::size_t stride = 1;
    for (std::size_t d = 0; d < own.size(); ++d) {
      const auto size = static_cast<std::size_t>(own[own.size() - 1 - d]);
      if (size != 1) out[d].*step = stride;
      stride *= size;
    }
  };
  for (std::size_t d = 0; d < batch.size(); ++d) out[d].size = static_cast<std::size_t>(batch[batch.size() - 1 - d]);
  steps(a, &MatmulShape::BatchDim::a_step);
  steps(b, &MatmulShape::BatchDim::b_step);
  return out;
}

Status check_zero(const BindRequest& request, std::size_t index, std::string_view what, DType dtype,
                  std::int64_t count) {
  const Operand& zero = request.inputs[index];
  INTAGLIO_TRY(const std::int64_t got, element_count(zero.shape));
  if (zero.dtype == dtype && (got == 1 || got == count)) return {};
  return bad(fmt::format("{} is {} {}, expected {} with 1 or {} elements", what, name_of(zero.dtype),
                         intaglio::to_string(zero.shape), name_of(dtype), count));
}

}  // namespace

Result<MatmulShape> resolve_matmul(const MatmulDescriptor& d, const BindRequest& request) {
  const std::size_t inputs = 2 + (d.a_zero ? 1 : 0) + (d.b_zero ? 1 : 0);
  if (request.inputs.size() != inputs || request.outputs.size() != 1 || request.threads < 1) {
    return bad(fmt::format("{} inputs and {} outputs, expected {} and 1", request.inputs.size(), request.outputs.size(),
                           inputs));
  }
  const Operand &a = request.inputs[0], &b = request.inputs[1], &y = request.outputs[0];
  const auto text = [](const Operand& o) {
    return fmt::format("{} {}", name_of(o.dtype), intaglio::to_string(o.shape));
  };
  if (a.dtype != d.a || b.dtype != d.b || a.shape.empty() || b.shape.empty()) {
    return bad(fmt::format("a is {} and b is {}, expected {} and {} of rank 1 or more", text(a), text(b), name_of(d.a),
                           name_of(d.b)));
  }
  INTAGLIO_CHECK(byte_count(a.shape, a.dtype));
  INTAGLIO_CHECK(byte_count(b.shape, b.dtype));
  const Stack left = stack_of(a.shape, d.transpose_a, true), right = stack_of(b.shape, d.transpose_b, false);
  if (left.columns != right.rows) {
    return bad(
        fmt::format("a is {} and b is {}: {} columns against {} rows", text(a), text(b), left.columns, right.rows));
  }
  auto batch = broadcast(left.batch, right.batch);
  if (!batch) return bad(fmt::format("the batches of a {} and b {} do not broadcast", text(a), text(b)));
  Shape y_shape = *batch;
  if (a.shape.size() > 1) y_shape.push_back(left.rows);
  if (b.shape.size() > 1) y_shape.push_back(right.columns);
  INTAGLIO_CHECK(byte_count(y_shape, d.output));
  if (y.dtype != d.output || y.shape != y_shape) {
    return bad(fmt::format("y is {}, expected {} {}", text(y), name_of(d.output), intaglio::to_string(y_shape)));
  }
  if (d.a_zero) INTAGLIO_CHECK(check_zero(request, 2, "a_zero", d.a, left.rows));
  if (d.b_zero) INTAGLIO_CHECK(check_zero(request, inputs - 1, "b_zero", d.b, right.columns));

  MatmulShape out;
  out.m = static_cast<std::size_t>(left.rows);
  out.n = static_cast<std::size_t>(right.columns);
  out.k = static_cast<std::size_t>(left.columns);
  out.a = left.strides;
  out.b = right.strides;
  INTAGLIO_TRY(const std::int64_t batches, element_count(*batch));
  out.batches = out.m == 0 || out.n == 0 ? 0 : static_cast<std::size_t>(batches);
  if (out.batches == 0) return out;  // nothing to compute
  INTAGLIO_TRY(const std::int64_t a_matrices, element_count(left.batch));
  INTAGLIO_TRY(const std::int64_t b_matrices, element_count(right.batch));
  out.a_matrices = static_cast<std::size_t>(a_matrices);
  out.b_matrices = static_cast<std::size_t>(b_matrices);
  out.batch = batch_dims(left.batch, right.batch, *batch);
  return out;
}

namespace {

class MatmulCandidate final : public Candidate {
 public:
  explicit MatmulCandidate(bool packed) : packed_(packed) {}
  std::string_view name() const override { return packed_ ? "intaglio.matmul" : "intaglio.matmul_plain"; }
  std::string_view family() const override { return "matmul"; }

  std::optional<std::string> refuses(const Descriptor& descriptor, const Target& target) const override {
    const auto* d = dynamic_cast<const MatmulDescriptor*>(&descriptor);
    if (d == nullptr) return "not a matmul";
    if (const Status status = d->validate(); !status) return status.error().message;
    if (has_gemm(*d) != packed_) {
      return fmt::format("{}: {}", name_of(d->a),
                         packed_ ? "no GEMM kernels of this type" : "the packed GEMM multiplies this type");
    }
    if (packed_ && choose_gemm(gemm_types(*d, target.isa), target.isa, kManyRows) == nullptr)
      return "no GEMM kernel for this machine";
    return std::nullopt;
  }
  Result<std::vector<Blob>> pack(const Descriptor&, std::span<const Constant>, const Target&) const override {
    return std::vector<Blob>{};
  }
  Result<std::unique_ptr<PreparedOp>> prepare(const Descriptor& descriptor, std::vector<Blob>,
                                              const Target& target) const override {
    if (const auto reason = refuses(descriptor, target)) {
      return fail(ErrorCode::file, fmt::format("{}: {}", name(), *reason), {}, "recompile for this machine");
    }
    const auto& d = static_cast<const MatmulDescriptor&>(descriptor);
    return packed_ ? prepare_matmul_packed(d, target) : prepare_matmul_plain(d);
  }

 private:
  bool packed_;
};

}  // namespace

void add_matmul_candidates(std::vector<const Candidate*>& out) {
  static const MatmulCandidate packed(true), plain(false);
  out.push_back(&packed);
  out.push_back(&plain);
}

}  // namespace intaglio::ops
