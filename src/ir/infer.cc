// Dispatch to the shape functions, and what they share.
#include <algorithm>
#include <array>

#include "base/shape.h"
#include "ir/infer_internal.h"

namespace intaglio::ir {

namespace {

using ShapeFunction = Result<Types> (*)(const InferArgs&);
constexpr ShapeFunction kShapeFunctions[] = {
#define INTAGLIO_OP(token, group, inputs, outputs, attrs, formula) &infer_##token,
#include "ir/ops.inc"
#undef INTAGLIO_OP
};

const SymbolRanges& ranges_of(const InferContext& context) {
  static const SymbolRanges kNone;
  return context.ranges != nullptr ? *context.ranges : kNone;
}

// Proves a <= b from the difference's bounds, or because one side is a min or a max with a suitable argument.
bool provably_at_most(const Dim& a, const Dim& b, const SymbolRanges& ranges, int depth = 0) {
  if ((b - a).bounds(ranges).min >= 0) return true;
  if (depth == 4) return false;
  const auto atom_of = [](const Dim& d, DimAtom::Kind kind) -> const DimAtom* {
    if (d.terms().size() != 1 || d.terms()[0].coefficient != 1 || d.terms()[0].factors.size() != 1) return nullptr;
    const Dim::Factor& factor = d.terms()[0].factors[0];
    if (factor.power != 1 || factor.atom->kind != kind) return nullptr;
    const Dim alone = kind == DimAtom::Kind::min ? Dim::min(factor.atom->a, factor.atom->b)
                                                 : Dim::max(factor.atom->a, factor.atom->b);
    return alone == d ? factor.atom.get() : nullptr;  // d may also have a constant term
  };
  if (const DimAtom* low = atom_of(a, DimAtom::Kind::min); low != nullptr) {
    if (provably_at_most(low->a, b, ranges, depth + 1) || provably_at_most(low->b, b, ranges, depth + 1)) return true;
  }
  if (const DimAtom* high = atom_of(b, DimAtom::Kind::max); high != nullptr) {
    return provably_at_most(a, high->a, ranges, depth + 1) || provably_at_most(a, high->b, ranges, depth + 1);
  }
  return false;
}

Status record_guard(const InferContext& context, const Dim& a, const Dim& b, std::string_view what) {
  if (context.guards == nullptr) {
    return fail(ErrorCode::unsupported,
                fmt::format("{}: cannot prove that {} equals {}", what, a.to_string(), b.to_string()), context.origin);
  }
  context.guards->push_back(DimGuard{a, b, context.origin});
  return {};
}

Status equal_or_guard(const InferContext& context, const Dim& a, const Dim& b, std::string_view what) {
  if (a == b) return {};
  const SymbolRange difference = (a - b).bounds(ranges_of(context));
  if (difference.min > 0 || difference.max < 0) {
    return fail(ErrorCode::unsupported, fmt::format("{}: {} against {}", what, a.to_string(), b.to_string()),
                context.origin);
  }
  return record_guard(context, a, b, what);
}

Status check_operand_count(const InferArgs& args, const OpSchema& s) {
  const bool variadic = !s.inputs.empty() && s.inputs.back().variadic;
  if (args.inputs.size() > s.inputs.size() && !variadic) {
    return args.error(fmt::format("{} operands, but there are at most {}", args.inputs.size(), s.inputs.size()));
  }
  for (std::size_t i = 0; i < std::max(args.inputs.size(), s.inputs.size()); ++i) {
    const OperandSchema& operand = s.inputs[std::min(i, s.inputs.size() - 1)];
    if (!operand.optional && args.maybe(i) == nullptr) {
      return args.error(fmt::format("the operand '{}' is missing", operand.name));
    }
  }
  return {};
}

// Every dim that the node makes is >= 0 and every rank within the limit.
Status check_result(const InferArgs& args, const Types& types) {
  for (const Type& type : types) {
    if (type.shape.size() > kMaxRank)
      return args.error(fmt::format("the result's rank is over the limit of {}", kMaxRank));
    for (const Dim& dim : type.shape) {
      const bool known = std::any_of(args.inputs.begin(), args.inputs.end(), [&](const Type* in) {
        return in != nullptr && std::find(in->shape.begin(), in->shape.end(), dim) != in->shape.end();
      });
      if (!known) INTAGLIO_CHECK(require_at_most(args, 0, dim, "the result would have a negative dimension"));
    }
  }
  return {};
}

}  // namespace

tl::unexpected<Error> InferArgs::error(std::string_view message) const {
  return fail(ErrorCode::unsupported, fmt::format("{}: {}", name_of(op), message), context.origin);
}

Status require_equal(const InferArgs& args, const Dim& a, const Dim& b, std::string_view what) {
  if (a == b) return {};
  return equal_or_guard(args.context, a, b, fmt::format("{}: {}", name_of(args.op), what));
}

Status require_at_most(const InferArgs& args, const Dim& a, const Dim& b, std::string_view what) {
  const SymbolRanges& ranges = ranges_of(args.context);
  if (provably_at_most(a, b, ranges)) return {};
  if ((b - a).bounds(ranges).max < 0) {
    return args.error(fmt::format("{}: {} is greater than {}", what, a.to_string(), b.to_string()));
  }
  const Dim smaller = Dim::min(a, b);
  if (smaller == a) return {};
  return record_guard(args.context, smaller, a, fmt::format("{}: {}", name_of(args.op), what));
}

Status require_broadcasts_to(const InferArgs& args, std::span<const Dim> from, std::span<const Dim> to,
                             std::string_view what) {
  if (from.size() > to.size()) {
    return args.error(fmt::format("{}: {} does not broadcast to {}", what, to_string(from), to_string(to)));
  }
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] == Dim(1)) continue;
    INTAGLIO_CHECK(require_equal(args, from[i], to[to.size() - from.size() + i], what));
  }
  return {};
}

