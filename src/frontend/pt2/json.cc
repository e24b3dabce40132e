#include "frontend/pt2/json.h"

#include <limits>
#include <string>

namespace intaglio::frontend::pt2 {
namespace {

tl::unexpected<Error> wanted(std::string_view what, std::string_view kind) {
  return fail(ErrorCode::file, std::string(what) + ": " + std::string(kind) + " was expected");
}

}  // namespace

Result<JsonDocument> JsonDocument::parse(std::span<const std::byte> text, std::string_view what) {
  JsonDocument document;
  document.parser_ = std::make_unique<simdjson::dom::parser>();
  auto error = document.parser_->allocate(text.size() + 1, kMaxJsonDepth);
  if (error == simdjson::SUCCESS) {
    // realloc_if_needed: the text is copied once, because simdjson reads past its end.
    error = document.parser_->parse(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(), true)
                .get(document.root_);
  }
  if (error != simdjson::SUCCESS) {
    return fail(ErrorCode::file, std::string(what) + " cannot be read: " + simdjson::error_message(error));
  }
  return document;
}

std::optional<Json> find(Json json, std::string_view key) {
  simdjson::dom::object object;
  Json value;
  if (json.get(object) != simdjson::SUCCESS || object.at_key(key).get(value) != simdjson::SUCCESS || value.is_null())
    return std::nullopt;
  return value;
}

Result<Json> field(Json json, std::string_view key) {
  if (auto value = find(json, key)) return *value;
  return fail(ErrorCode::file, "'" + std::string(key) + "' is missing");
}

Result<simdjson::dom::object> object_of(Json json, std::string_view what) {
  simdjson::dom::object value;
  if (json.get(value) != simdjson::SUCCESS) return wanted(what, "an object");
  return value;
}

Result<simdjson::dom::array> array_of(Json json, std::string_view what) {
  simdjson::dom::array value;
  if (json.get(value) != simdjson::SUCCESS) return wanted(what, "a list");
  return value;
}

Result<std::string_view> string_of(Json json, std::string_view what) {
  std::string_view value;
  if (json.get(value) != simdjson::SUCCESS) return wanted(what, "a string");
  return value;
}

Result<std::int64_t> int_of(Json json, std::string_view what) {
  std::int64_t value = 0;
  if (json.get(value) != simdjson::SUCCESS) return wanted(what, "a 64-bit integer");
  return value;
}

Result<bool> bool_of(Json json, std::string_view what) {
  bool value = false;
  if (json.get(value) != simdjson::SUCCESS) return wanted(what, "true or false");
  return value;
}

Result<double> float_of(Json json, std::string_view what) {
  double value = 0;
  if (json.get(value) == simdjson::SUCCESS) return value;
  std::string_view text;
  if (json.get(text) == simdjson::SUCCESS) {
    if (text == "Infinity") return std::numeric_limits<double>::infinity();
    if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
    if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  }
  return wanted(what, "a number");
}

}  // namespace intaglio::frontend::pt2
