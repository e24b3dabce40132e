// What a Dim is worth: its value, its bounds, its form after substitution.
#include <fmt/format.h>

#include <algorithm>

#include "base/dim.h"
#include "base/dim_internal.h"

namespace intaglio {

using Term = Dim::Term;
using Kind = DimAtom::Kind;

namespace {

__extension__ typedef __int128 Wide;  // NOLINT(modernize-use-using): __extension__ takes no using

Result<std::int64_t> evaluate_atom(const DimAtom& atom, const SymbolValues& values) {
  if (atom.kind == Kind::symbol) {
    const auto found = values.find(atom.name);
    if (found != values.end()) return found->second;
    return fail(ErrorCode::usage, fmt::format("the symbolic dimension '{}' has no value", atom.name));
  }
  INTAGLIO_TRY(const std::int64_t a, atom.a.evaluate(values));
  INTAGLIO_TRY(const std::int64_t b, atom.b.evaluate(values));
  if (atom.kind == Kind::min) return std::min(a, b);
  if (atom.kind == Kind::max) return std::max(a, b);
  if (const auto result = atom.kind == Kind::floordiv ? floor_divide(a, b) : floor_modulo(a, b)) return *result;
  if (b != 0) return fail(ErrorCode::usage, fmt::format("{} divided by {} overflows", a, b));
  const Dim self = atom.kind == Kind::floordiv ? Dim::floordiv(atom.a, atom.b) : Dim::mod(atom.a, atom.b);
  if (self == DimBuilder::failing()) {
    return fail(ErrorCode::unsupported, "a dimension is too complex or has a coefficient over 64 bits");
  }
  return fail(ErrorCode::usage, fmt::format("division by zero in the dimension {}", self.to_string()));
}

Result<Wide> evaluate_term(const Term& term, const SymbolValues& values) {
  Wide product = term.coefficient;
  bool overflow = false;
  for (const Dim::Factor& factor : term.factors) {
    INTAGLIO_TRY(const std::int64_t value, evaluate_atom(*factor.atom, values));
    if (value == 0) {
      product = 0;
      overflow = false;
    }
    for (int i = 0; i < factor.power && product != 0 && !overflow; ++i) {
      overflow = __builtin_mul_overflow(product, static_cast<Wide>(value), &product);
    }
    // Once overflowed only a later zero matters.
    if (overflow) product = 1;
  }
  if (overflow || product > INT64_MAX || product < INT64_MIN) {
    return fail(ErrorCode::usage, "a dimension exceeds 64 bits");
  }
  return product;
}

}  // namespace

Result<std::int64_t> Dim::evaluate(const SymbolValues& values) const {
  // Terms fit 64 bits and there are at most kMaxDimTerms: the wide sum cannot overflow.
  Wide sum = constant_;
  for (const Term& term : terms_) {
    INTAGLIO_TRY(const Wide value, evaluate_term(term, values));
    sum += value;
  }
  if (sum > INT64_MAX || sum < INT64_MIN) {
    return fail(ErrorCode::usage, fmt::format("the dimension {} exceeds 64 bits", to_string()));
  }
  return static_cast<std::int64_t>(sum);
}

namespace {

// Ends at or beyond the int64 limits are infinite, and stay so: saturation must never narrow an interval.
constexpr Wide kInfinity = static_cast<Wide>(1) << 100;

Wide clamp_end(Wide v) {
  if (v >= INT64_MAX) return kInfinity;
  if (v <= INT64_MIN) return -kInfinity;
  return v;
}

struct Interval {
  Wide lo, hi;
};

Interval make(Wide lo, Wide hi) {
  return {clamp_end(lo), clamp_end(hi)};
}

Wide times(Wide a, Wide b) {
  if (a == 0 || b == 0) return 0;
  const bool infinite = a >= kInfinity || a <= -kInfinity || b >= kInfinity || b <= -kInfinity;
  if (infinite) return (a < 0) == (b < 0) ? kInfinity : -kInfinity;
  return a * b;  // both fit 64 bits
}

Interval multiply(Interval a, Interval b) {
  const Wide ends[] = {times(a.lo, b.lo), times(a.lo, b.hi), times(a.hi, b.lo), times(a.hi, b.hi)};
  return make(*std::min_element(std::begin(ends), std::end(ends)), *std::max_element(std::begin(ends), std::end(ends)));
}

Interval power(Interval a, int n) {
  if (n % 2 == 0) {  // an even power looks at magnitudes only
    const Wide nearest = a.lo > 0 ? a.lo : (a.hi < 0 ? -a.hi : 0);
    a = {nearest, std::max(-a.lo, a.hi)};
  }
  Interval result{1, 1};
  for (int i = 0; i < n; ++i) result = multiply(result, a);
  return result;
}

Wide floor_quotient(Wide a, Wide b) {
  if (a >= kInfinity || a <= -kInfinity) return (a < 0) == (b < 0) ? kInfinity : -kInfinity;
  if (b >= kInfinity || b <= -kInfinity) return a == 0 || (a < 0) == (b < 0) ? 0 : -1;
  return a / b - (a % b != 0 && ((a % b < 0) != (b < 0)) ? 1 : 0);
}

// The divisor without 0: there the evaluation fails and has no value to bound.
Interval without_zero(Interval b) {
  if (b.lo == 0) b.lo = 1;
  if (b.hi == 0) b.hi = -1;
  return b;
}

Interval floordiv_interval(Interval a, Interval b) {
  if (b.lo == 0 && b.hi == 0) return {-kInfinity, kInfinity};
  b = without_zero(b);
  if (b.lo < 0 && b.hi > 0) {  // divisors of both signs: -1 and 1 are the extreme ones
    const Wide largest = std::max({a.lo, a.hi, -a.lo, -a.hi});
    return make(-largest, largest);
  }
  const Wide ends[] = {floor_quotient(a.lo, b.lo), floor_quotient(a.lo, b.hi), floor_quotient(a.hi, b.lo),
                       floor_quotient(a.hi, b.hi)};
  return make(*std::min_element(std::begin(ends), std::end(ends)), *std::max_element(std::begin(ends), std::end(ends)));
}

Interval mod_interval(Interval a, Interval b) {
  if (b.lo == 0 && b.hi == 0) return {-kInfinity, kInfinity};
  b = without_zero(b);
  if (b.lo > 0) {
    if (a.lo >= 0 && a.hi < b.lo) return a;
    return make(0, a.lo >= 0 ? std::min(a.hi, b.hi - 1) : b.hi - 1);
  }
  return make(std::min<Wide>(b.lo + 1, 0), std::max<Wide>(b.hi - 1, 0));
}

Interval bounds_of(const Dim& d, const SymbolRanges& ranges);

Interval bounds_of(const DimAtom& atom, const SymbolRanges& ranges) {
  if (atom.kind == Kind::symbol) {
    const auto found = ranges.find(atom.name);
    const SymbolRange range = found == ranges.end() ? SymbolRange{} : found->second;
    return make(range.min, range.max);
  }
  const Interval a = bounds_of(atom.a, ranges), b = bounds_of(atom.b, ranges);
  switch (atom.kind) {
    case Kind::floordiv:
      return floordiv_interval(a, b);
    case Kind::mod:
      return mod_interval(a, b);
    case Kind::min:
      return {std::min(a.lo, b.lo), std::min(a.hi, b.hi)};
    case Kind::max:
      return {std::max(a.lo, b.lo), std::max(a.hi, b.hi)};
    case Kind::symbol:
      break;
  }
  return {-kInfinity, kInfinity};
}

Interval bounds_of(const Dim& d, const SymbolRanges& ranges) {
  const Wide constant = DimBuilder::constant_part(d);
  if (d.is_constant()) return make(constant, constant);
  Interval sum{constant, constant};
  for (const Term& term : d.terms()) {
    Interval product{term.coefficient, term.coefficient};
    for (const Dim::Factor& f : term.factors) product = multiply(product, power(bounds_of(*f.atom, ranges), f.power));
    // Infinite ends dominate: kInfinity is far beyond any sum of finite ones.
    sum.lo = product.lo == -kInfinity || sum.lo == -kInfinity ? -kInfinity : sum.lo + product.lo;
    sum.hi = product.hi == kInfinity || sum.hi == kInfinity ? kInfinity : sum.hi + product.hi;
    sum = {std::max(sum.lo, -kInfinity), std::min(sum.hi, kInfinity)};
  }
  return make(sum.lo, sum.hi);
}

std::int64_t saturate(Wide v) {
  if (v >= INT64_MAX) return INT64_MAX;
  if (v <= INT64_MIN) return INT64_MIN;
  return static_cast<std::int64_t>(v);
}

Dim substitute_atom(const std::shared_ptr<const DimAtom>& atom, const std::map<std::string, Dim, std::less<>>& map) {
  if (atom->kind == Kind::symbol) {
    const auto found = map.find(atom->name);
    return found != map.end() ? found->second : DimBuilder::build({Term{1, {{atom, 1}}}}, 0);
  }
  const Dim a = atom->a.substitute(map), b = atom->b.substitute(map);
  switch (atom->kind) {
    case Kind::floordiv:
      return Dim::floordiv(a, b);
    case Kind::mod:
      return Dim::mod(a, b);
    case Kind::min:
      return Dim::min(a, b);
    case Kind::max:
      return Dim::max(a, b);
    case Kind::symbol:
      break;
  }
  return DimBuilder::failing();
}

void collect_atoms(const Dim& d, std::vector<std::string>& out) {
  for (const Term& term : d.terms()) {
    for (const Dim::Factor& f : term.factors) {
      if (f.atom->kind == Kind::symbol) {
        out.push_back(f.atom->name);
      } else {
        collect_atoms(f.atom->a, out);
        collect_atoms(f.atom->b, out);
      }
    }
  }
}

}  // namespace

SymbolRange Dim::bounds(const SymbolRanges& ranges) const {
  const Interval interval = bounds_of(*this, ranges);
  return SymbolRange{saturate(interval.lo), saturate(interval.hi)};
}

Dim Dim::substitute(const std::map<std::string, Dim, std::less<>>& replacements) const {
  Dim result = constant_;
  for (const Term& term : terms_) {
    Dim product = term.coefficient;
    for (const Factor& f : term.factors) {
      const Dim base = substitute_atom(f.atom, replacements);
      for (int i = 0; i < f.power; ++i) product = product * base;
    }
    result = result + product;
  }
  return result;
}

void Dim::collect_symbols(std::vector<std::string>& out) const {
  collect_atoms(*this, out);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
}

}  // namespace intaglio
