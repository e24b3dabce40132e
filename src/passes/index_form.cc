#include "passes/index_form.h"

#include <algorithm>

#include "passes/match.h"

namespace intaglio::passes {

namespace {

using Steps = std::vector<std::int64_t>;

std::optional<IndexForm> broadcast(IndexForm form, std::size_t rank) {
  if (form.step.size() > rank) return std::nullopt;
  form.step.insert(form.step.begin(), rank - form.step.size(), 0);
  return form;
}

IndexForm scaled(IndexForm form, std::int64_t factor) {
  form.constant = form.constant * factor;
  for (std::int64_t& step : form.step) step *= factor;
  return form;
}

IndexForm sum(IndexForm a, const IndexForm& b) {
  a.constant = a.constant + b.constant;
  for (std::size_t i = 0; i < a.step.size(); ++i) a.step[i] += b.step[i];
  return a;
}

bool is_position(DType dtype) {
  return dtype == DType::i64 || dtype == DType::i32;
}

// The steps of a reshape that only adds or drops dims of 1; nullopt for any other.
std::optional<Steps> through_ones(const Dims& from, const Dims& to, const Steps& step) {
  Steps out(to.size(), 0);
  std::size_t i = 0;
  for (std::size_t o = 0; o < to.size(); ++o) {
    while (i < from.size() && from[i] == Dim(1) && to[o] != Dim(1)) ++i;
    if (i < from.size() && from[i] == to[o])
      out[o] = step[i++];
    else if (to[o] != Dim(1))
      return std::nullopt;
  }
  while (i < from.size() && from[i] == Dim(1)) ++i;
  return i == from.size() ? std::optional(out) : std::nullopt;
}

}  // namespace

bool IndexForm::uniform() const {
  return std::ranges::all_of(step, [](std::int64_t s) { return s == 0; });
}

IndexReader::IndexReader(const ir::Graph& graph, const ir::Value& root) : ranges_(graph.symbols) {
  for (const Dim& dim : root.shape()) {
    if (const auto symbol = dim.as_symbol()) ranges_[*symbol].min = std::max<std::int64_t>(ranges_[*symbol].min, 1);
  }
}

Dim IndexReader::simplified(const Dim& dim) const {
  Dim out, terms;
  for (const Dim::Term& term : dim.terms()) {
    Dim before(term.coefficient), after(term.coefficient);
    for (const Dim::Factor& factor : term.factors) {
      const DimAtom& atom = *factor.atom;
      Dim whole, decided;
      if (atom.kind == DimAtom::Kind::min || atom.kind == DimAtom::Kind::max) {
        const Dim a = simplified(atom.a), b = simplified(atom.b);
        const bool least = atom.kind == DimAtom::Kind::min;
        whole = least ? Dim::min(atom.a, atom.b) : Dim::max(atom.a, atom.b);
        const SymbolRange gap = (b - a).bounds(ranges_);  // b - a
        if (gap.min >= 0)
          decided = least ? a : b;
        else if (gap.max <= 0)
          decided = least ? b : a;
        else
          decided = least ? Dim::min(a, b) : Dim::max(a, b);
      } else if (atom.kind == DimAtom::Kind::symbol) {
        whole = decided = Dim::symbol(atom.name);
      } else {
        whole = decided = atom.kind == DimAtom::Kind::mod ? Dim::mod(atom.a, atom.b) : Dim::floordiv(atom.a, atom.b);
      }
      for (int i = 0; i < factor.power; ++i) {
        before = before * whole;
        after = after * decided;
      }
    }
    terms = terms + before;
    out = out + after;
  }
  return out + (dim - terms);
}

std::optional<IndexForm> IndexReader::of_constant(const ir::Value& value) const {
  const ir::Tensor& tensor = value.constant();
  const std::int64_t count = tensor.element_count();
  if (count == 0 || count > 4096) return std::nullopt;
  IndexForm form{Dim(tensor.as_int(0)), Steps(tensor.shape.size(), 0)};
  std::int64_t stride = 1;
  for (std::size_t axis = tensor.shape.size(); axis-- > 0;) {
    if (tensor.shape[axis] > 1) form.step[axis] = tensor.as_int(stride) - tensor.as_int(0);
    stride *= tensor.shape[axis];
  }
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t expected = tensor.as_int(0), rest = i;
    for (std::size_t axis = tensor.shape.size(); axis-- > 0;) {
      expected += rest % tensor.shape[axis] * form.step[axis];
      rest /= tensor.shape[axis];
    }
    if (expected != tensor.as_int(i)) return std::nullopt;
  }
  return form;
}

