// A thin layer over simdjson's DOM: typed access that reports errors as values. No exceptions, depth limited.
#pragma once

#include <simdjson.h>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"

namespace intaglio::frontend::pt2 {

using Json = simdjson::dom::element;

inline constexpr std::size_t kMaxJsonDepth = 128;

// A parsed text. Elements and strings handed out live as long as the document.
class JsonDocument {
 public:
  // Errors (file): not JSON, invalid UTF-8, deeper than kMaxJsonDepth. `what` names the text in messages.
  static Result<JsonDocument> parse(std::span<const std::byte> text, std::string_view what);
  Json root() const { return root_; }

 private:
  std::unique_ptr<simdjson::dom::parser> parser_;
  Json root_;
};

// The value under a key of an object; nullopt if there is none or `json` is no object. null counts as absent.
std::optional<Json> find(Json json, std::string_view key);

// Errors (file) name `what`: "range_constraints: an object was expected".
Result<Json> field(Json json, std::string_view key);
Result<simdjson::dom::object> object_of(Json json, std::string_view what);
Result<simdjson::dom::array> array_of(Json json, std::string_view what);
Result<std::string_view> string_of(Json json, std::string_view what);
Result<std::int64_t> int_of(Json json, std::string_view what);
Result<bool> bool_of(Json json, std::string_view what);
// A number, or "Infinity", "-Infinity", "NaN" as torch writes what JSON cannot.
Result<double> float_of(Json json, std::string_view what);

}  // namespace intaglio::frontend::pt2
