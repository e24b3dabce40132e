// Dims as text, both ways.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/dim.h"
#include "base/dim_internal.h"

namespace intaglio {

using Kind = DimAtom::Kind;

namespace {

constexpr Kind kFunctions[] = {Kind::floordiv, Kind::mod, Kind::min, Kind::max};
constexpr int kMaxNesting = 2 * static_cast<int>(kMaxDimDepth);
constexpr std::size_t kMaxText = std::size_t{1} << 20;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_character(char c) {
  return is_letter(c) || is_digit(c) || c == '.';
}

std::uint64_t magnitude(std::int64_t v) {
  return v < 0 ? ~static_cast<std::uint64_t>(v) + 1 : static_cast<std::uint64_t>(v);
}

void print(const Dim& d, std::string& out);

void print(const DimAtom& atom, std::string& out) {
  if (atom.kind == Kind::symbol) {
    out += atom.name;
    return;
  }
  out += function_name(atom.kind);
  out += '(';
  print(atom.a, out);
  out += ", ";
  print(atom.b, out);
  out += ')';
}

void print(const Dim& d, std::string& out) {
  bool first = true;
  const auto sign = [&](bool negative) {
    if (!first) out += negative ? " - " : " + ";
    if (first && negative) out += '-';
    first = false;
  };
  for (const Dim::Term& term : d.terms()) {
    sign(term.coefficient < 0);
    const bool unit = magnitude(term.coefficient) == 1;
    if (!unit) out += std::to_string(magnitude(term.coefficient));
    bool star = !unit;
    for (const Dim::Factor& f : term.factors) {
      for (int i = 0; i < f.power; ++i) {
        if (star) out += '*';
        star = true;
        print(*f.atom, out);
      }
    }
  }
  const std::int64_t constant = DimBuilder::constant_part(d);
  if (constant != 0 || first) {
    sign(constant < 0);
    out += std::to_string(magnitude(constant));
  }
}

// sum = ["-"] product {("+" | "-") product}; product = value {"*" value};
// value = number | name | function "(" sum "," sum ")" | "(" sum ")".
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Dim> parse() {
    INTAGLIO_TRY(Dim result, sum(0));
    skip_spaces();
    if (at_ != text_.size()) return error("unexpected text");
    return result;
  }

 private:
  tl::unexpected<Error> error(std::string_view why) const {
    return fail(ErrorCode::file,
                fmt::format("'{}' is not a dimension: {} at column {}", text_.substr(0, 120), why, at_ + 1));
  }

  void skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }

  bool accept(char c) {
    skip_spaces();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  Result<Dim> sum(int nesting) {
    if (nesting > kMaxNesting) return error("too deeply nested");
    INTAGLIO_TRY(Dim result, product(nesting, accept('-')));
    while (true) {
      const bool minus = accept('-');
      if (!minus && !accept('+')) return result;
      INTAGLIO_TRY(const Dim next, product(nesting, minus));
      result = result + next;
    }
  }

  // The sign belongs to the first number, so that -9223372036854775808 can be read.
  Result<Dim> product(int nesting, bool negative) {
    skip_spaces();
    Dim result;
    if (at_ < text_.size() && is_digit(text_[at_])) {
      INTAGLIO_TRY(result, number(negative));
    } else {
      INTAGLIO_TRY(result, value(nesting));
      if (negative) result = result * Dim(-1);
    }
    while (accept('*')) {
      skip_spaces();
      INTAGLIO_TRY(const Dim next, value(nesting));
      result = result * next;
    }
    return result;
  }

  Result<Dim> number(bool negative) {
    std::uint64_t value = 0;
    const auto [end, code] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    const std::uint64_t limit = static_cast<std::uint64_t>(INT64_MAX) + (negative ? 1 : 0);
    if (code != std::errc() || value > limit) return error("a number over 64 bits");
    at_ = static_cast<std::size_t>(end - text_.data());
    return Dim(static_cast<std::int64_t>(negative ? ~value + 1 : value));
  }

  Result<Dim> value(int nesting) {
    if (at_ < text_.size() && is_digit(text_[at_])) return number(false);
    if (accept('(')) {
      INTAGLIO_TRY(Dim inner, sum(nesting + 1));
      if (!accept(')')) return error("expected ')'");
      return inner;
    }
    if (at_ == text_.size() || !is_letter(text_[at_])) return error("expected a number or a name");
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_name_character(text_[at_])) ++at_;
    const std::string_view name = text_.substr(begin, at_ - begin);
    if (name.size() > kMaxSymbolLength) return error("a name is too long");
    if (!accept('(')) return Dim::symbol(name);
    for (const Kind kind : kFunctions) {
      if (function_name(kind) == name) return call(kind, nesting);
    }
    return error(fmt::format("unknown function '{}'", name));
  }

  Result<Dim> call(Kind kind, int nesting) {
    INTAGLIO_TRY(const Dim a, sum(nesting + 1));
    if (!accept(',')) return error("expected ','");
    INTAGLIO_TRY(const Dim b, sum(nesting + 1));
    if (!accept(')')) return error("expected ')'");
    switch (kind) {
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
    return error("not a function");
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

bool is_symbol_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxSymbolLength && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(), is_name_character);
}

std::string_view function_name(DimAtom::Kind kind) {
  switch (kind) {
    case Kind::symbol:
      return "";
    case Kind::floordiv:
      return "floordiv";
    case Kind::mod:
      return "mod";
    case Kind::min:
      return "min";
    case Kind::max:
      return "max";
  }
  return "";
}

std::string Dim::to_string() const {
  std::string text;
  print(*this, text);
  return text;
}

Result<Dim> Dim::parse(std::string_view text) {
  if (text.size() > kMaxText) return fail(ErrorCode::file, "the text of a dimension is too long");
  return Parser(text).parse();
}

std::string to_string(std::span<const Dim> dims) {
  std::string text = "[";
  for (const Dim& dim : dims) {
    if (text.size() > 1) text += ", ";
    text += dim.to_string();
  }
  return text + "]";
}

std::string sanitise_symbol(std::string_view text) {
  std::string name;
  bool gap = false;
  for (const char c : text.substr(0, kMaxSymbolLength / 2)) {
    if (!is_name_character(c)) {
      gap = true;
      continue;
    }
    if (gap && !name.empty()) name += '_';
    gap = false;
    name += c;
  }
  if (name.empty()) return "d";
  return is_letter(name.front()) ? name : "d" + name;
}

}  // namespace intaglio