Status require_dtype(const InferArgs& args, std::size_t operand, std::initializer_list<DType> allowed) {
  const Type* type = args.maybe(operand);
  if (type == nullptr || std::find(allowed.begin(), allowed.end(), type->dtype) != allowed.end()) return {};
  std::string names;
  for (const DType dtype : allowed) names += fmt::format("{}{}", names.empty() ? "" : ", ", intaglio::name_of(dtype));
  return args.error(fmt::format("operand '{}' has dtype {}, wanted: {}", schema(args.op).inputs[operand].name,
                                intaglio::name_of(type->dtype), names));
}

Status require_floating(const InferArgs& args, std::size_t operand) {
  const Type* type = args.maybe(operand);
  if (type == nullptr || is_floating(type->dtype)) return {};
  return args.error(fmt::format("operand '{}' has dtype {}, wanted a floating-point one",
                                schema(args.op).inputs[operand].name, intaglio::name_of(type->dtype)));
}

Status require_number(const InferArgs& args, std::size_t operand) {
  const Type* type = args.maybe(operand);
  if (type == nullptr || type->dtype != DType::boolean) return {};
  return args.error(fmt::format("operand '{}' is bool, wanted numbers", schema(args.op).inputs[operand].name));
}

Status require_same_dtype(const InferArgs& args, std::size_t a, std::size_t b) {
  const Type *first = args.maybe(a), *second = args.maybe(b);
  if (first == nullptr || second == nullptr || first->dtype == second->dtype) return {};
  const OpSchema& s = schema(args.op);
  return args.error(fmt::format("operand '{}' has dtype {}, but '{}' has {}", s.inputs[b].name,
                                intaglio::name_of(second->dtype), s.inputs[a].name, intaglio::name_of(first->dtype)));
}

Status require_rank(const InferArgs& args, std::size_t operand, std::size_t rank) {
  const Type* type = args.maybe(operand);
  if (type == nullptr || type->shape.size() == rank) return {};
  return args.error(fmt::format("operand '{}' has rank {}, wanted {}", schema(args.op).inputs[operand].name,
                                type->shape.size(), rank));
}

Result<std::size_t> axis_attr(const InferArgs& args, std::string_view name, std::size_t rank, bool extra) {
  const std::int64_t axis = args.attrs.i(name);
  if (axis < 0 || axis >= static_cast<std::int64_t>(rank) + (extra ? 1 : 0)) {
    return args.error(fmt::format("{} {} is outside rank {}", name, axis, rank));
  }
  return static_cast<std::size_t>(axis);
}

Status require_word(const InferArgs& args, std::string_view attr, std::initializer_list<std::string_view> words) {
  const std::string& value = args.attrs.s(attr);
  if (std::find(words.begin(), words.end(), value) != words.end()) return {};
  std::string all;
  for (const auto word : words) all += fmt::format("{}{}", all.empty() ? "" : ", ", word);
  return args.error(fmt::format("{} '{}' is not one of: {}", attr, value, all));
}

bool one_element(const Type& type) {
  return std::all_of(type.shape.begin(), type.shape.end(), [](const Dim& dim) { return dim == Dim(1); });
}

Result<std::vector<Type>> infer(Op op, std::span<const Type* const> inputs, const Attrs& attrs,
                                const InferContext& context) {
  const InferArgs args{op, inputs, attrs, context};
  INTAGLIO_CHECK(check_operand_count(args, schema(op)));
  for (const AttrSchema& want : schema(op).attrs) {
    const Attr* found = attrs.find(want.name);
    if (found == nullptr || kind_of(*found) != want.kind) {
      return args.error(fmt::format("the attribute '{}' is missing or of another kind", want.name));
    }
  }
  INTAGLIO_TRY(Types types, kShapeFunctions[static_cast<std::size_t>(op)](args));
  INTAGLIO_CHECK(check_result(args, types));
  return types;
}

Result<Dims> broadcast(std::span<const Dim> a, std::span<const Dim> b, const InferContext& context) {
  const std::size_t rank = std::max(a.size(), b.size());
  Dims result(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    const Dim x = i < rank - a.size() ? Dim(1) : a[i - (rank - a.size())];
    const Dim y = i < rank - b.size() ? Dim(1) : b[i - (rank - b.size())];
    if (x == Dim(1) || y == Dim(1)) {
      result[i] = x == Dim(1) ? y : x;
      continue;
    }
    INTAGLIO_CHECK(
        equal_or_guard(context, x, y, fmt::format("shapes {} and {} do not broadcast", to_string(a), to_string(b))));
    const bool second = !x.is_constant() && (y.is_constant() || (!x.as_symbol() && y.as_symbol()));
    result[i] = second ? y : x;
  }
  return result;
}

}  // namespace intaglio::ir
