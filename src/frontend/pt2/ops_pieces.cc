// Slices, splits, joins and paddings.
#include <algorithm>

#include "frontend/pt2/ops.h"
#include "frontend/pt2/promote.h"

namespace intaglio::frontend::pt2::ops {
namespace {

using Values = std::vector<ir::Value*>;

Result<ir::Value*> ranked(Call& c, std::string_view name = "self") {
  INTAGLIO_TRY(ir::Value * x, c.tensor(name));
  if (x->rank() == 0) return fail(ErrorCode::file, "a tensor without dimensions has no pieces");
  return x;
}

// A position that may count from the end; the sign of a symbolic one must be known.
Result<Dim> position(Call& c, const Dim& index, const Dim& size) {
  const SymbolRange bounds = index.bounds(c.b.ranges());
  if (bounds.min >= 0) return index;
  if (bounds.max < 0) return size + index;
  return fail(ErrorCode::unsupported,
              "the index " + index.to_string() + " may be negative or not, depending on the input's shape");
}

Result<SliceSpec> slice_spec(Call& c, std::int64_t axis) {
  SliceSpec spec{.axis = axis, .start = {}, .end = {}, .step = 1};
  INTAGLIO_TRY(spec.start, c.optional_dim("start"));
  INTAGLIO_TRY(spec.end, c.optional_dim("end"));
  if (spec.end && spec.end->constant() == INT64_MAX) spec.end.reset();
  INTAGLIO_TRY(spec.step, c.integer("step", 1));
  if (spec.step < 1) return fail(ErrorCode::file, "slice: the step must be positive");
  return spec;
}

// Pieces of equal size along an axis, the last one smaller.
Result<Values> pieces(Call& c, ir::Value* x, const Dim& piece, std::int64_t axis) {
  const std::size_t count = c.result_count();
  if (count == 0) return fail(ErrorCode::file, "a split without results");
  const Dim size = x->shape()[static_cast<std::size_t>(axis)];
  Dims sizes(count - 1, piece);
  sizes.push_back(size - piece * Dim(static_cast<std::int64_t>(count) - 1));
  return c.b.split(x, sizes, axis);
}

}  // namespace

Status slice(Call& c) {
  INTAGLIO_TRY(ir::Value * x, ranked(c));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank(), 0));
  INTAGLIO_TRY(const SliceSpec spec, slice_spec(c, axis));
  return c.ret(c.b.slice(x, spec));
}

Status select(Call& c) {
  INTAGLIO_TRY(ir::Value * x, ranked(c));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank()));
  INTAGLIO_TRY(const auto index, c.optional_dim("index"));
  if (!index) return fail(ErrorCode::file, "argument 'index' is missing");
  INTAGLIO_TRY(const Dim at, position(c, *index, x->shape()[static_cast<std::size_t>(axis)]));
  return c.ret(c.b.select(x, axis, at));
}

Status narrow(Call& c) {
  INTAGLIO_TRY(ir::Value * x, ranked(c));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank()));
  INTAGLIO_TRY(const auto start, c.optional_dim("start"));
  INTAGLIO_TRY(const auto length, c.optional_dim("length"));
  if (!start || !length) return fail(ErrorCode::file, "narrow: start or length is missing");
  INTAGLIO_TRY(const Dim at, position(c, *start, x->shape()[static_cast<std::size_t>(axis)]));
  return c.ret(c.b.slice(x, SliceSpec{.axis = axis, .start = at, .end = at + *length, .step = 1}));
}

Status split(Call& c) {
  INTAGLIO_TRY(ir::Value * x, ranked(c));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank(), 0));
  INTAGLIO_TRY(const auto size, c.optional_dim("split_size"));
  if (!size) return fail(ErrorCode::file, "argument 'split_size' is missing");
  return c.ret_all(pieces(c, x, *size, axis));
}

Status split_with_sizes(Call& c) {
  INTAGLIO_TRY(ir::Value * x, ranked(c));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank(), 0));
  INTAGLIO_TRY(const Dims sizes, c.dims(c.find("split_sizes") != nullptr ? "split_sizes" : "split_size"));
  return c.ret_all(c.b.split(x, sizes, axis));
}

Status chunk(Call& c) {
  INTAGLIO_TRY(ir::Value * x, ranked(c));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank(), 0));
  INTAGLIO_TRY(const std::int64_t chunks, c.integer("chunks"));
  if (chunks < 1) return fail(ErrorCode::file, "chunk: at least one chunk");
  return c.ret_all(
      pieces(c, x, Dim::floordiv(x->shape()[static_cast<std::size_t>(axis)] + Dim(chunks - 1), Dim(chunks)), axis));
}

// The first half times the sigmoid of the second.
Status glu(Call& c) {
  INTAGLIO_TRY(ir::Value * x, ranked(c));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank(), -1));
  const auto half = Dim::exact_div(x->shape()[static_cast<std::size_t>(axis)], Dim(2));
  if (!half) return fail(ErrorCode::unsupported, "glu along a dimension that is not provably even");
  INTAGLIO_TRY(const Values halves, c.b.split(x, Dims{*half, *half}, axis));
  return c.ret(c.b.mul(halves[0], c.b.sigmoid(halves[1])));
}

