#include "frontend/onnx/fold.h"

#include <algorithm>
#include <limits>

#include "base/shape.h"

namespace intaglio::frontend::onnx {
namespace {

bool set_reasonable(NodeContext& c, std::size_t output, Known known) {
  if (known.dims.size() > kMaxKnown) return false;
  for (const Dim& dim : known.dims) {
    if (!is_reasonable(dim)) return false;
  }
  c.set_known(output, std::move(known));
  return true;
}

std::optional<Dim> truth(bool value) {
  return Dim(value ? 1 : 0);
}

std::optional<Dim> equal(const Dim& a, const Dim& b, const SymbolRanges& ranges) {
  if (a == b) return truth(true);
  if (provably_less(a, b, ranges) || provably_less(b, a, ranges)) return truth(false);
  return std::nullopt;
}

std::optional<Dim> less(const Dim& a, const Dim& b, const SymbolRanges& ranges) {
  if (provably_less(a, b, ranges)) return truth(true);
  if (provably_at_most(b, a, ranges)) return truth(false);
  return std::nullopt;
}

bool positive(const Dim& x, const SymbolRanges& ranges) {
  return x.bounds(ranges).min > 0;
}
bool not_negative(const Dim& x, const SymbolRanges& ranges) {
  return x.bounds(ranges).min >= 0;
}

std::optional<Dim> checked(std::optional<std::int64_t> value) {
  if (!value) return std::nullopt;
  return Dim(*value);
}

std::optional<Dim> apply_constants(std::string_view op, std::int64_t a, std::int64_t b, bool fmod) {
  if (op == "Add" || op == "Sum") return checked(checked_add(a, b));
  if (op == "Sub") return b == std::numeric_limits<std::int64_t>::min() ? std::nullopt : checked(checked_add(a, -b));
  if (op == "Mul") return checked(checked_mul(a, b));
  const bool divides = b != 0 && !(b == -1 && a == std::numeric_limits<std::int64_t>::min());
  if (op == "Div") return divides ? std::optional(Dim(a / b)) : std::nullopt;
  if (op == "Mod" && divides) return Dim(fmod || a % b == 0 || (a % b < 0) == (b < 0) ? a % b : a % b + b);
  return std::nullopt;
}

// One element; nullopt: not decidable from ranges.
std::optional<Dim> apply(std::string_view op, const Dim& a, const Dim& b, bool fmod, const SymbolRanges& ranges) {
  if (op == "Min") return smallest(a, b, ranges);
  if (op == "Max") return largest(a, b, ranges);
  if (op == "Equal") return equal(a, b, ranges);
  if (op == "Less") return less(a, b, ranges);
  if (op == "Greater") return less(b, a, ranges);
  if (op == "LessOrEqual" || op == "GreaterOrEqual") {
    const auto inverse = op == "LessOrEqual" ? less(b, a, ranges) : less(a, b, ranges);
    if (!inverse) return std::nullopt;
    return Dim(1) - *inverse;
  }
  if (op == "And") return a * b;  // bools only
  if (op == "Or") return a + b - a * b;
  if (op == "Xor") return a + b - a * b * Dim(2);
  const auto ca = a.constant(), cb = b.constant();
  if (ca && cb) return apply_constants(op, *ca, *cb, fmod);
  if (op == "Add" || op == "Sum") return a + b;
  if (op == "Sub") return a - b;
  if (op == "Mul") return a * b;
  // ONNX truncates; floordiv is the same where nothing is negative.
  if (!not_negative(a, ranges) || !positive(b, ranges)) return std::nullopt;
  if (op == "Div") return Dim::floordiv(a, b);
  if (op == "Mod") return Dim::mod(a, b);
  return std::nullopt;
}

bool is_comparison(std::string_view op) {
  return op == "Equal" || op == "Less" || op == "Greater" || op == "LessOrEqual" || op == "GreaterOrEqual";
}

bool fits(const Dim& value, DType dtype) {
  const auto constant = value.constant();
  if (!constant || dtype == DType::i64) return true;
  return static_cast<double>(*constant) >= lowest_of(dtype) && static_cast<double>(*constant) <= highest_of(dtype);
}

// a op b with broadcasting between one and many elements.
std::optional<Known> combine(std::string_view op, const Known& a, const Known& b, bool fmod,
                             const SymbolRanges& ranges) {
  if (a.dtype != b.dtype) return std::nullopt;
  const bool bools = a.dtype == DType::boolean;
  if (bools != (op == "And" || op == "Or" || op == "Xor") && !(bools && op == "Equal")) return std::nullopt;
  const std::size_t na = a.dims.size(), nb = b.dims.size();
  if (na != nb && na != 1 && nb != 1) return std::nullopt;
  Known out{is_comparison(op) ? DType::boolean : a.dtype, std::max(a.rank, b.rank), {}};
  const std::size_t count = na == 1 ? nb : na;
  for (std::size_t i = 0; i < count; ++i) {
    auto element = apply(op, a.dims[na == 1 ? 0 : i], b.dims[nb == 1 ? 0 : i], fmod, ranges);
    if (!element || !fits(*element, out.dtype) || !is_reasonable(*element)) return std::nullopt;
    out.dims.push_back(std::move(*element));
  }
  return out;
}

std::optional<std::vector<std::int64_t>> constants_of(const Known* known) {
  if (known == nullptr) return std::nullopt;
  return constant_values(known->dims);
}

}  // namespace

Result<bool> fold_shape(NodeContext& c) {
  INTAGLIO_TRY(const Dims shape, c.shape(0));
  const auto rank = static_cast<std::int64_t>(shape.size());
  const auto clamp = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const std::int64_t begin = clamp(c.attr_int("start", 0)), end = clamp(c.attr_int("end", rank));
  Known known;
  for (std::int64_t i = begin; i < end; ++i) known.dims.push_back(shape[static_cast<std::size_t>(i)]);
  return set_reasonable(c, 0, std::move(known));
}

Result<bool> fold_size(NodeContext& c) {
  INTAGLIO_TRY(const Dims shape, c.shape(0));
  return set_reasonable(c, 0, {DType::i64, 0, {element_count(shape)}});
}

Result<bool> fold_identity(NodeContext& c) {
  const Known* x = c.known(0);
  return x != nullptr && set_reasonable(c, 0, *x);
}

Result<bool> fold_cast(NodeContext& c) {
  const Known* x = c.known(0);
  const auto to = dtype_of(static_cast<std::int32_t>(c.attr_int("to", 0)));
  if (x == nullptr || !to || is_floating(*to)) return false;
  Known out{*to, x->rank, {}};
  for (const Dim& dim : x->dims) {
    if (*to == DType::boolean) {
      const auto zero = equal(dim, Dim(0), c.b.ranges());
      if (!zero) return false;
      out.dims.push_back(Dim(1) - *zero);
    } else {
      // Narrow types wrap; a dim that is not constant is taken to fit in 32 bits and more.
      if (!fits(dim, *to) || (!dim.is_constant() && size_of(*to) < 4)) return false;
      out.dims.push_back(dim);
    }
  }
  return set_reasonable(c, 0, std::move(out));
}

Result<bool> fold_binary(NodeContext& c) {
  const Known *a = c.known(0), *b = c.known(1);
  if (a == nullptr || b == nullptr) return false;
  auto out = combine(c.op_type(), *a, *b, c.attr_int("fmod", 0) != 0, c.b.ranges());
  return out && set_reasonable(c, 0, std::move(*out));
}

Result<bool> fold_variadic(NodeContext& c) {
  const Known* first = c.known(0);
  if (first == nullptr) return false;
  Known out = *first;
  for (std::size_t i = 1; i < c.input_count(); ++i) {
    const Known* next = c.known(i);
    if (next == nullptr) return false;
    auto both = combine(c.op_type(), out, *next, false, c.b.ranges());
    if (!both) return false;
    out = std::move(*both);
  }
  return set_reasonable(c, 0, std::move(out));
}

Result<bool> fold_unary(NodeContext& c) {
  const Known* x = c.known(0);
  if (x == nullptr) return false;
  Known out{x->dtype, x->rank, {}};
  for (const Dim& dim : x->dims) {
    if (c.op_type() == "Not") {
      out.dims.push_back(Dim(1) - dim);
    } else if (c.op_type() == "Abs" && not_negative(dim, c.b.ranges())) {
      out.dims.push_back(dim);
    } else {
      if (c.op_type() == "Abs" && !provably_at_most(dim, Dim(0), c.b.ranges())) return false;
      if (dim.constant() == std::numeric_limits<std::int64_t>::min() || !fits(Dim(0) - dim, x->dtype)) return false;
      out.dims.push_back(Dim(0) - dim);
    }
  }
  return set_reasonable(c, 0, std::move(out));
}

Result<bool> fold_where(NodeContext& c) {
  const auto condition = constants_of(c.known(0));
  const Known *a = c.known(1), *b = c.known(2);
  if (!condition || a == nullptr || b == nullptr || a->dtype != b->dtype) return false;
  const std::size_t counts[] = {condition->size(), a->dims.size(), b->dims.size()};
  std::size_t count = 1;
  for (const std::size_t n : counts) {
    if (n == 1) continue;
    if (count != 1 && count != n) return false;
    count = n;
  }
  Known out{a->dtype, std::max({c.known(0)->rank, a->rank, b->rank}), {}};
  for (std::size_t i = 0; i < count; ++i) {
    const auto at = [&](std::size_t n) { return n == 1 ? 0 : i; };
    out.dims.push_back((*condition)[at(counts[0])] != 0 ? a->dims[at(counts[1])] : b->dims[at(counts[2])]);
  }
  return set_reasonable(c, 0, std::move(out));
}

Result<bool> fold_gather(NodeContext& c) {
  const Known *data = c.known(0), *positions = c.known(1);
  const auto indices = constants_of(positions);
  if (data == nullptr || data->rank != 1 || !indices) return false;
  INTAGLIO_TRY(const auto axis, normalise_axis(c.attr_int("axis", 0), 1));
  (void)axis;
  Known out{data->dtype, positions->rank, {}};
  const auto size = static_cast<std::int64_t>(data->dims.size());
  for (std::int64_t index : *indices) {
    if (index < 0) index += size;
    if (index < 0 || index >= size)
      return c.malformed("index " + std::to_string(index) + " is outside a tensor of " + std::to_string(size));
    out.dims.push_back(data->dims[static_cast<std::size_t>(index)]);
  }
  return set_reasonable(c, 0, std::move(out));
}

Result<bool> fold_concat(NodeContext& c) {
  if (c.input_count() == 0) return false;
  Known out;
  for (std::size_t i = 0; i < c.input_count(); ++i) {
    const Known* part = c.known(i);
    if (part == nullptr || part->rank != 1 || (i > 0 && part->dtype != out.dtype)) return false;
    out.dtype = part->dtype;
    out.dims.insert(out.dims.end(), part->dims.begin(), part->dims.end());
    if (out.dims.size() > kMaxKnown) return false;
  }
  return set_reasonable(c, 0, std::move(out));
}

Result<bool> fold_slice(NodeContext& c) {
  const Known* data = c.known(0);
  const auto starts = constants_of(c.known(1)), ends = constants_of(c.known(2));
  if (data == nullptr || data->rank != 1 || !starts || !ends || starts->size() != 1 || ends->size() != 1) return false;
  std::int64_t step = 1;
  if (c.has(4)) {
    const auto steps = constants_of(c.known(4));
    if (!steps || steps->size() != 1) return false;
    step = steps->front();
  }
  const Dim size(static_cast<std::int64_t>(data->dims.size()));
  INTAGLIO_TRY(const SliceBounds bounds,
               normalise_slice({0, Dim(starts->front()), Dim(ends->front()), step}, size, {}));
  Known out{data->dtype, 1, {}};
  const std::int64_t end = *bounds.end.constant();
  for (std::int64_t i = *bounds.start.constant(); step > 0 ? i < end : i > end;) {
    out.dims.push_back(data->dims[static_cast<std::size_t>(i)]);
    const auto next = checked_add(i, step);
    if (!next) break;
    i = *next;
  }
  return set_reasonable(c, 0, std::move(out));
}

Result<bool> fold_split(NodeContext& c) {
  const Known* data = c.known(0);
  if (data == nullptr || data->rank != 1) return false;
  const auto total = static_cast<std::int64_t>(data->dims.size());
  std::vector<std::int64_t> sizes;
  if (c.has(1)) {
    const auto given = constants_of(c.known(1));
    if (!given) return false;
    sizes = *given;
  } else if (auto given = c.attr_ints("split")) {
    sizes = *given;
  } else {
    const auto pieces = static_cast<std::int64_t>(c.output_count());
    const std::int64_t chunk = (total + pieces - 1) / pieces;
    for (std::int64_t i = 0; i < pieces; ++i) sizes.push_back(std::clamp<std::int64_t>(total - i * chunk, 0, chunk));
  }
  if (sizes.size() != c.output_count()) return c.malformed("the number of sizes differs from the number of outputs");
  std::int64_t at = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 0 || sizes[i] > total - at) return c.malformed("the sizes do not fit the tensor");
    const auto first = data->dims.begin() + at;
    c.set_known(i, {data->dtype, 1, Dims(first, first + sizes[i])});
    at += sizes[i];
  }
  return true;
}

