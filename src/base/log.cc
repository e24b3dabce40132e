#include "base/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>

namespace intaglio {

namespace {
struct Row {
  std::string_view name;
  spdlog::level::level_enum level;
};
// Indexed by LogLevel.
constexpr std::array<Row, 6> kLevels = {{{"trace", spdlog::level::trace},
                                         {"debug", spdlog::level::debug},
                                         {"info", spdlog::level::info},
                                         {"warning", spdlog::level::warn},
                                         {"error", spdlog::level::err},
                                         {"off", spdlog::level::off}}};

// Not registered with spdlog's global registry: a host program that uses spdlog keeps its own settings.
// Never destroyed: objects with static lifetime may still log while the process ends.
spdlog::logger& logger() {
  static spdlog::logger* const instance = [] {
    auto* created = new spdlog::logger("intaglio", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    created->set_pattern("intaglio: %l: %v");
    created->set_level(spdlog::level::warn);
    return created;
  }();
  return *instance;
}
}  // namespace

Status set_log_level(std::string_view level) {
  std::string names;
  for (const Row& row : kLevels) {
    if (row.name == level) {
      logger().set_level(row.level);
      return {};
    }
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  return fail(ErrorCode::usage, fmt::format("unknown log level '{}'", level), {}, "one of " + names);
}

void log(LogLevel level, std::string_view message) {
  const auto index = static_cast<std::size_t>(level);
  if (level == LogLevel::off || index >= kLevels.size()) return;
  logger().log(kLevels[index].level, message);  // a view is logged as it is, never read as a format
}

}  // namespace intaglio