Status unbind(Call& c) {
  INTAGLIO_TRY(ir::Value * x, ranked(c));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank(), 0));
  if (x->shape()[static_cast<std::size_t>(axis)] != Dim(static_cast<std::int64_t>(c.result_count()))) {
    return fail(ErrorCode::file, "unbind: another number of results than the dimension's size");
  }
  for (std::size_t i = 0; i < c.result_count(); ++i) {
    INTAGLIO_CHECK(c.ret(c.b.select(x, axis, Dim(static_cast<std::int64_t>(i)))));
  }
  return {};
}

namespace {

// All tensors in their common dtype.
Result<std::vector<MaybeValue>> parts(Call& c, const Values& tensors) {
  std::vector<Operand> operands;
  for (ir::Value* tensor : tensors) {
    if (tensor == nullptr) return fail(ErrorCode::file, "None in a list of tensors");
    operands.push_back({.tensor = tensor, .scalar = {}});
  }
  if (operands.empty()) return fail(ErrorCode::file, "an empty list of tensors");
  const DType dtype = result_type(operands);
  std::vector<MaybeValue> values;
  for (ir::Value* tensor : tensors) values.push_back(c.b.cast(tensor, dtype));
  return values;
}

}  // namespace

Status cat(Call& c) {
  INTAGLIO_TRY(Values tensors, c.tensors("tensors"));
  // torch skips empty tensors of shape [0], whatever the rank of the others.
  const auto skipped = [](const ir::Value* v) { return v != nullptr && v->rank() == 1 && v->shape()[0] == Dim(0); };
  const bool mixed =
      std::any_of(tensors.begin(), tensors.end(), [](const ir::Value* v) { return v != nullptr && v->rank() != 1; });
  if (mixed) tensors.erase(std::remove_if(tensors.begin(), tensors.end(), skipped), tensors.end());
  INTAGLIO_TRY(const auto values, parts(c, tensors));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", tensors.front()->rank(), 0));
  return c.ret(c.b.concat(values, axis));
}

Status stack(Call& c) {
  INTAGLIO_TRY(const Values tensors, c.tensors("tensors"));
  INTAGLIO_TRY(std::vector<MaybeValue> values, parts(c, tensors));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", tensors.front()->rank() + 1, 0));
  for (MaybeValue& value : values) value = c.b.unsqueeze(value, std::vector<std::int64_t>{axis});
  return c.ret(c.b.concat(values, axis));
}

namespace {

// x with [start, end) along axis replaced by src.
MaybeValue replaced(Call& c, ir::Value* x, const MaybeValue& src, std::int64_t axis, const SliceBounds& bounds) {
  const MaybeValue all[] = {c.b.slice(x, SliceSpec{.axis = axis, .start = Dim(0), .end = bounds.start, .step = 1}), src,
                            c.b.slice(x, SliceSpec{.axis = axis, .start = bounds.end, .end = {}, .step = 1})};
  return c.b.concat(all, axis);
}

}  // namespace

Status slice_scatter(Call& c) {
  INTAGLIO_TRY(ir::Value * x, ranked(c));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank(), 0));
  INTAGLIO_TRY(const SliceSpec spec, slice_spec(c, axis));
  if (spec.step != 1) return fail(ErrorCode::unsupported, "slice_scatter with a step is not supported");
  const Dim size = x->shape()[static_cast<std::size_t>(axis)];
  INTAGLIO_TRY(const SliceBounds bounds, normalise_slice(spec, size, c.b.ranges()));
  Dims shape = x->shape();
  shape[static_cast<std::size_t>(axis)] = bounds.end - bounds.start;
  const MaybeValue src = c.b.expand(c.b.cast(c.tensor("src"), x->dtype()), shape);
  if (bounds.start == Dim(0) && bounds.end == size) return c.ret(src);
  return c.ret(replaced(c, x, src, axis, bounds));
}

Status select_scatter(Call& c) {
  INTAGLIO_TRY(ir::Value * x, ranked(c));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank()));
  INTAGLIO_TRY(const auto index, c.optional_dim("index"));
  if (!index) return fail(ErrorCode::file, "argument 'index' is missing");
  INTAGLIO_TRY(const Dim at, position(c, *index, x->shape()[static_cast<std::size_t>(axis)]));
  const MaybeValue src = c.b.unsqueeze(c.b.cast(c.tensor("src"), x->dtype()), std::vector<std::int64_t>{axis});
  return c.ret(replaced(c, x, src, axis, {.start = at, .end = at + Dim(1)}));
}

Status flip(Call& c) {
  INTAGLIO_TRY(ir::Value * x, ranked(c));
  INTAGLIO_TRY(const auto dims, c.ints("dims"));
  std::vector<SliceSpec> specs;
  for (const std::int64_t dim : dims.value_or(std::vector<std::int64_t>{})) {
    INTAGLIO_TRY(const std::int64_t axis, normalise_axis(dim, x->rank()));
    specs.push_back({.axis = axis, .start = {}, .end = {}, .step = -1});
  }
  return c.ret(specs.empty() ? MaybeValue(x) : c.b.slice(x, specs));
}

