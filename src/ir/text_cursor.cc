#include <fmt/format.h>

#include <charconv>

#include "ir/text_internal.h"

namespace intaglio::ir {

namespace {

bool is_word_char(char c) {
  return is_value_name({&c, 1});
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (code < 0x20 || code == 0x7f) {
      out += fmt::format("\\x{:02x}", code);
    } else {
      out += c;
    }
  }
  return out + '"';
}

void Cursor::skip() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '#') {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      ++at_;
    } else {
      return;
    }
  }
}

tl::unexpected<Error> Cursor::error_at(std::size_t position, std::string message) const {
  std::size_t line = 1, start = 0;
  for (std::size_t i = 0; i < position && i < text_.size(); ++i) {
    if (text_[i] != '\n') continue;
    ++line;
    start = i + 1;
  }
  return fail(ErrorCode::file, std::move(message), fmt::format("line {}, column {}", line, position - start + 1));
}

bool Cursor::accept(char c) {
  if (!peek(c)) return false;
  ++at_;
  return true;
}

bool Cursor::accept_word(std::string_view word) {
  skip();
  if (!text_.substr(at_).starts_with(word)) return false;
  const std::size_t end = at_ + word.size();
  if (end < text_.size() && is_word_char(text_[end])) return false;
  at_ = end;
  return true;
}

Status Cursor::expect(char c) {
  if (accept(c)) return {};
  const std::size_t where = position();
  return where == text_.size() ? error_at(where, fmt::format("expected '{}', but the text ends", c))
                               : error_at(where, fmt::format("expected '{}'", c));
}

std::string_view Cursor::take(std::string_view extra) {
  skip();
  const std::size_t start = at_;
  while (at_ < text_.size() && (is_word_char(text_[at_]) || extra.find(text_[at_]) != std::string_view::npos)) ++at_;
  return text_.substr(start, at_ - start);
}

Result<std::string_view> Cursor::word(std::string_view what) {
  const std::string_view found = take("");
  if (found.empty()) return error(fmt::format("expected {}", what));
  return found;
}

Result<std::string_view> Cursor::number(std::string_view what) {
  const std::string_view found = take("+-");
  if (found.empty()) return error(fmt::format("expected {}", what));
  return found;
}

Result<std::int64_t> Cursor::integer(std::string_view what) {
  const std::size_t where = position();
  INTAGLIO_TRY(const std::string_view text, number(what));
  std::int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) {
    return error_at(where, fmt::format("'{}' is no 64-bit integer; expected {}", text, what));
  }
  return value;
}

Result<std::string> Cursor::string(std::string_view what) {
  if (!peek('"')) return error(fmt::format("expected {} in quotes", what));
  const std::size_t start = at_++;
  std::string out;
  while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n') {
    char c = text_[at_++];
    if (c == '\\') {
      const char escape = at_ < text_.size() ? text_[at_++] : '\0';
      const int high = at_ < text_.size() ? hex_digit(text_[at_]) : -1;
      const int low = at_ + 1 < text_.size() ? hex_digit(text_[at_ + 1]) : -1;
      if (escape == '"' || escape == '\\') {
        c = escape;
      } else if (escape == 'x' && high >= 0 && low >= 0) {
        c = static_cast<char>(high * 16 + low);
        at_ += 2;
      } else {
        return error_at(at_ - 1, "unknown escape in quotes; there are \\\", \\\\ and \\xHH");
      }
    }
    out += c;
  }
  if (at_ == text_.size() || text_[at_] != '"') return error_at(start, "the closing quote is missing on this line");
  ++at_;
  return out;
}

Result<Dim> Cursor::dim(std::string_view stops) {
  skip();
  const std::size_t start = at_;
  int depth = 0;
  while (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '#') {
    const char c = text_[at_];
    if (depth == 0 && (stops.find(c) != std::string_view::npos || c == '=')) break;
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    ++at_;
  }
  std::string_view text = text_.substr(start, at_ - start);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r' || text.back() == '\t')) text.remove_suffix(1);
  if (text.empty()) return error_at(start, "expected a dimension");
  auto dim = Dim::parse(text);
  if (!dim) return error_at(start, fmt::format("'{}' is no dimension: {}", text, dim.error().message));
  return dim;
}

}  // namespace intaglio::ir
