// Errors as values. Everything that a file, an argument or the environment can cause is an Error, never an assert,
// an exception or a crash (architecture: "Decided once"). Exceptions exist only at the API surface.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace intaglio {

// What went wrong, by who must act. The CLI's exit code is derived from this (exit_code()).
enum class ErrorCode : std::uint8_t {
  internal,     // a broken promise of ours: always a bug worth reporting             exit 1
  usage,        // unknown option, input name, shape, dtype, rank, environment value  exit 2
  file,         // missing, truncated, corrupted, other version, escapes its folder, disk full  exit 3
  unsupported,  // ops or dtypes that cannot be run, a dim outside its range, no memory     exit 4
  requirement,  // a --require or a comparison that was not met                       exit 5
  data,         // data-dependent failure while running: an index out of range        exit 2
};
int exit_code(ErrorCode code);
std::string_view name_of(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;  // what happened and why, one sentence, no trailing full stop
  std::string origin;   // where: a file (with offset), a node, an input, a variable; may be empty
  std::string hint;     // what to do about it; may be empty

  // "origin: message (hint: ...)", on one line.
  std::string to_string() const;
  // The same error with an origin, if it has none yet: outer layers know the file, inner ones the offset.
  Error at(std::string where) &&;
  // The same error with `context` put in front of its origin: "model.onnx: node 'x'".
  Error within(std::string_view context) &&;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string message, std::string origin = {}, std::string hint = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(origin), std::move(hint)});
}
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace intaglio

// The two forms that propagate an error; `name` may declare a variable: INTAGLIO_TRY(auto x, f());
#define INTAGLIO_CONCAT_INNER(a, b) a##b
#define INTAGLIO_CONCAT(a, b)       INTAGLIO_CONCAT_INNER(a, b)
#define INTAGLIO_TRY_IMPL(temp, decl, ...)                                        \
  auto temp = (__VA_ARGS__);                                                      \
  if (!temp) return ::tl::unexpected<::intaglio::Error>(std::move(temp).error()); \
  decl = std::move(*temp)
#define INTAGLIO_TRY(decl, ...) INTAGLIO_TRY_IMPL(INTAGLIO_CONCAT(intaglio_try_, __LINE__), decl, __VA_ARGS__)
#define INTAGLIO_CHECK(...)                                                                               \
  do {                                                                                                    \
    auto intaglio_status = (__VA_ARGS__);                                                                 \
    if (!intaglio_status) return ::tl::unexpected<::intaglio::Error>(std::move(intaglio_status).error()); \
  } while (false)
