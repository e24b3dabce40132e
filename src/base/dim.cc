#include "base/dim.h"

#include <algorithm>

#include "base/dim_internal.h"
#include "base/shape.h"

namespace intaglio {

using Factor = Dim::Factor;
using Term = Dim::Term;

std::strong_ordering compare_atoms(const DimAtom& a, const DimAtom& b) {
  if (&a == &b) return std::strong_ordering::equal;
  if (const auto order = a.kind <=> b.kind; order != 0) return order;
  if (a.kind == DimAtom::Kind::symbol) return a.name.compare(b.name) <=> 0;
  if (const auto first = a.a <=> b.a; first != 0) return first;
  return a.b <=> b.b;
}

std::strong_ordering compare_monomials(const std::vector<Factor>& a, const std::vector<Factor>& b) {
  int degree_a = 0, degree_b = 0;
  for (const Factor& f : a) degree_a += f.power;
  for (const Factor& f : b) degree_b += f.power;
  if (degree_a != degree_b) return degree_a <=> degree_b;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    // The smaller atom comes first: the monomial that has it is the greater one.
    if (const auto order = compare_atoms(*b[i].atom, *a[i].atom); order != 0) return order;
    if (a[i].power != b[i].power) return a[i].power <=> b[i].power;
  }
  return std::strong_ordering::equal;  // equal degrees: neither can be a proper prefix of the other
}

std::vector<Factor> multiply_monomials(const std::vector<Factor>& a, const std::vector<Factor>& b) {
  std::vector<Factor> product;
  product.reserve(a.size() + b.size());
  std::size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    if (i == a.size()) {
      product.push_back(b[j++]);
    } else if (j == b.size()) {
      product.push_back(a[i++]);
    } else if (const auto order = compare_atoms(*a[i].atom, *b[j].atom); order < 0) {
      product.push_back(a[i++]);
    } else if (order > 0) {
      product.push_back(b[j++]);
    } else {
      product.push_back(Factor{a[i].atom, a[i].power + b[j].power});
      ++i;
      ++j;
    }
  }
  return product;
}

std::optional<std::vector<Factor>> divide_monomials(const std::vector<Factor>& a, const std::vector<Factor>& b) {
  std::vector<Factor> quotient;
  std::size_t j = 0;
  for (const Factor& f : a) {
    int power = f.power;
    if (j < b.size() && compare_atoms(*f.atom, *b[j].atom) == 0) power -= b[j++].power;
    if (power < 0) return std::nullopt;
    if (power > 0) quotient.push_back(Factor{f.atom, power});
  }
  if (j != b.size()) return std::nullopt;
  return quotient;
}

namespace {

struct Extent {
  std::uint64_t size = 0;
  std::uint32_t depth = 0;
};

Extent extent_of(const std::vector<Term>& terms) {
  Extent extent;
  for (const Term& term : terms) {
    for (const Factor& f : term.factors) {
      extent.size += static_cast<std::uint64_t>(f.power) * f.atom->size;
      extent.depth = std::max(extent.depth, f.atom->depth);
    }
  }
  return extent;
}

std::size_t mix(std::size_t seed, std::size_t value) {
  return (seed ^ value) * 0x9e3779b97f4a7c15ull + (seed >> 29);
}

}  // namespace

Dim DimBuilder::build(std::vector<Term> terms, std::int64_t constant) {
  std::sort(terms.begin(), terms.end(),
            [](const Term& a, const Term& b) { return compare_monomials(a.factors, b.factors) > 0; });
  std::vector<Term> merged;
  for (Term& term : terms) {
    if (!merged.empty() && compare_monomials(merged.back().factors, term.factors) == 0) {
      const auto sum = checked_add(merged.back().coefficient, term.coefficient);
      if (!sum) return failing();
      merged.back().coefficient = *sum;
    } else {
      if (!merged.empty() && merged.back().coefficient == 0) merged.pop_back();
      merged.push_back(std::move(term));
    }
  }
  if (!merged.empty() && merged.back().coefficient == 0) merged.pop_back();
  for (const Term& term : merged) {
    for (const Factor& f : term.factors) {
      if (f.power > kMaxDimPower) return failing();
    }
  }
  if (merged.size() > kMaxDimTerms || extent_of(merged).size > kMaxDimSize) return failing();
  Dim result;
  result.terms_ = std::move(merged);
  result.constant_ = constant;
  return result;
}

Dim DimBuilder::of_atom(DimAtom atom) {
  if (atom.kind != DimAtom::Kind::symbol) {
    const Extent a = extent_of(atom.a.terms()), b = extent_of(atom.b.terms());
    const std::uint64_t size = 1 + a.size + b.size;
    const std::uint32_t depth = 1 + std::max(a.depth, b.depth);
    if (size > kMaxDimSize || depth > kMaxDimDepth) return failing();
    atom.size = static_cast<std::uint32_t>(size);
    atom.depth = depth;
    atom.hash = mix(mix(static_cast<std::size_t>(atom.kind), hash_of(atom.a)), hash_of(atom.b));
  } else {
    atom.hash = std::hash<std::string>()(atom.name);
  }
  Dim result;
  result.terms_.push_back(Term{1, {Factor{std::make_shared<const DimAtom>(std::move(atom)), 1}}});
  return result;
}

Dim DimBuilder::failing() {
  static const Dim instance = of_atom(DimAtom{.kind = DimAtom::Kind::floordiv, .name = {}, .a = 1, .b = 0});
  return instance;
}

const DimAtom* DimBuilder::single_atom(const Dim& d) {
  if (d.constant_ != 0 || d.terms_.size() != 1 || d.terms_[0].coefficient != 1) return nullptr;
  const std::vector<Factor>& factors = d.terms_[0].factors;
  return factors.size() == 1 && factors[0].power == 1 ? factors[0].atom.get() : nullptr;
}

