// Reductions, norms of vectors, softmax.
#include <cmath>
#include <limits>

#include "frontend/pt2/ops.h"
#include "frontend/pt2/promote.h"

namespace intaglio::frontend::pt2::ops {
namespace {

using ir::Op;
using Axes = std::vector<std::int64_t>;

struct Reduction {
  ir::Value* x = nullptr;
  Axes axes;
  bool keep = false;
};

Result<Reduction> reduction(Call& c) {
  Reduction r;
  INTAGLIO_TRY(r.x, c.tensor("self"));
  INTAGLIO_TRY(r.axes, reduction_axes(c, "dim", r.x->rank()));
  INTAGLIO_TRY(r.keep, c.boolean("keepdim", false));
  return r;
}

MaybeValue reduced(Call& c, std::string_view kind, const Reduction& r, DType dtype) {
  return c.b.reduce(kind, c.b.cast(r.x, dtype), r.axes, r.keep);
}

// Sums of integers are taken in i64.
Status summed(Call& c, std::string_view kind) {
  INTAGLIO_TRY(const Reduction r, reduction(c));
  INTAGLIO_TRY(const auto dtype, c.dtype());
  return c.ret(reduced(c, kind, r, dtype.value_or(is_floating(r.x->dtype()) ? r.x->dtype() : DType::i64)));
}

// min and max have no bool form in the IR; any and all are the same thing.
Status extreme(Call& c, std::string_view kind) {
  INTAGLIO_TRY(const Reduction r, reduction(c));
  const bool boolean = r.x->dtype() == DType::boolean;
  return c.ret(reduced(c, boolean ? (kind == "max" ? "any" : "all") : kind, r, r.x->dtype()));
}

Status quantified(Call& c, std::string_view kind) {
  INTAGLIO_TRY(const Reduction r, reduction(c));
  const MaybeValue y = reduced(c, kind, r, DType::boolean);
  return c.ret(r.x->dtype() == DType::u8 ? c.b.cast(y, DType::u8) : y);  // torch keeps u8, for the sake of old masks
}

Status with_index(Call& c, std::string_view kind) {
  INTAGLIO_TRY(const Reduction r, reduction(c));
  if (r.axes.size() != 1) return fail(ErrorCode::file, "max and min along a dimension want one");
  INTAGLIO_CHECK(c.ret(reduced(c, kind, r, r.x->dtype())));
  return c.ret(c.b.op(Op::argmax, {r.x}, {{"axis", r.axes[0]}, {"keepdims", r.keep}, {"min", kind == "min"}}));
}

Status position(Call& c, bool smallest_one) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(const bool keep, c.boolean("keepdim", false));
  if (c.find("dim") != nullptr && x->rank() > 0) {
    INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank()));
    return c.ret(c.b.op(Op::argmax, {x}, {{"axis", axis}, {"keepdims", keep}, {"min", smallest_one}}));
  }
  const MaybeValue flat = c.b.reshape(x, {element_count(x->shape())});
  const MaybeValue y =
      c.b.op(Op::argmax, {flat}, {{"axis", std::int64_t{0}}, {"keepdims", false}, {"min", smallest_one}});
  return c.ret(keep ? c.b.reshape(y, Dims(x->shape().size(), Dim(1))) : y);
}

struct Moments {
  MaybeValue mean, variance;
};

Moments moments(Call& c, const Reduction& r, double correction) {
  Dim count = 1;
  for (const std::int64_t axis : r.axes) count = count * r.x->shape()[static_cast<std::size_t>(axis)];
  const MaybeValue mean = c.b.reduce("mean", r.x, r.axes, true);
  const MaybeValue centred = c.b.sub(r.x, mean);
  const MaybeValue sum = c.b.reduce("sum", c.b.mul(centred, centred), r.axes, r.keep);
  const MaybeValue divisor = c.b.add(scalar_value(c.b, Scalar::of(count), r.x->dtype()), -correction);
  // torch divides by max(0, n - correction): nothing left gives NaN or infinity.
  return {.mean = r.keep ? mean : c.b.squeeze(mean, r.axes),
          .variance = c.b.div(sum, c.b.maximum(divisor, c.b.scalar_like(0, divisor)))};
}

Result<Moments> read_moments(Call& c) {
  INTAGLIO_TRY(const Reduction r, reduction(c));
  // The overloads `dim` and `default` say `unbiased` for a correction of 1 or 0.
  INTAGLIO_TRY(const bool unbiased, c.boolean("unbiased", true));
  INTAGLIO_TRY(const double correction, c.floating("correction", unbiased ? 1 : 0));
  if (!is_floating(r.x->dtype())) return fail(ErrorCode::file, "a variance of integers");
  return moments(c, r, correction);
}

MaybeValue softmax_value(Call& c, bool log) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank()));
  INTAGLIO_TRY(const auto dtype, c.dtype());
  INTAGLIO_TRY(const bool to_float, c.boolean("half_to_float", false));
  const DType wanted = to_float ? DType::f32 : dtype.value_or(float_type(x->dtype()));
  if (x->rank() == 0) return filled(c.b, {}, Scalar::of(log ? 0 : 1), wanted);
  return c.b.softmax(c.b.cast(x, wanted), axis, log);
}

}  // namespace

Result<Axes> reduction_axes(const Call& c, std::string_view name, std::int64_t rank) {
  INTAGLIO_TRY(const auto given, c.ints(name));
  Axes axes;
  if (given && !given->empty()) {
    INTAGLIO_TRY(axes, normalise_axes(*given, rank == 0 ? 1 : rank));
    if (rank == 0) axes.clear();
    return axes;
  }
  for (std::int64_t i = 0; i < rank; ++i) axes.push_back(i);
  return axes;
}