Result<bool> fold_reshape(NodeContext& c) {
  const Known* x = c.known(0);
  if (x == nullptr) return false;
  const auto count = static_cast<std::int64_t>(x->dims.size());
  int rank = 1;
  if (c.op_type() == "Reshape") {
    const auto target = constants_of(c.known(1));
    if (!target || target->size() > 1) return false;
    rank = static_cast<int>(target->size());
    if (rank == 1 && target->front() != -1 && target->front() != count) return false;
  } else if (c.op_type() == "Unsqueeze") {
    INTAGLIO_TRY(const auto axes, c.axes(13, 1));
    if (x->rank != 0 || !axes || axes->size() != 1) return false;
  } else if (c.op_type() == "Squeeze") {
    INTAGLIO_TRY(const auto axes, c.axes(13, 1));
    if (axes && axes->empty()) {
      rank = x->rank;
    } else {
      if (x->rank == 0 || count != 1) return false;
      rank = 0;
    }
  }
  if (rank == 0 && count != 1) return false;
  return set_reasonable(c, 0, {x->dtype, rank, x->dims});
}

Result<bool> fold_range(NodeContext& c) {
  const auto start = constants_of(c.known(0)), limit = constants_of(c.known(1)), delta = constants_of(c.known(2));
  if (!start || !limit || !delta || start->size() != 1 || limit->size() != 1 || delta->size() != 1) return false;
  const std::int64_t step = delta->front();
  if (step == 0) return c.malformed("a range with step 0");
  Known out{c.known(0)->dtype, 1, {}};
  for (std::int64_t i = start->front(); step > 0 ? i < limit->front() : i > limit->front();) {
    if (out.dims.size() >= kMaxKnown) return false;
    out.dims.emplace_back(i);
    const auto next = checked_add(i, step);
    if (!next) break;
    i = *next;
  }
  return set_reasonable(c, 0, std::move(out));
}

