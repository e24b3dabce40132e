// Ops that move elements.
#include <algorithm>
#include <numeric>

#include "frontend/onnx/ops/translators.h"

namespace intaglio::frontend::onnx {

using ir::Op;

Status translate_reshape(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  INTAGLIO_TRY(const Dims target, c.dims(1, "shape"));
  INTAGLIO_TRY(Dims shape, resolve_reshape(x->shape(), target, c.attr_int("allowzero", 0) == 0));
  return c.set(0, c.b.reshape(x, std::move(shape)));
}

Status translate_flatten(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  const std::int64_t rank = x->rank();
  std::int64_t axis = c.attr_int("axis", 1);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis > rank)
    return c.malformed("axis " + std::to_string(axis) + " is outside rank " + std::to_string(rank));
  const auto dims = std::span<const Dim>(x->shape());
  const auto at = static_cast<std::size_t>(axis);
  return c.set(0, c.b.reshape(x, {element_count(dims.first(at)), element_count(dims.subspan(at))}));
}

Status translate_squeeze(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  INTAGLIO_TRY(auto axes, c.axes(13, 1));
  if (!axes) {
    axes.emplace();
    for (std::int64_t i = 0; i < x->rank(); ++i) {
      const auto size = x->shape()[static_cast<std::size_t>(i)].constant();
      if (!size) return c.unsupported("without axes, a dynamic dim may or may not be 1", "give the axes");
      if (*size == 1) axes->push_back(i);
    }
  }
  return c.set(0, c.b.squeeze(x, *axes));
}

Status translate_unsqueeze(NodeContext& c) {
  INTAGLIO_TRY(const auto axes, c.axes(13, 1));
  if (!axes) return c.malformed("the axes are missing");
  return c.set(0, c.b.unsqueeze(c.input(0), *axes));
}

Status translate_transpose(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  auto perm = c.attr_ints("perm");
  if (!perm) {
    perm.emplace(static_cast<std::size_t>(x->rank()));
    std::iota(perm->rbegin(), perm->rend(), 0);
  }
  std::vector<std::int64_t> sorted = *perm;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] != static_cast<std::int64_t>(i)) return c.malformed("perm is not a permutation");
  }
  if (static_cast<int>(perm->size()) != x->rank()) return c.malformed("perm does not have the rank of the operand");
  return c.set(0, c.b.transpose(x, std::move(*perm)));
}

Status translate_expand(NodeContext& c) {
  INTAGLIO_TRY(const Dims shape, c.dims(1, "shape"));
  return c.set(0, c.b.broadcast_with(c.input(0), shape));
}

Status translate_concat(NodeContext& c) {
  std::vector<MaybeValue> parts;
  for (std::size_t i = 0; i < c.input_count(); ++i) parts.push_back(c.input(i));
  if (c.attribute("axis") == nullptr) return c.malformed("attribute 'axis' is missing");
  return c.set(0, c.b.concat(parts, c.attr_int("axis", 0)));
}

Status translate_slice(NodeContext& c) {
  INTAGLIO_TRY(const Dims starts, c.dims(1, "starts"));
  INTAGLIO_TRY(const Dims ends, c.dims(2, "ends"));
  std::vector<std::int64_t> axes(starts.size()), steps(starts.size(), 1);
  std::iota(axes.begin(), axes.end(), 0);
  if (c.has(3)) {
    INTAGLIO_TRY(axes, c.const_ints(3, "axes"));
  }
  if (c.has(4)) {
    INTAGLIO_TRY(steps, c.const_ints(4, "steps"));
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size()) {
    return c.malformed("starts, ends, axes and steps differ in length");
  }
  std::vector<SliceSpec> specs;
  for (std::size_t i = 0; i < starts.size(); ++i) specs.push_back({axes[i], starts[i], ends[i], steps[i]});
  return c.set(0, c.b.slice(c.input(0), specs));
}