Status sum(Call& c) {
  return summed(c, "sum");
}
Status prod(Call& c) {
  return summed(c, "prod");
}

Status mean(Call& c) {
  INTAGLIO_TRY(const Reduction r, reduction(c));
  INTAGLIO_TRY(const auto dtype, c.dtype());
  const DType compute = dtype.value_or(r.x->dtype());
  if (!is_floating(compute)) return fail(ErrorCode::file, "a mean of integers");
  return c.ret(reduced(c, "mean", r, compute));
}

Status amax(Call& c) {
  return extreme(c, "max");
}
Status amin(Call& c) {
  return extreme(c, "min");
}
Status max_dim(Call& c) {
  return with_index(c, "max");
}
Status min_dim(Call& c) {
  return with_index(c, "min");
}
Status any(Call& c) {
  return quantified(c, "any");
}
Status all(Call& c) {
  return quantified(c, "all");
}
Status argmax(Call& c) {
  return position(c, false);
}
Status argmin(Call& c) {
  return position(c, true);
}

Status aminmax(Call& c) {
  INTAGLIO_TRY(const Reduction r, reduction(c));
  INTAGLIO_CHECK(c.ret(reduced(c, "min", r, r.x->dtype())));
  return c.ret(reduced(c, "max", r, r.x->dtype()));
}

Status var(Call& c) {
  INTAGLIO_TRY(const Moments m, read_moments(c));
  return c.ret(m.variance);
}

Status std_deviation(Call& c) {
  INTAGLIO_TRY(const Moments m, read_moments(c));
  return c.ret(c.b.sqrt(m.variance));
}

Status var_mean(Call& c) {
  INTAGLIO_TRY(const Moments m, read_moments(c));
  INTAGLIO_CHECK(c.ret(m.variance));
  return c.ret(m.mean);
}

Status vector_norm(Call& c) {
  INTAGLIO_TRY(Reduction r, reduction(c));
  INTAGLIO_TRY(const double order, c.floating("ord", 2));
  INTAGLIO_TRY(const auto dtype, c.dtype());
  INTAGLIO_TRY(r.x, c.b.cast(r.x, dtype.value_or(float_type(r.x->dtype()))));
  const MaybeValue size = c.b.op(Op::abs, {r.x});
  if (order == 2) return c.ret(c.b.reduce("l2", r.x, r.axes, r.keep));
  if (order == 1) return c.ret(c.b.reduce("l1", r.x, r.axes, r.keep));
  if (std::isinf(order)) return c.ret(c.b.reduce(order > 0 ? "max" : "min", size, r.axes, r.keep));
  if (order == 0) {
    const MaybeValue nonzero = c.b.cast(c.b.op(Op::ne, {r.x, c.b.scalar_like(0, r.x)}), r.x->dtype());
    return c.ret(c.b.reduce("sum", nonzero, r.axes, r.keep));
  }
  const MaybeValue powers = c.b.pow(size, c.b.scalar_like(order, r.x));
  return c.ret(c.b.pow(c.b.reduce("sum", powers, r.axes, r.keep), c.b.scalar_like(1 / order, r.x)));
}

// x1 . x2 over max(|x1|, eps) * max(|x2|, eps)
Status cosine_similarity(Call& c) {
  INTAGLIO_TRY(ir::Value * a, c.tensor("x1"));
  INTAGLIO_TRY(ir::Value * b, c.tensor("x2"));
  INTAGLIO_TRY(const double eps, c.floating("eps", 1e-8));
  const DType dtype = float_type(promote(a->dtype(), b->dtype()));
  INTAGLIO_TRY(a, c.b.broadcast_with(c.b.cast(a, dtype), b->shape()));
  INTAGLIO_TRY(b, c.b.broadcast_with(c.b.cast(b, dtype), a->shape()));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", a->rank(), 1));
  if (a->rank() == 0) return fail(ErrorCode::file, "cosine_similarity wants at least one dimension");
  const auto unit = [&](ir::Value* v) {
    const MaybeValue norm = c.b.reduce("l2", v, {axis}, true);
    return c.b.div(v, c.b.maximum(norm, c.b.scalar_like(eps, norm)));
  };
  return c.ret(c.b.reduce("sum", c.b.mul(unit(a), unit(b)), {axis}, false));
}

Status cumsum(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank()));
  INTAGLIO_TRY(const auto dtype, c.dtype());
  const MaybeValue wide = c.b.cast(x, dtype.value_or(is_floating(x->dtype()) ? x->dtype() : DType::i64));
  if (x->rank() == 0) return c.ret(wide);
  return c.ret(c.b.op(Op::cumsum, {wide}, {{"axis", axis}}));
}

Status softmax(Call& c) {
  return c.ret(softmax_value(c, false));
}
Status log_softmax(Call& c) {
  return c.ret(softmax_value(c, true));
}

// A row of -infinity gives 0, where softmax gives NaN.
Status safe_softmax(Call& c) {
  INTAGLIO_TRY(ir::Value * y, softmax_value(c, false));
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank()));
  if (x->rank() == 0) return c.ret(y);
  const MaybeValue lowest = c.b.scalar_like(-std::numeric_limits<double>::infinity(), x);
  const MaybeValue masked = c.b.reduce("all", c.b.op(Op::eq, {x, lowest}), {axis}, true);
  return c.ret(c.b.where(masked, c.b.scalar_like(0, y), y));
}

}  // namespace intaglio::frontend::pt2::ops