Result<bool> fold_constant_of_shape(NodeContext& c) {
  const auto shape = constants_of(c.known(0));
  if (!shape || shape->size() > 1 || c.attribute("value") == nullptr) return false;
  const std::int64_t count = shape->empty() ? 1 : shape->front();
  if (count < 0 || count > static_cast<std::int64_t>(kMaxKnown)) return false;
  INTAGLIO_TRY(const ir::Tensor value, c.attr_tensor("value"));
  const auto contents = known_contents(value);
  if (!contents || contents->dims.size() != 1) return false;
  return set_reasonable(c, 0,
                        {contents->dtype, static_cast<int>(shape->size()),
                         Dims(static_cast<std::size_t>(count), contents->dims.front())});
}

Result<bool> fold_expand(NodeContext& c) {
  const Known* x = c.known(0);
  const auto shape = constants_of(c.known(1));
  if (x == nullptr || !shape || shape->size() > 1) return false;
  if (shape->empty() || shape->front() == 1)
    return set_reasonable(c, 0, {x->dtype, std::max(x->rank, static_cast<int>(shape->size())), x->dims});
  const std::int64_t count = shape->front();
  if (static_cast<std::int64_t>(x->dims.size()) == count) return set_reasonable(c, 0, {x->dtype, 1, x->dims});
  if (x->dims.size() != 1 || count < 0 || count > static_cast<std::int64_t>(kMaxKnown)) return false;
  return set_reasonable(c, 0, {x->dtype, 1, Dims(static_cast<std::size_t>(count), x->dims.front())});
}

Result<bool> fold_reduce(NodeContext& c) {
  const Known* x = c.known(0);
  if (x == nullptr || x->rank != 1 || x->dims.empty() || x->dtype == DType::boolean) return false;
  INTAGLIO_TRY(const auto axes, c.axes(c.op_type() == "ReduceSum" ? 13 : 18, 1));
  if ((!axes || axes->empty()) && c.attr_int("noop_with_empty_axes", 0) != 0) return fold_identity(c);
  const std::string_view op = c.op_type() == "ReduceProd"  ? "Mul"
                              : c.op_type() == "ReduceSum" ? "Add"
                              : c.op_type() == "ReduceMax" ? "Max"
                                                           : "Min";
  Known out{x->dtype, c.attr_int("keepdims", 1) != 0 ? 1 : 0, {x->dims.front()}};
  for (std::size_t i = 1; i < x->dims.size(); ++i) {
    auto next = apply(op, out.dims.front(), x->dims[i], false, c.b.ranges());
    if (!next || !fits(*next, x->dtype) || !is_reasonable(*next)) return false;
    out.dims.front() = std::move(*next);
  }
  return set_reasonable(c, 0, std::move(out));
}

}  // namespace intaglio::frontend::onnx