namespace {

// Pieces of equal size (the last may be smaller), or as the operand or attribute says.
Result<Dims> split_sizes(NodeContext& c, const Dim& total) {
  if (c.opset() >= 13 && c.has(1)) return c.dims(1, "split");
  if (c.opset() < 13) {
    if (const auto sizes = c.attr_ints("split")) return constant_dims(*sizes);
  }
  const auto count = static_cast<std::int64_t>(c.output_count());
  if (c.opset() >= 18 && c.attr_int("num_outputs", count) != count)
    return c.malformed("num_outputs differs from the number of outputs");
  if (count == 0) return c.malformed("no outputs");
  const Dim chunk = Dim::floordiv(total + (count - 1), count);
  Dims sizes(static_cast<std::size_t>(count), chunk);
  sizes.back() = total - chunk * Dim(count - 1);
  return sizes;
}

}  // namespace

Status translate_split(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  INTAGLIO_TRY(const std::int64_t axis, normalise_axis(c.attr_int("axis", 0), x->rank()));
  const Dim& total = x->shape()[static_cast<std::size_t>(axis)];
  INTAGLIO_TRY(const Dims sizes, split_sizes(c, total));
  if (sizes.size() != c.output_count()) return c.malformed("the number of sizes differs from the number of outputs");
  Dim sum(0);
  for (const Dim& size : sizes) {
    if (size.bounds(c.b.ranges()).max < 0 || size.constant().value_or(0) < 0)
      return c.malformed("negative size " + size.to_string());
    sum = sum + size;
  }
  if (sum.is_constant() && total.is_constant() && !(sum == total)) {
    return c.malformed("the sizes add up to " + sum.to_string() + ", the axis has " + total.to_string());
  }
  INTAGLIO_TRY(const auto parts, c.b.split(x, sizes, axis));
  for (std::size_t i = 0; i < parts.size(); ++i) INTAGLIO_CHECK(c.set(i, parts[i]));
  return {};
}

// [a, b] repeated (r, s) times: [a, b] -> [1, a, 1, b] -> [r, a, s, b] -> [r*a, s*b].
Status translate_tile(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  INTAGLIO_TRY(const Dims repeats, c.dims(1, "repeats"));
  if (static_cast<int>(repeats.size()) != x->rank()) return c.malformed("repeats does not have one element per axis");
  Dims split, expanded, merged;
  for (std::size_t i = 0; i < repeats.size(); ++i) {
    const Dim& size = x->shape()[i];
    if (!(repeats[i] == Dim(1))) {
      split.emplace_back(1);
      expanded.push_back(repeats[i]);
    }
    split.push_back(size);
    expanded.push_back(size);
    merged.push_back(size * repeats[i]);
  }
  return c.set(0, c.b.reshape(c.b.expand(c.b.reshape(x, split), expanded), merged));
}

namespace {

struct Padding {
  Dims before, after;  // one per axis of the operand
};

Result<Padding> read_padding(NodeContext& c, std::size_t rank) {
  INTAGLIO_TRY(const Dims pads, c.dims(1, "pads"));
  std::vector<std::int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (c.has(3)) {
    INTAGLIO_TRY(axes, c.const_ints(3, "axes"));
  }
  if (pads.size() != 2 * axes.size()) return c.malformed("pads must have two elements per axis");
  Padding out{Dims(rank, Dim(0)), Dims(rank, Dim(0))};
  for (std::size_t i = 0; i < axes.size(); ++i) {
    INTAGLIO_TRY(const std::int64_t axis, normalise_axis(axes[i], static_cast<std::int64_t>(rank)));
    out.before[static_cast<std::size_t>(axis)] = pads[i];
    out.after[static_cast<std::size_t>(axis)] = pads[i + axes.size()];
  }
  return out;
}

// Position i of the padded axis reads position source(i) of an axis of `size` (numpy.pad's modes).
Result<std::vector<std::int64_t>> padded_positions(NodeContext& c, std::string_view mode, std::int64_t before,
                                                   std::int64_t size, std::int64_t after) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 30;
  if (size <= 0 || before > kLimit || after > kLimit || size > kLimit)
    return c.unsupported("this axis is empty or too large to pad");
  std::vector<std::int64_t> out;
  for (std::int64_t i = -before; i < size + after; ++i) {
    std::int64_t at = i;
    if (mode == "edge") {
      at = std::clamp<std::int64_t>(i, 0, size - 1);
    } else if (mode == "wrap") {
      at = ((i % size) + size) % size;
    } else {  // reflect: period 2(size - 1)
      const std::int64_t period = std::max<std::int64_t>(2 * (size - 1), 1);
      at = ((i % period) + period) % period;
      if (at >= size) at = period - at;
    }
    out.push_back(at);
  }
  return out;
}

