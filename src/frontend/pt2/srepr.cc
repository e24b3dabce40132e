#include "frontend/pt2/srepr.h"

#include <cctype>
#include <charconv>
#include <string>
#include <vector>

#include "base/shape.h"

namespace intaglio::frontend::pt2 {
namespace {

constexpr int kMaxDepth = 32;
constexpr std::int64_t kMaxPower = 8;
constexpr std::size_t kMaxTerms = 64;  // products of sums of a hostile file would grow without bound

class SreprParser {
 public:
  SreprParser(std::string_view text, const std::function<Dim(std::string_view)>& symbol)
      : text_(text), symbol_(symbol) {}

  Result<Dim> whole() {
    INTAGLIO_TRY(Dim value, expression(0));
    skip();
    if (at_ != text_.size()) return bad();
    return value;
  }

 private:
  tl::unexpected<Error> bad() const {
    return fail(ErrorCode::file, "the size expression '" + std::string(text_.substr(0, 200)) +
                                     "' cannot be read at character " + std::to_string(at_));
  }
  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool accept(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string_view word() {
    skip();
    const std::size_t first = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_'))
      ++at_;
    return text_.substr(first, at_ - first);
  }
  Result<Dim> number() {
    skip();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc{}) return bad();
    at_ = static_cast<std::size_t>(end - text_.data());
    return Dim(value);
  }
  Result<Dim> symbol() {
    skip();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) return bad();
    const char quote = text_[at_++];
    const std::size_t end = text_.find(quote, at_);
    if (end == text_.npos) return bad();
    const std::string_view name = text_.substr(at_, end - at_);
    at_ = end + 1;
    while (accept(',')) {  // assumptions: positive=True, integer=True
      if (word().empty() || !accept('=') || word().empty()) return bad();
    }
    if (name.empty()) return bad();
    return symbol_(name);
  }

  Result<Dim> expression(int depth) {
    if (depth > kMaxDepth) return fail(ErrorCode::file, "a size expression is nested too deeply");
    skip();
    if (at_ < text_.size() && (text_[at_] == '-' || std::isdigit(static_cast<unsigned char>(text_[at_])) != 0))
      return number();
    const std::string_view name = word();
    if (name == "One" || name == "Zero" || name == "NegativeOne")
      return Dim(name == "One" ? 1 : name == "Zero" ? 0 : -1);
    if (name.empty() || !accept('(')) return bad();
    if (name == "Integer" || name == "Symbol") {
      INTAGLIO_TRY(Dim value, name == "Integer" ? number() : symbol());
      if (!accept(')')) return bad();
      return value;
    }
    std::vector<Dim> args;
    do {
      INTAGLIO_TRY(Dim arg, expression(depth + 1));
      args.push_back(std::move(arg));
    } while (accept(','));
    if (!accept(')')) return bad();
    INTAGLIO_TRY(Dim value, apply(name, args));
    if (value.terms().size() > kMaxTerms) return fail(ErrorCode::unsupported, "a size expression with too many terms");
    return value;
  }

  Result<Dim> apply(std::string_view name, const std::vector<Dim>& args);

  std::string_view text_;
  const std::function<Dim(std::string_view)>& symbol_;
  std::size_t at_ = 0;
};

Result<Dim> checked_product(const Dim& a, const Dim& b) {
  const auto x = a.constant(), y = b.constant();
  if (x && y && !checked_mul(*x, *y)) return fail(ErrorCode::file, "a size expression overflows");
  return a * b;
}

Result<Dim> checked_sum(const Dim& a, const Dim& b) {
  const auto x = a.constant(), y = b.constant();
  if (x && y && !checked_add(*x, *y)) return fail(ErrorCode::file, "a size expression overflows");
  return a + b;
}

Result<Dim> power(const Dim& base, const Dim& exponent) {
  const auto count = exponent.constant();
  if (!count || *count < 0 || *count > kMaxPower)
    return fail(ErrorCode::unsupported, "a size expression with a power other than 0 to 8");
  Dim value = 1;
  for (std::int64_t i = 0; i < *count; ++i) {
    INTAGLIO_TRY(value, checked_product(value, base));
  }
  return value;
}

Result<Dim> SreprParser::apply(std::string_view name, const std::vector<Dim>& args) {
  const bool two = args.size() == 2;
  if (name == "Add" || name == "Mul" || name == "Max" || name == "Min") {
    Dim value = args.front();
    for (std::size_t i = 1; i < args.size(); ++i) {
      if (name == "Add") {
        INTAGLIO_TRY(value, checked_sum(value, args[i]));
      } else if (name == "Mul") {
        INTAGLIO_TRY(value, checked_product(value, args[i]));
      } else {
        value = name == "Max" ? Dim::max(value, args[i]) : Dim::min(value, args[i]);
      }
    }
    return value;
  }
  if (name == "Pow" && two) return power(args[0], args[1]);
  if (name == "FloorDiv" && two) return Dim::floordiv(args[0], args[1]);
  if (name == "CeilDiv" && two) return Dim(0) - Dim::floordiv(Dim(0) - args[0], args[1]);
  if ((name == "CleanDiv" || name == "IntTrueDiv") && two) {
    if (auto exact = Dim::exact_div(args[0], args[1])) return *exact;
    if (name == "CleanDiv") return Dim::floordiv(args[0], args[1]);
  }
  if ((name == "Mod" || name == "PythonMod") && two) return Dim::mod(args[0], args[1]);
  if (name == "ModularIndexing" && args.size() == 3) return Dim::mod(Dim::floordiv(args[0], args[1]), args[2]);
  return fail(ErrorCode::unsupported, "the function '" + std::string(name) + "' in a size expression is not supported");
}

}  // namespace

Result<Dim> parse_srepr(std::string_view text, const std::function<Dim(std::string_view)>& symbol) {
  return SreprParser(text, symbol).whole();
}

}  // namespace intaglio::frontend::pt2
