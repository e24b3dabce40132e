// Pieces of the text form that printer and parser share. Private to ir/text*.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ir/graph.h"

namespace intaglio::ir {

inline constexpr std::size_t kMaxListedElements = 16;                      // longer constants print otherwise
inline constexpr std::size_t kMaxGeneratedBytes = std::size_t{256} << 20;  // splat and random, whatever a text asks for

std::string quote(std::string_view text);

// One element as text ("0.5", "-3", "true", "nan"), shortest form that reads back to the same bits (NaN payloads
// apart).
std::string element_text(const Tensor& tensor, std::int64_t index);
// The inverse: writes size_of(dtype) bytes. False if the text is no such number or out of range.
bool parse_element(DType dtype, std::string_view text, std::byte* out);
// What follows "=" in a const statement.
std::string constant_text(const Tensor& tensor, bool full);
// Numbers that look like weights: floating point is bell-shaped with mean 0 and deviation 0.05; 8-bit integers are
// uniform over their range, other integers over [0, 16), bool is a coin. The same on every machine.
Result<Tensor> random_tensor(DType dtype, const Shape& shape, std::uint64_t seed);

// Reads text token by token; every error carries line and column.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  std::size_t position() { return skip(), at_; }
  bool at_end() { return skip(), at_ == text_.size(); }
  bool peek(char c) { return skip(), at_ < text_.size() && text_[at_] == c; }
  bool accept(char c);
  bool accept_word(std::string_view word);  // a whole word
  Status expect(char c);
  // [A-Za-z0-9_.]+; `what` for the message.
  Result<std::string_view> word(std::string_view what);
  // The same with + and -: numbers, "-inf".
  Result<std::string_view> number(std::string_view what);
  Result<std::int64_t> integer(std::string_view what);
  Result<std::string> string(std::string_view what);
  // A Dim expression: up to one of `stops` (or "==") outside parentheses, or the end of the line.
  Result<Dim> dim(std::string_view stops);

  tl::unexpected<Error> error(std::string message) { return error_at(position(), std::move(message)); }
  tl::unexpected<Error> error_at(std::size_t position, std::string message) const;

 private:
  void skip();
  std::string_view take(std::string_view extra);

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace intaglio::ir
