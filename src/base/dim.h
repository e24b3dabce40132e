// Symbolic dimensions: polynomials with integer coefficients over named symbols and over opaque atoms floordiv, mod,
// min and max. A flattened [B,S,H] gives M = B*S. Dims are values: immutable, comparable, hashable, printable.
// The IR reasons with them; a plan evaluates them when a run binds its symbols.
// What cannot be represented (a coefficient over 64 bits, an expression over the limits in dim_internal.h) becomes the
// Dim floordiv(1, 0): it absorbs every operation on it and fails in evaluate. No operation here throws or overflows.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace intaglio {

struct DimAtom;  // a symbol, or a function of two Dims; shared, immutable

// The declared range of a symbol, inclusive. The default lets a dim be 0 (legal unless the model excludes it).
struct SymbolRange {
  std::int64_t min = 0;
  std::int64_t max = INT64_MAX;
  friend bool operator==(const SymbolRange&, const SymbolRange&) = default;
};
using SymbolRanges = std::map<std::string, SymbolRange, std::less<>>;
using SymbolValues = std::map<std::string, std::int64_t, std::less<>>;

class Dim {
 public:
  Dim() = default;          // 0
  Dim(std::int64_t value);  // NOLINT: a constant is a Dim
  // Names are [A-Za-z_][A-Za-z0-9_.]*, at most 1024 characters; others go through sanitise_symbol, which can make two
  // names one: a frontend that reads such names keeps its own table.
  static Dim symbol(std::string_view name);

  bool is_constant() const { return terms_.empty(); }
  std::optional<std::int64_t> constant() const;
  // The symbol's name if the Dim is exactly one symbol.
  std::optional<std::string> as_symbol() const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  // Exact simplifications where they can be proved without ranges: (64*s)/64 = s, x/1 = x, x mod 1 = 0,
  // floordiv(64*s + 3, 64) = s, floordiv(s - 1, 2) = floordiv(s + 1, 2) - 1. A factor that cancels is taken as
  // non-zero: floordiv(b*s, b) = s. Division by the constant 0 is kept as an atom and fails at evaluation.
  static Dim floordiv(const Dim& a, const Dim& b);  // rounds towards minus infinity (Python's //)
  static Dim mod(const Dim& a, const Dim& b);       // sign of the divisor (Python's %)
  static Dim min(const Dim& a, const Dim& b);
  static Dim max(const Dim& a, const Dim& b);
  // a / b if the division is provably exact (long division of polynomials), else nullopt; also for b = 0. As above, a
  // symbolic b is taken as non-zero.
  static std::optional<Dim> exact_div(const Dim& a, const Dim& b);

  // Structural equality of canonical forms: true means equal for every binding; false means "not proved".
  friend bool operator==(const Dim& a, const Dim& b);
  friend std::strong_ordering operator<=>(const Dim& a, const Dim& b);

  // Evaluates with checked arithmetic. Errors: an unbound symbol, overflow, division by zero.
  Result<std::int64_t> evaluate(const SymbolValues& values) const;
  // The interval of values over the ranges (conservative, saturating at the int64 limits).
  SymbolRange bounds(const SymbolRanges& ranges) const;
  // Replaces symbols; symbols that are not in the map stay.
  Dim substitute(const std::map<std::string, Dim, std::less<>>& replacements) const;
  void collect_symbols(std::vector<std::string>& out) const;  // appended, without duplicates, sorted

  // "12", "batch", "batch*seq + 3", "floordiv(seq + 1, 2)", "min(a, b)". parse is the exact inverse.
  std::string to_string() const;
  static Result<Dim> parse(std::string_view text);

  struct Factor;  // atom and power
  struct Term;    // coefficient and factors, sorted
  const std::vector<Term>& terms() const { return terms_; }

 private:
  friend struct DimBuilder;
  std::vector<Term> terms_;  // sorted, without zero coefficients, without the constant term
  std::int64_t constant_ = 0;
};

struct Dim::Factor {
  std::shared_ptr<const DimAtom> atom;
  int power = 1;
};
struct Dim::Term {
  std::int64_t coefficient = 1;
  std::vector<Factor> factors;
};
struct DimAtom {
  enum class Kind : std::uint8_t { symbol, floordiv, mod, min, max };
  Kind kind = Kind::symbol;
  std::string name;  // symbol only
  Dim a, b;          // functions only
  // Filled when the atom is made.
  std::uint32_t size = 1;   // atoms in the written-out expression
  std::uint32_t depth = 0;  // nesting of functions
  std::size_t hash = 0;
};

using Dims = std::vector<Dim>;

std::string to_string(std::span<const Dim> dims);  // "[batch, 128, 64*h]"
Dims constant_dims(std::span<const std::int64_t> dims);
// The product; 1 for rank 0.
Dim element_count(std::span<const Dim> dims);
// All constant? Then their values.
std::optional<std::vector<std::int64_t>> constant_values(std::span<const Dim> dims);
// Equal Dims have equal hashes. For hash tables inside one process: not stable across builds.
std::size_t hash_of(const Dim& d);
// Makes any text a legal symbol name ("past_seq + 1" -> "past_seq_1"); the empty text becomes "d".
std::string sanitise_symbol(std::string_view text);

}  // namespace intaglio

template <>
struct std::hash<intaglio::Dim> {
  std::size_t operator()(const intaglio::Dim& d) const { return intaglio::hash_of(d); }
};
