// How Dims are built. Private to base/dim*.cc.
#pragma once

#include <string_view>
#include <vector>

#include "base/dim.h"

namespace intaglio {

// Limits that keep every walk over a Dim short, whatever a file asks for. What exceeds them becomes the failing Dim.
inline constexpr std::uint32_t kMaxDimSize = 16384;  // atoms of the written-out expression
inline constexpr std::uint32_t kMaxDimDepth = 100;   // nesting of functions
inline constexpr std::size_t kMaxDimTerms = 1024;
inline constexpr int kMaxDimPower = 64;
inline constexpr std::size_t kMaxSymbolLength = 1024;

struct DimBuilder {
  // Adds coefficient * factors (factors sorted by atom) for each term, then makes the canonical Dim.
  static Dim build(std::vector<Dim::Term> terms, std::int64_t constant);
  static Dim of_atom(DimAtom atom);
  // A Dim that cannot be represented (a coefficient over 64 bits, an expression over the limits): floordiv(1, 0).
  static Dim failing();
  // Is it the failing Dim, or another division by the constant 0? Such Dims absorb every operation on them.
  static bool is_failing(const Dim& d);
  static const DimAtom* single_atom(const Dim& d);  // the atom if d is exactly one atom, coefficient and power 1
  static std::int64_t constant_part(const Dim& d) { return d.constant_; }
};

std::strong_ordering compare_atoms(const DimAtom& a, const DimAtom& b);
// Graded lexicographic, a monomial order: what division of polynomials needs. Coefficients are not compared.
std::strong_ordering compare_monomials(const std::vector<Dim::Factor>& a, const std::vector<Dim::Factor>& b);
std::vector<Dim::Factor> multiply_monomials(const std::vector<Dim::Factor>& a, const std::vector<Dim::Factor>& b);
// a / b if every factor of b is in a.
std::optional<std::vector<Dim::Factor>> divide_monomials(const std::vector<Dim::Factor>& a,
                                                         const std::vector<Dim::Factor>& b);
bool is_symbol_name(std::string_view name);
std::string_view function_name(DimAtom::Kind kind);

// Division that rounds towards minus infinity; nullopt for b = 0 and for INT64_MIN / -1.
std::optional<std::int64_t> floor_divide(std::int64_t a, std::int64_t b);
std::optional<std::int64_t> floor_modulo(std::int64_t a, std::int64_t b);

}  // namespace intaglio