Status pad_by_gather(NodeContext& c, std::string_view mode, const Padding& padding) {
  MaybeValue y = c.input(0);
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  for (std::size_t i = 0; i < padding.before.size(); ++i) {
    const auto before = padding.before[i].constant(), after = padding.after[i].constant(),
               size = x->shape()[i].constant();
    if (before == 0 && after == 0) continue;
    if (!before || !after || !size) return c.unsupported("mode " + std::string(mode) + " on a dynamic axis");
    INTAGLIO_TRY(const auto positions, padded_positions(c, mode, *before, *size, *after));
    y = c.b.gather(y, c.b.ints(positions), static_cast<std::int64_t>(i));
  }
  return c.set(0, y);
}

}  // namespace

// Negative pads cut; positive ones add.
Status translate_pad(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  INTAGLIO_TRY(Padding padding, read_padding(c, x->shape().size()));
  const std::string mode = c.attr_string("mode", "constant");
  if (mode == "edge" || mode == "reflect" || mode == "wrap") return pad_by_gather(c, mode, padding);
  if (mode != "constant") return c.malformed("mode '" + mode + "'");
  std::vector<SliceSpec> cuts;
  bool adds = false;
  for (std::size_t i = 0; i < padding.before.size(); ++i) {
    SliceSpec cut{static_cast<std::int64_t>(i), Dim(0), x->shape()[i], 1};
    for (const bool front : {true, false}) {
      Dim& amount = front ? padding.before[i] : padding.after[i];
      const SymbolRange range = amount.bounds(c.b.ranges());
      if (range.min < 0 && range.max > 0)
        return c.unsupported("padding of " + amount.to_string() + " may be negative or not");
      if (range.min >= 0) {
        adds = adds || !(amount == Dim(0));
        continue;
      }
      (front ? cut.start : cut.end) = front ? Dim(0) - amount : *cut.end + amount;
      amount = Dim(0);
    }
    cuts.push_back(cut);
  }
  const MaybeValue y = c.b.slice(x, cuts);
  if (!adds) return c.set(0, y);
  const auto padded = [&](const MaybeValue& value, double with) {
    return c.b.op(Op::pad, {value}, {{"before", padding.before}, {"after", padding.after}, {"value", with}});
  };
  if (!c.has(2)) return c.set(0, padded(y, 0));
  INTAGLIO_TRY(const auto given, c.const_scalar(2));
  if (given) return c.set(0, padded(y, *given));
  // A value known at run time only: chosen wherever a padded "inside" is false.
  INTAGLIO_TRY(ir::Value * cut, y);
  const MaybeValue inside = padded(c.b.full(cut->shape(), 1, DType::boolean), 0);
  return c.set(0, c.b.where(inside, padded(cut, 0), c.b.reshape(c.input(2), {})));
}

Status translate_gather(NodeContext& c) {
  return c.set(0, c.b.gather(c.input(0), c.input(1), c.attr_int("axis", 0)));
}

Status translate_gather_elements(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * data, c.input(0));
  INTAGLIO_TRY(const std::int64_t axis, normalise_axis(c.attr_int("axis", 0), data->rank()));
  return c.set(0, c.b.op(Op::gather_elements, {data, c.input(1)}, {{"axis", axis}}));
}

Status translate_gather_nd(NodeContext& c) {
  return c.set(0, c.b.op(Op::gather_nd, {c.input(0), c.input(1)}, {{"batch_dims", c.attr_int("batch_dims", 0)}}));
}

}  // namespace intaglio::frontend::onnx
