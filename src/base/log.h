// Leveled log on stderr (spdlog behind it). stdout belongs to results.
#pragma once

#include <string_view>

#include "base/error.h"

namespace intaglio {

enum class LogLevel : unsigned char { trace, debug, info, warning, error, off };
Status set_log_level(std::string_view level);
void log(LogLevel level, std::string_view message);

}  // namespace intaglio
