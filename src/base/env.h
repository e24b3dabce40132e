// Options from the environment. Every variable is a row of this table (doctor prints it); a bad value is an error
// that names the variable, never a quiet default.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/isa.h"

namespace intaglio {

struct EnvOptions {
  std::optional<Isa> max_isa;         // INTAGLIO_MAX_ISA: caps the ISA set to closure_of(value)
  std::optional<int> threads;         // INTAGLIO_THREADS: 1..1024
  bool verify = false;                // INTAGLIO_VERIFY=1: check weight checksums at every load
  std::string log_level = "warning";  // INTAGLIO_LOG: trace, debug, info, warning, error, off
};

// Reads the process environment. Errors (usage): an unknown value, with the list of legal ones; an unknown variable
// that begins with INTAGLIO_, with a "did you mean".
Result<EnvOptions> read_environment();
// The same on given entries "NAME=value"; an empty value counts as not set.
Result<EnvOptions> parse_environment(std::span<const std::string> entries);

struct EnvVariable {
  std::string name, value, meaning;
  bool set = false;
};
std::vector<EnvVariable> environment_report();

// The candidate nearest to `text` by edit distance, if near enough to suggest. Used for names of options, inputs, ops.
std::optional<std::string> did_you_mean(std::string_view text, const std::vector<std::string>& candidates);

}  // namespace intaglio