Status roll(Call& c) {
  INTAGLIO_TRY(ir::Value * x, ranked(c));
  INTAGLIO_TRY(const auto shifts, c.ints("shifts"));
  INTAGLIO_TRY(const auto dims, c.ints("dims"));
  const bool flat = !dims || dims->empty();
  if (!shifts || (flat ? shifts->size() != 1 : shifts->size() != dims->size()))
    return fail(ErrorCode::file, "roll: shifts and dims differ in number");
  MaybeValue y = flat ? c.b.reshape(x, {element_count(x->shape())}) : MaybeValue(x);
  for (std::size_t i = 0; i < shifts->size(); ++i) {
    INTAGLIO_TRY(ir::Value * now, y);
    INTAGLIO_TRY(const std::int64_t axis, normalise_axis(flat ? 0 : (*dims)[i], now->rank()));
    const auto size = now->shape()[static_cast<std::size_t>(axis)].constant();
    if (!size) return fail(ErrorCode::unsupported, "roll along a dimension of unknown size is not supported");
    if (*size == 0) continue;
    const std::int64_t shift = ((*shifts)[i] % *size + *size) % *size;
    if (shift == 0) continue;
    const MaybeValue turned[] = {
        c.b.slice(now, SliceSpec{.axis = axis, .start = Dim(*size - shift), .end = {}, .step = 1}),
        c.b.slice(now, SliceSpec{.axis = axis, .start = Dim(0), .end = Dim(*size - shift), .step = 1})};
    y = c.b.concat(turned, axis);
  }
  return c.ret(flat ? c.b.reshape(y, x->shape()) : y);
}

// Differences of neighbours, n times over; prepend and append are joined on first.
Status diff(Call& c) {
  INTAGLIO_TRY(ir::Value * x, ranked(c));
  INTAGLIO_TRY(const std::int64_t times, c.integer("n", 1));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank(), -1));
  INTAGLIO_TRY(ir::Value * before, c.optional_tensor("prepend"));
  INTAGLIO_TRY(ir::Value * after, c.optional_tensor("append"));
  if (x->dtype() == DType::boolean) return fail(ErrorCode::unsupported, "diff of truth values is not supported");
  if (times < 0) return fail(ErrorCode::file, "diff: n is negative");
  if (times == 0) return c.ret(x);
  std::vector<MaybeValue> parts;
  if (before != nullptr) parts.emplace_back(before);
  parts.emplace_back(x);
  if (after != nullptr) parts.emplace_back(after);
  MaybeValue y = c.b.concat(parts, axis);
  for (std::int64_t i = 0; i < times; ++i) {
    const MaybeValue next = c.b.slice(y, SliceSpec{.axis = axis, .start = Dim(1), .end = {}, .step = 1});
    const MaybeValue last = c.b.slice(y, SliceSpec{.axis = axis, .start = Dim(0), .end = Dim(-1), .step = 1});
    y = c.b.sub(next, last);
  }
  return c.ret(y);
}

// torch lists pads from the last axis backwards, and negative pads crop.
Status pad(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(const Dims pads, c.dims("pad"));
  INTAGLIO_TRY(const std::string_view mode, c.string("mode", "constant"));
  INTAGLIO_TRY(const double value, c.floating("value", 0));
  if (mode != "constant")
    return fail(ErrorCode::unsupported, "padding of mode '" + std::string(mode) + "' is not supported");
  const std::size_t rank = x->shape().size();
  if (pads.size() % 2 != 0 || pads.size() / 2 > rank) return fail(ErrorCode::file, "pad: a wrong number of pads");
  Dims before(rank, Dim(0)), after(rank, Dim(0));
  MaybeValue y = x;
  for (std::size_t i = 0; i < pads.size() / 2; ++i) {
    const std::size_t axis = rank - 1 - i;
    for (const bool front : {true, false}) {
      const Dim& amount = pads[2 * i + (front ? 0 : 1)];
      const SymbolRange bounds = amount.bounds(c.b.ranges());
      if (bounds.min >= 0) {
        (front ? before : after)[axis] = amount;
      } else if (amount.is_constant()) {
        SliceSpec spec{.axis = static_cast<std::int64_t>(axis), .start = {}, .end = {}, .step = 1};
        (front ? spec.start : spec.end) = front ? Dim(0) - amount : amount;
        y = c.b.slice(y, spec);
      } else {
        return fail(ErrorCode::unsupported, "pad: the amount " + amount.to_string() + " may be negative");
      }
    }
  }
  const auto zero = [](const Dim& d) { return d == Dim(0); };
  if (std::all_of(before.begin(), before.end(), zero) && std::all_of(after.begin(), after.end(), zero)) return c.ret(y);
  return c.ret(c.b.op(ir::Op::pad, {y}, {{"before", before}, {"after", after}, {"value", value}}));
}

}  // namespace intaglio::frontend::pt2::ops