std::optional<IndexForm> IndexReader::form(const ir::Value* value) {
  if (value == nullptr || --budget_ < 0 || !is_position(value->dtype())) return std::nullopt;
  if (value->is_constant()) return of_constant(*value);
  if (value->producer() == nullptr) return std::nullopt;
  auto found = of_node(*value->producer());
  if (!found || found->step.size() != value->shape().size()) return std::nullopt;
  for (const std::int64_t step : found->step) {
    if (std::abs(step) > (std::int64_t{1} << 30)) return std::nullopt;
  }
  found->constant = simplified(found->constant);
  return found;
}

std::optional<IndexForm> IndexReader::of_node(const ir::Node& node) {
  const auto rank = node.output()->shape().size();
  switch (node.op()) {
    case ir::Op::iota: {
      const auto step = node.attrs().dim("step").constant();
      if (!step) return std::nullopt;
      return IndexForm{node.attrs().dim("start"), {*step}};
    }
    case ir::Op::full:
      return IndexForm{Dim(static_cast<std::int64_t>(node.attrs().f("value"))), Steps(rank, 0)};
    case ir::Op::cast: {
      if (node.input(0)->dtype() != DType::boolean) return form(node.input(0));
      const auto value = truth(node.input(0));
      if (!value) return std::nullopt;
      return IndexForm{Dim(*value ? 1 : 0), Steps(rank, 0)};
    }
    case ir::Op::cumsum: {
      auto x = form(node.input(0));
      if (!x || !x->uniform() || x->constant != Dim(0)) return std::nullopt;
      return x;
    }
    case ir::Op::add:
    case ir::Op::sub:
    case ir::Op::mul:
      return of_binary(node);
    case ir::Op::concat:
      return of_concat(node);
    case ir::Op::gather_nd:
      return of_gather_nd(node);
    default:
      return of_movement(node);
  }
}

namespace {

// Dims of 1 have one index, 0: their step does not count, whatever the value is broadcast to. `form` has a step for
// each dim of the result, aligned at the back.
void clear_ones(IndexForm& form, const Dims& shape) {
  const std::size_t rank = form.step.size();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == Dim(1)) form.step[rank - shape.size() + i] = 0;
  }
}

}  // namespace

std::optional<IndexForm> IndexReader::of_binary(const ir::Node& node) {
  const auto rank = node.output()->shape().size();
  auto a = form(node.input(0)), b = form(node.input(1));
  if (!a || !b || !(a = broadcast(*a, rank)) || !(b = broadcast(*b, rank))) return std::nullopt;
  clear_ones(*a, node.input(0)->shape());
  clear_ones(*b, node.input(1)->shape());
  if (node.op() == ir::Op::add) return sum(*a, *b);
  if (node.op() == ir::Op::sub) return sum(*a, scaled(*b, -1));
  const auto factor = b->uniform() ? b->constant.constant() : a->uniform() ? a->constant.constant() : std::nullopt;
  if (!factor || std::abs(*factor) > (1 << 20)) return std::nullopt;
  return scaled(b->uniform() ? *a : *b, *factor);
}

std::optional<IndexForm> IndexReader::of_movement(const ir::Node& node) {
  if (node.op() != ir::Op::reshape && node.op() != ir::Op::expand && node.op() != ir::Op::transpose &&
      node.op() != ir::Op::slice)
    return std::nullopt;
  auto x = form(node.input(0));
  if (!x) return std::nullopt;
  const Dims &from = node.input(0)->shape(), &to = node.output()->shape();
  if (node.op() == ir::Op::reshape) {
    const auto step = through_ones(from, to, x->step);
    if (step)
      x->step = *step;
    else if (x->uniform())
      x->step.assign(to.size(), 0);
    else
      return std::nullopt;
    return x;
  }
  if (node.op() == ir::Op::expand) {
    // A dim of 1 has one index, 0: its step does not count.
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (from[i] == Dim(1)) x->step[i] = 0;
    }
    return broadcast(*x, to.size());
  }
  if (node.op() == ir::Op::transpose) {
    Steps step;
    for (const std::int64_t axis : node.attrs().ints("perm")) step.push_back(x->step[static_cast<std::size_t>(axis)]);
    x->step = step;
    return x;
  }
  const ir::Ints& axes = node.attrs().ints("axes");
  for (std::size_t i = 0; i < axes.size(); ++i) {
    std::int64_t& step = x->step[static_cast<std::size_t>(axes[i])];
    x->constant = x->constant + node.attrs().dims("starts")[i] * step;
    step *= node.attrs().ints("steps")[i];
  }
  return x;
}

