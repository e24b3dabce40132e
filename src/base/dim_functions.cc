// floordiv, mod, min, max and exact division, with the simplifications that keep equal things structurally equal.
// Every rule is an identity of the integers, except that a cancelled factor is taken as non-zero.
#include <algorithm>
#include <numeric>

#include "base/dim.h"
#include "base/dim_internal.h"
#include "base/shape.h"

namespace intaglio {

using Factor = Dim::Factor;
using Term = Dim::Term;
using Kind = DimAtom::Kind;

std::optional<std::int64_t> floor_divide(std::int64_t a, std::int64_t b) {
  if (b == 0 || (a == INT64_MIN && b == -1)) return std::nullopt;
  const std::int64_t quotient = a / b;
  return quotient - (a % b != 0 && ((a % b < 0) != (b < 0)) ? 1 : 0);
}

std::optional<std::int64_t> floor_modulo(std::int64_t a, std::int64_t b) {
  if (b == 0) return std::nullopt;
  if (b == -1) return 0;
  const std::int64_t rest = a % b;
  return rest != 0 && ((rest < 0) != (b < 0)) ? rest + b : rest;
}

namespace {

Dim function(Kind kind, const Dim& a, const Dim& b) {
  return DimBuilder::of_atom(DimAtom{.kind = kind, .name = {}, .a = a, .b = b});
}

struct Split {
  Dim quotient, rest;
};

// a = n * quotient + rest for n > 0: coefficients are divided towards zero (so that bounds stay tight), the constant
// towards minus infinity (so that floordiv(s - 1, 2) and floordiv(s + 1, 2) - 1 meet).
Split split_by_constant(const Dim& a, std::int64_t n) {
  std::vector<Term> quotient, rest;
  for (const Term& term : a.terms()) {
    if (term.coefficient / n != 0) quotient.push_back(Term{term.coefficient / n, term.factors});
    if (term.coefficient % n != 0) rest.push_back(Term{term.coefficient % n, term.factors});
  }
  const std::int64_t constant = DimBuilder::constant_part(a);
  return {DimBuilder::build(std::move(quotient), *floor_divide(constant, n)),
          DimBuilder::build(std::move(rest), *floor_modulo(constant, n))};
}

// The same for a divisor that is one monomial: the terms that it divides go to the quotient.
Split split_by_monomial(const Dim& a, const Term& divisor) {
  std::vector<Term> quotient, rest;
  for (const Term& term : a.terms()) {
    auto factors = divide_monomials(term.factors, divisor.factors);
    // INT64_MIN / -1 would overflow; it stays in the rest.
    const bool divides = term.coefficient != INT64_MIN && term.coefficient % divisor.coefficient == 0;
    if (factors && divides) {
      quotient.push_back(Term{term.coefficient / divisor.coefficient, std::move(*factors)});
    } else {
      rest.push_back(term);
    }
  }
  // A monomial equal to the divisor's has left a constant behind.
  std::int64_t constant = 0;
  if (!quotient.empty() && quotient.back().factors.empty()) {
    constant = quotient.back().coefficient;
    quotient.pop_back();
  }
  return {DimBuilder::build(std::move(quotient), constant),
          DimBuilder::build(std::move(rest), DimBuilder::constant_part(a))};
}

std::int64_t gcd_of_terms(const Dim& a, std::int64_t with) {
  std::int64_t divisor = with;
  for (const Term& term : a.terms()) {
    if (term.coefficient == INT64_MIN) return 1;
    divisor = std::gcd(divisor, term.coefficient);
  }
  return divisor;
}

Dim divide_terms(const Dim& a, std::int64_t n, std::int64_t constant) {
  std::vector<Term> terms = a.terms();
  for (Term& term : terms) term.coefficient /= n;
  return DimBuilder::build(std::move(terms), constant);
}

// The greatest monomial that divides every term of both; none if either has a constant part.
std::vector<Factor> common_monomial(const Dim& a, const Dim& b) {
  if (DimBuilder::constant_part(a) != 0 || DimBuilder::constant_part(b) != 0) return {};
  if (a.terms().empty() || b.terms().empty()) return {};
  std::vector<Factor> common = a.terms().front().factors;
  const auto reduce = [&common](const Dim& d) {
    for (const Term& term : d.terms()) {
      for (Factor& f : common) {
        const auto same = std::find_if(term.factors.begin(), term.factors.end(),
                                       [&f](const Factor& g) { return compare_atoms(*f.atom, *g.atom) == 0; });
        f.power = same == term.factors.end() ? 0 : std::min(f.power, same->power);
      }
      std::erase_if(common, [](const Factor& f) { return f.power == 0; });
    }
  };
  reduce(a);
  reduce(b);
  return common;
}

Dim divide_by_monomial(const Dim& a, const std::vector<Factor>& monomial) {
  return *Dim::exact_div(a, DimBuilder::build({Term{1, monomial}}, 0));
}

// floordiv by a constant n > 1.
Dim floordiv_constant(const Dim& a, std::int64_t n) {
  if (Split split = split_by_constant(a, n); split.quotient != Dim(0)) {
    return split.quotient + Dim::floordiv(split.rest, n);
  }
  const std::int64_t constant = DimBuilder::constant_part(a);
  if (a.is_constant()) return 0;  // 0 <= constant < n after the split
  // floor((g*x + k) / (g*m)) = floor((x + floor(k/g)) / m)
  if (const std::int64_t g = gcd_of_terms(a, n); g > 1) {
    return Dim::floordiv(divide_terms(a, g, *floor_divide(constant, g)), n / g);
  }
  // floor((floor(x/p) + k) / n) = floor((x + k*p) / (p*n))
  if (const DimAtom* inner = DimBuilder::single_atom(a - Dim(constant)); inner && inner->kind == Kind::floordiv) {
    const auto p = inner->b.constant();
    if (p && *p > 0) {
      const auto shift = checked_mul(constant, *p);
      const auto divisor = checked_mul(*p, n);
      if (shift && divisor) return Dim::floordiv(inner->a + Dim(*shift), *divisor);
    }
  }
  return function(Kind::floordiv, a, n);
}

// mod by a constant n > 1.
Dim mod_constant(const Dim& a, std::int64_t n) {
  const Split split = split_by_constant(a, n);
  if (split.quotient != Dim(0)) return Dim::mod(split.rest, n);
  if (const auto constant = a.constant()) return *constant;  // 0 <= constant < n after the split
  const std::int64_t constant = DimBuilder::constant_part(a);
  if (const std::int64_t g = gcd_of_terms(a, n); g > 1 && constant % g == 0) {
    return Dim(g) * Dim::mod(divide_terms(a, g, constant / g), n / g);
  }
  if (const DimAtom* inner = DimBuilder::single_atom(a); inner != nullptr && inner->kind == Kind::mod) {
    const auto p = inner->b.constant();
    if (p && *p > 0 && *p % n == 0) return Dim::mod(inner->a, n);
    if (p && *p > 0 && n % *p == 0) return a;
  }
  return function(Kind::mod, a, n);
}

bool is_monomial(const Dim& d) {
  return d.terms().size() == 1 && DimBuilder::constant_part(d) == 0;
}

// min or max by what can be decided without ranges; nullopt if nothing can.
std::optional<Dim> decide(Kind kind, const Dim& a, const Dim& b) {
  const bool want_smaller = kind == Kind::min;
  if (const auto difference = (a - b).constant()) return (*difference < 0) == want_smaller ? a : b;
  const Kind other = want_smaller ? Kind::max : Kind::min;
  for (const auto& [x, y] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    const DimAtom* atom = DimBuilder::single_atom(*x);
    if (atom == nullptr || (atom->a != *y && atom->b != *y)) continue;
    if (atom->kind == kind) return *x;   // min(min(y, z), y) = min(y, z)
    if (atom->kind == other) return *y;  // min(max(y, z), y) = y
  }
  return std::nullopt;
}

Dim extremum(Kind kind, const Dim& a, const Dim& b) {
  if (DimBuilder::is_failing(a)) return a;
  if (DimBuilder::is_failing(b)) return b;
  if (auto decided = decide(kind, a, b)) return *decided;
  // min(min(x, 8), 4) = min(x, 4): a constant meets the constant inside.
  for (const auto& [x, y] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    const DimAtom* atom = DimBuilder::single_atom(*x);
    if (!y->is_constant() || atom == nullptr || atom->kind != kind) continue;
    if (atom->a.is_constant()) return extremum(kind, extremum(kind, atom->a, *y), atom->b);
    if (atom->b.is_constant()) return extremum(kind, atom->a, extremum(kind, atom->b, *y));
  }
  return a < b ? function(kind, b, a) : function(kind, a, b);
}

}  // namespace

std::optional<Dim> Dim::exact_div(const Dim& a, const Dim& b) {
  if (DimBuilder::is_failing(a) || DimBuilder::is_failing(b) || b == Dim(0)) return std::nullopt;
  // Long division: the order of terms is a monomial order, so the leading terms decide each step.
  const Term constant_lead{b.constant_, {}};
  const Term& lead = b.terms_.empty() ? constant_lead : b.terms_.front();
  Dim quotient, rest = a;
  for (std::size_t step = 0; step <= kMaxDimTerms; ++step) {
    if (rest == Dim(0)) return quotient;
    const Term rest_constant{rest.constant_, {}};
    const Term& top = rest.terms_.empty() ? rest_constant : rest.terms_.front();
    auto factors = divide_monomials(top.factors, lead.factors);
    if (!factors || (lead.coefficient == -1 && top.coefficient == INT64_MIN)) return std::nullopt;
    if (top.coefficient % lead.coefficient != 0) return std::nullopt;
    const std::int64_t coefficient = top.coefficient / lead.coefficient;
    const Dim part =
        factors->empty() ? Dim(coefficient) : DimBuilder::build({Term{coefficient, std::move(*factors)}}, 0);
    quotient = quotient + part;
    rest = rest - part * b;
    if (DimBuilder::is_failing(rest) || DimBuilder::is_failing(quotient)) return std::nullopt;
  }
  return std::nullopt;
}

Dim Dim::floordiv(const Dim& a, const Dim& b) {
  if (DimBuilder::is_failing(a)) return a;
  if (DimBuilder::is_failing(b)) return b;
  if (b == Dim(0)) return function(Kind::floordiv, a, b);
  if (auto exact = exact_div(a, b)) return *exact;
  if (const auto n = b.constant()) {
    if (*n == INT64_MIN || *n == -1)
      return a.is_constant() && *n == INT64_MIN ? Dim(*floor_divide(a.constant_, *n)) : function(Kind::floordiv, a, b);
    return *n < 0 ? floordiv(a * Dim(-1), Dim(-*n)) : floordiv_constant(a, *n);
  }
  if (is_monomial(b)) {
    if (Split split = split_by_monomial(a, b.terms_.front()); split.quotient != Dim(0)) {
      return split.quotient + floordiv(split.rest, b);
    }
  }
  if (const auto common = common_monomial(a, b); !common.empty()) {
    return floordiv(divide_by_monomial(a, common), divide_by_monomial(b, common));
  }
  return function(Kind::floordiv, a, b);
}

Dim Dim::mod(const Dim& a, const Dim& b) {
  if (DimBuilder::is_failing(a)) return a;
  if (DimBuilder::is_failing(b)) return b;
  if (b == Dim(0)) return function(Kind::mod, a, b);
  if (exact_div(a, b)) return 0;
  if (const auto n = b.constant()) {
    if (*n == -1) return 0;
    if (*n == INT64_MIN) return a.is_constant() ? Dim(*floor_modulo(a.constant_, *n)) : function(Kind::mod, a, b);
    // Python: a mod -n = -((-a) mod n)
    return *n < 0 ? mod(a * Dim(-1), Dim(-*n)) * Dim(-1) : mod_constant(a, *n);
  }
  if (is_monomial(b)) {
    if (Split split = split_by_monomial(a, b.terms_.front()); split.quotient != Dim(0)) return mod(split.rest, b);
  }
  return function(Kind::mod, a, b);
}

Dim Dim::min(const Dim& a, const Dim& b) {
  return extremum(Kind::min, a, b);
}
Dim Dim::max(const Dim& a, const Dim& b) {
  return extremum(Kind::max, a, b);
}

}  // namespace intaglio