bool DimBuilder::is_failing(const Dim& d) {
  const DimAtom* atom = single_atom(d);
  if (atom == nullptr || (atom->kind != DimAtom::Kind::floordiv && atom->kind != DimAtom::Kind::mod)) return false;
  return atom->b.constant() == 0;
}

Dim::Dim(std::int64_t value) : constant_(value) {}

Dim Dim::symbol(std::string_view name) {
  std::string legal = is_symbol_name(name) ? std::string(name) : sanitise_symbol(name);
  return DimBuilder::of_atom(DimAtom{.kind = DimAtom::Kind::symbol, .name = std::move(legal), .a = {}, .b = {}});
}

std::optional<std::int64_t> Dim::constant() const {
  if (!is_constant()) return std::nullopt;
  return constant_;
}

std::optional<std::string> Dim::as_symbol() const {
  const DimAtom* atom = DimBuilder::single_atom(*this);
  if (atom == nullptr || atom->kind != DimAtom::Kind::symbol) return std::nullopt;
  return atom->name;
}

Dim operator+(const Dim& a, const Dim& b) {
  if (DimBuilder::is_failing(a)) return a;
  if (DimBuilder::is_failing(b)) return b;
  const auto constant = checked_add(a.constant_, b.constant_);
  if (!constant) return DimBuilder::failing();
  if (a.is_constant() && b.is_constant()) return *constant;
  std::vector<Term> terms = a.terms_;
  terms.insert(terms.end(), b.terms_.begin(), b.terms_.end());
  return DimBuilder::build(std::move(terms), *constant);
}

Dim operator-(const Dim& a, const Dim& b) {
  if (a == b && !DimBuilder::is_failing(a)) return 0;
  if (a.is_constant() && b.is_constant()) {
    std::int64_t difference = 0;
    if (__builtin_sub_overflow(a.constant_, b.constant_, &difference)) return DimBuilder::failing();
    return difference;
  }
  return a + b * Dim(-1);
}

Dim operator*(const Dim& a, const Dim& b) {
  if (DimBuilder::is_failing(a)) return a;
  if (DimBuilder::is_failing(b)) return b;
  const auto constant = checked_mul(a.constant_, b.constant_);
  if (!constant) return DimBuilder::failing();
  if (a.is_constant() && b.is_constant()) return *constant;
  if ((a.terms_.size() + 1) * (b.terms_.size() + 1) > 4 * kMaxDimTerms) return DimBuilder::failing();
  std::vector<Term> terms;
  const auto add = [&](std::int64_t x, std::int64_t y, std::vector<Factor> factors) {
    const auto coefficient = checked_mul(x, y);
    if (!coefficient) return false;
    if (*coefficient != 0) terms.push_back(Term{*coefficient, std::move(factors)});
    return true;
  };
  for (const Term& x : a.terms_) {
    if (!add(x.coefficient, b.constant_, x.factors)) return DimBuilder::failing();
    for (const Term& y : b.terms_) {
      if (!add(x.coefficient, y.coefficient, multiply_monomials(x.factors, y.factors))) return DimBuilder::failing();
    }
  }
  for (const Term& y : b.terms_) {
    if (!add(a.constant_, y.coefficient, y.factors)) return DimBuilder::failing();
  }
  return DimBuilder::build(std::move(terms), *constant);
}

bool operator==(const Dim& a, const Dim& b) {
  if (a.constant_ != b.constant_ || a.terms_.size() != b.terms_.size()) return false;
  for (std::size_t i = 0; i < a.terms_.size(); ++i) {
    const Term &x = a.terms_[i], &y = b.terms_[i];
    if (x.coefficient != y.coefficient || x.factors.size() != y.factors.size()) return false;
    for (std::size_t j = 0; j < x.factors.size(); ++j) {
      const Factor &f = x.factors[j], &g = y.factors[j];
      if (f.power != g.power) return false;
      if (f.atom == g.atom) continue;
      if (f.atom->hash != g.atom->hash || compare_atoms(*f.atom, *g.atom) != 0) return false;
    }
  }
  return true;
}

std::strong_ordering operator<=>(const Dim& a, const Dim& b) {
  for (std::size_t i = 0; i < a.terms_.size() && i < b.terms_.size(); ++i) {
    if (const auto order = compare_monomials(a.terms_[i].factors, b.terms_[i].factors); order != 0) return order;
    if (const auto order = a.terms_[i].coefficient <=> b.terms_[i].coefficient; order != 0) return order;
  }
  if (a.terms_.size() != b.terms_.size()) return a.terms_.size() <=> b.terms_.size();
  return a.constant_ <=> b.constant_;
}

std::size_t hash_of(const Dim& d) {
  std::size_t hash = mix(0x51ed270b, static_cast<std::size_t>(DimBuilder::constant_part(d)));
  for (const Term& term : d.terms()) {
    hash = mix(hash, static_cast<std::size_t>(term.coefficient));
    for (const Factor& f : term.factors) hash = mix(hash, f.atom->hash + static_cast<std::size_t>(f.power));
  }
  return hash;
}

Dims constant_dims(std::span<const std::int64_t> dims) {
  return Dims(dims.begin(), dims.end());
}

Dim element_count(std::span<const Dim> dims) {
  Dim product = 1;
  for (const Dim& dim : dims) product = product * dim;
  return product;
}

std::optional<std::vector<std::int64_t>> constant_values(std::span<const Dim> dims) {
  std::vector<std::int64_t> values;
  for (const Dim& dim : dims) {
    const auto value = dim.constant();
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

}  // namespace intaglio