// Parts that continue one another along the axis.
std::optional<IndexForm> IndexReader::of_concat(const ir::Node& node) {
  const auto axis = static_cast<std::size_t>(node.attrs().i("axis"));
  std::optional<IndexForm> whole;
  std::optional<std::int64_t> along;  // known once a part has more than one element there
  Dim offset;
  std::vector<std::pair<Dim, Dim>> starts;  // offset and constant of every part
  for (const ir::Value* part : node.inputs()) {
    auto x = form(part);
    if (!x) return std::nullopt;
    const Dim length = simplified(part->shape()[axis]);
    if (length != Dim(1)) {
      if (along && *along != x->step[axis]) return std::nullopt;
      along = x->step[axis];
    }
    starts.emplace_back(offset, x->constant);
    x->step[axis] = 0;
    if (whole && whole->step != x->step) return std::nullopt;
    if (!whole) whole = x;
    offset = offset + length;
  }
  if (!whole || !along) return std::nullopt;
  for (const auto& [at, constant] : starts) {
    if (simplified(whole->constant + at * *along) != simplified(constant)) return std::nullopt;
  }
  whole->step[axis] = *along;
  return whole;
}

std::optional<IndexForm> IndexReader::of_gather_nd(const ir::Node& node) {
  const ir::Value *data = node.input(0), *indices = node.input(1);
  if (node.attrs().i("batch_dims") != 0 || indices->rank() == 0) return std::nullopt;
  const auto x = form(data);
  if (!x || indices->shape().back() != Dim(data->rank())) return std::nullopt;
  const auto rank = static_cast<std::size_t>(indices->rank() - 1);
  if (x->uniform()) return IndexForm{x->constant, Steps(rank, 0)};
  const ir::Node* concat = made_by(indices, ir::Op::concat);
  if (concat == nullptr || concat->attrs().i("axis") != indices->rank() - 1 ||
      concat->inputs().size() != x->step.size())
    return std::nullopt;
  IndexForm out{x->constant, Steps(rank, 0)};
  for (std::size_t k = 0; k < x->step.size(); ++k) {
    auto index = form(concat->input(k));
    if (!index || concat->input(k)->shape().back() != Dim(1)) return std::nullopt;
    // A negative index would count from the end.
    if (index->constant.bounds(ranges_).min < 0 || std::ranges::any_of(index->step, [](auto s) { return s < 0; }))
      return std::nullopt;
    index->step.pop_back();
    out = sum(out, scaled(*index, x->step[k]));
  }
  return out;
}

std::optional<IndexForm> IndexReader::difference(const ir::Node& compare) {
  const auto rank = compare.output()->shape().size();
  auto a = form(compare.input(0)), b = form(compare.input(1));
  if (!a || !b || !(a = broadcast(*a, rank)) || !(b = broadcast(*b, rank))) return std::nullopt;
  clear_ones(*a, compare.input(0)->shape());
  clear_ones(*b, compare.input(1)->shape());
  IndexForm d = sum(*a, scaled(*b, -1));
  d.constant = simplified(d.constant);
  return d;
}

std::optional<bool> IndexReader::truth(const ir::Value* value) {
  if (value == nullptr || --budget_ < 0 || value->dtype() != DType::boolean) return std::nullopt;
  if (const auto splat = splat_value(value)) return *splat != 0;
  return value->producer() == nullptr ? std::nullopt : truth_of_node(*value->producer());
}

std::optional<bool> IndexReader::truth_of_node(const ir::Node& node) {
  const ir::OpGroup group = ir::schema(node.op()).group;
  if (group == ir::OpGroup::compare) {
    const auto d = difference(node);
    const auto constant = d && d->uniform() ? d->constant.constant() : std::nullopt;
    if (!constant) return std::nullopt;
    switch (node.op()) {
      case ir::Op::eq:
        return *constant == 0;
      case ir::Op::ne:
        return *constant != 0;
      case ir::Op::lt:
        return *constant < 0;
      case ir::Op::le:
        return *constant <= 0;
      case ir::Op::gt:
        return *constant > 0;
      default:
        return *constant >= 0;
    }
  }
  switch (node.op()) {
    case ir::Op::logical_not: {
      const auto x = truth(node.input(0));
      return x ? std::optional(!*x) : std::nullopt;
    }
    case ir::Op::logical_and: {
      const auto a = truth(node.input(0)), b = truth(node.input(1));
      if ((a && !*a) || (b && !*b)) return false;
      return a && b ? std::optional(true) : std::nullopt;
    }
    case ir::Op::reshape:
    case ir::Op::expand:
    case ir::Op::transpose:
    case ir::Op::slice:
    case ir::Op::gather_nd:
      return truth(node.input(0));
    default:
      return std::nullopt;
  }
}

}  // namespace intaglio::passes
