#include "base/error.h"

#include <fmt/format.h>

namespace intaglio {

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::internal:
      return 1;
    case ErrorCode::usage:
      return 2;
    case ErrorCode::file:
      return 3;
    case ErrorCode::unsupported:
      return 4;
    case ErrorCode::requirement:
      return 5;
    case ErrorCode::data:
      return 2;
  }
  return 1;
}

std::string_view name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::internal:
      return "internal";
    case ErrorCode::usage:
      return "usage";
    case ErrorCode::file:
      return "file";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::requirement:
      return "requirement";
    case ErrorCode::data:
      return "data";
  }
  return "unknown";
}

namespace {
// Names in messages come from files: control characters would break "on one line" and could steer a terminal.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}
}  // namespace

std::string Error::to_string() const {
  std::string text = origin.empty() ? message : fmt::format("{}: {}", origin, message);
  if (!hint.empty()) text += fmt::format(" (hint: {})", hint);
  return one_line(std::move(text));
}

Error Error::at(std::string where) && {
  if (origin.empty()) origin = std::move(where);
  return std::move(*this);
}

Error Error::within(std::string_view context) && {
  if (origin.empty()) {
    origin = context;
  } else if (!context.empty()) {
    origin = fmt::format("{}: {}", context, origin);
  }
  return std::move(*this);
}

}  // namespace intaglio
