#include "base/env.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

namespace intaglio {

namespace {

constexpr std::string_view kPrefix = "INTAGLIO_";

Status set_max_isa(EnvOptions& options, const std::string& value) {
  options.max_isa = parse_isa(value);
  if (options.max_isa) return {};
  return fail(ErrorCode::usage, fmt::format("unknown ISA level '{}'", value), {}, "one of " + all_isa_names());
}

Status set_threads(EnvOptions& options, const std::string& value) {
  int count = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
  if (error != std::errc() || end != value.data() + value.size() || count < 1 || count > 1024) {
    return fail(ErrorCode::usage, fmt::format("'{}' is not a number of threads", value), {}, "a number from 1 to 1024");
  }
  options.threads = count;
  return {};
}

Status set_verify(EnvOptions& options, const std::string& value) {
  if (value != "0" && value != "1") {
    return fail(ErrorCode::usage, fmt::format("'{}' is neither 0 nor 1", value), {}, "0 or 1");
  }
  options.verify = value == "1";
  return {};
}

Status set_log(EnvOptions& options, const std::string& value) {
  constexpr std::array<std::string_view, 6> kLevels = {"trace", "debug", "info", "warning", "error", "off"};
  if (std::find(kLevels.begin(), kLevels.end(), value) == kLevels.end()) {
    return fail(ErrorCode::usage, fmt::format("unknown log level '{}'", value), {},
                fmt::format("one of {}", fmt::join(kLevels, ", ")));
  }
  options.log_level = value;
  return {};
}

// A variable that is read where it is used: any text is legal.
Status accept_any(EnvOptions&, const std::string&) {
  return {};
}

struct Row {
  std::string_view name, meaning;
  Status (*set)(EnvOptions&, const std::string&);
};
// Every variable there is. A new one is a row here and a field of EnvOptions.
constexpr std::array kRows = {
    Row{"INTAGLIO_MAX_ISA", "caps the instruction sets that may be used to a level and what it implies", set_max_isa},
    Row{"INTAGLIO_THREADS", "the number of threads of a run, 1 to 1024", set_threads},
    Row{"INTAGLIO_VERIFY", "1: check the checksums of weights at every load", set_verify},
    Row{"INTAGLIO_PYTHON", "the Python that runs the peers of 'intaglio bench --against' (default python3)",
        accept_any},
    Row{"INTAGLIO_LOG", "what is logged on stderr: trace, debug, info, warning, error or off", set_log},
};

std::vector<std::string> variable_names() {
  std::vector<std::string> names;
  for (const Row& row : kRows) names.emplace_back(row.name);
  return names;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

Result<EnvOptions> parse_environment(std::span<const std::string> entries) {
  EnvOptions options;
  for (const std::string& entry : entries) {
    if (!entry.starts_with(kPrefix)) continue;
    const std::size_t equals = entry.find('=');
    const std::string name = entry.substr(0, equals);
    const std::string value = equals == std::string::npos ? std::string() : entry.substr(equals + 1);
    const auto row = std::find_if(kRows.begin(), kRows.end(), [&](const Row& r) { return r.name == name; });
    if (row == kRows.end()) {
      const auto names = variable_names();
      const auto near = did_you_mean(name, names);
      return fail(ErrorCode::usage, "unknown environment variable", name,
                  near ? fmt::format("did you mean {}?", *near) : fmt::format("one of {}", fmt::join(names, ", ")));
    }
    if (value.empty()) continue;  // set but empty is how shells unset a variable for one command
    Status status = row->set(options, value);
    if (!status) return fail(std::move(status).error().at(name));
  }
  return options;
}

Result<EnvOptions> read_environment() {
  std::vector<std::string> entries;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) entries.emplace_back(*entry);
  return parse_environment(entries);
}

std::vector<EnvVariable> environment_report() {
  std::vector<EnvVariable> report;
  for (const Row& row : kRows) {
    const char* value = std::getenv(std::string(row.name).c_str());
    report.push_back(EnvVariable{.name = std::string(row.name),
                                 .value = value == nullptr ? std::string() : std::string(value),
                                 .meaning = std::string(row.meaning),
                                 .set = value != nullptr && *value != '\0'});
  }
  return report;
}

std::optional<std::string> did_you_mean(std::string_view text, const std::vector<std::string>& candidates) {
  constexpr std::size_t kLongest = 256;  // names come from files too; the distance is quadratic
  if (text.size() > kLongest) return std::nullopt;
  std::optional<std::string> best;
  // A third of the letters may differ: "INTAGLIO_THREAD", "--thread"; two unrelated short words may not.
  std::size_t best_distance = std::max<std::size_t>(text.size(), 3) / 3 + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kLongest) continue;
    const std::size_t distance = edit_distance(text, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace intaglio
