// Symbols from concrete shapes.
#include <fmt/format.h>

#include <optional>

#include "base/shape.h"
#include "interp/interp.h"

namespace intaglio::interp {

namespace {

// The value of the one symbol in c * s + k == size, if dim has that form and the division is exact.
struct Solved {
  std::string symbol;
  std::int64_t value = 0;
};
std::optional<Solved> solve(const Dim& dim, std::int64_t size) {
  if (dim.terms().size() != 1) return std::nullopt;
  const Dim::Term& term = dim.terms()[0];
  if (term.factors.size() != 1 || term.factors[0].power != 1 || term.factors[0].atom->kind != DimAtom::Kind::symbol) {
    return std::nullopt;
  }
  const std::string& symbol = term.factors[0].atom->name;
  const auto constant = dim.evaluate({{symbol, 0}});
  const auto rest = constant ? checked_add(size, *constant == INT64_MIN ? 0 : -*constant) : std::nullopt;
  if (!rest || term.coefficient <= 0 || *rest % term.coefficient != 0) return std::nullopt;
  return Solved{symbol, *rest / term.coefficient};
}

class Binder {
 public:
  Binder(const ir::Graph& graph, std::span<const Shape> shapes) : graph_(graph), shapes_(shapes) {}

  Result<SymbolValues> run() {
    INTAGLIO_CHECK(check_ranks());
    for (const auto& [symbol, range] : graph_.symbols) {
      if (range.min == range.max) known_.emplace(symbol, Dim(range.min));
    }
    // Plain dims first; what they give may be all that a compound one ("s*t + 2") still lacks.
    for (std::size_t before = known_.size() + 1; before != known_.size();) {
      before = known_.size();
      for (std::size_t i = 0; i < shapes_.size(); ++i) INTAGLIO_CHECK(bind_input(i));
    }
    for (const auto& [symbol, value] : known_) values_.emplace(symbol, *value.constant());
    for (std::size_t i = 0; i < shapes_.size(); ++i) INTAGLIO_CHECK(check_input(i));
    for (const ir::DimGuard& guard : graph_.guards) INTAGLIO_CHECK(check_guard(guard));
    return std::move(values_);
  }

 private:
  const ir::Port& port(std::size_t i) const { return graph_.inputs()[i]; }
  std::string input_name(std::size_t i) const { return fmt::format("input '{}'", port(i).name); }

  Status check_ranks() const {
    if (shapes_.size() != graph_.inputs().size()) {
      return fail(ErrorCode::usage,
                  fmt::format("{} inputs given, the model has {}", shapes_.size(), graph_.inputs().size()));
    }
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
      if (shapes_[i].size() == port(i).value->shape().size()) continue;
      return fail(ErrorCode::usage,
                  fmt::format("the shape {} has rank {}, the model wants {}", to_string(shapes_[i]), shapes_[i].size(),
                              to_string(port(i).value->type())),
                  input_name(i));
    }
    return {};
  }

  Status bind_input(std::size_t i) {
    for (std::size_t d = 0; d < shapes_[i].size(); ++d) {
      const auto solved = solve(port(i).value->shape()[d].substitute(known_), shapes_[i][d]);
      if (!solved || !known_.try_emplace(solved->symbol, Dim(solved->value)).second) continue;
      const auto declared = graph_.symbols.find(solved->symbol);
      const SymbolRange range = declared == graph_.symbols.end() ? SymbolRange{} : declared->second;
      if (solved->value >= range.min && solved->value <= range.max) continue;
      const std::string max = range.max == INT64_MAX ? "inf" : std::to_string(range.max);
      return fail(ErrorCode::unsupported,
                  fmt::format("'{}' = {} is outside its declared range [{}, {}]", solved->symbol, solved->value,
                              range.min, max),
                  input_name(i));
    }
    return {};
  }

  Status check_input(std::size_t i) const {
    for (std::size_t d = 0; d < shapes_[i].size(); ++d) {
      const Dim& dim = port(i).value->shape()[d];
      auto wanted = dim.evaluate(values_);
      if (!wanted) return fail(std::move(wanted).error().at(input_name(i)));
      if (*wanted == shapes_[i][d]) continue;
      const std::string form =
          dim.is_constant() ? std::to_string(*wanted) : fmt::format("{} = {}", dim.to_string(), *wanted);
      return fail(ErrorCode::usage,
                  fmt::format("dimension {} of {} is {}, wanted {}", d, to_string(shapes_[i]), shapes_[i][d], form),
                  input_name(i));
    }
    return {};
  }

  Status check_guard(const ir::DimGuard& guard) const {
    INTAGLIO_TRY(const std::int64_t a, guard.a.evaluate(values_));
    INTAGLIO_TRY(const std::int64_t b, guard.b.evaluate(values_));
    if (a == b) return {};
    return fail(ErrorCode::unsupported,
                fmt::format("the model needs {} == {}, but here they are {} and {}", guard.a.to_string(),
                            guard.b.to_string(), a, b),
                guard.origin);
  }

  const ir::Graph& graph_;
  std::span<const Shape> shapes_;
  std::map<std::string, Dim, std::less<>> known_;  // as values_, for substitution
  SymbolValues values_;
};

}  // namespace

Result<SymbolValues> bind_symbols(const ir::Graph& graph, std::span<const Shape> input_shapes) {
  return Binder(graph, input_shapes).run();
}

}  // namespace intaglio::interp
