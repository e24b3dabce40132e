#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace intaglio::cli {

namespace {

constexpr double kQuietSeconds = 0.5;
constexpr double kRedrawSeconds = 0.1;
constexpr double kLineSeconds = 10;
constexpr int kBarWidth = 30;

double seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<long>(std::ceil(std::clamp(seconds, 0.0, 1e9)));
  return whole < 60 ? fmt::format("{} s", whole) : fmt::format("{} min {} s", whole / 60, whole % 60);
}

Progress::Progress(std::string what)
    : what_(std::move(what)),
      terminal_(::isatty(STDERR_FILENO) != 0),
      start_(Clock::now()),
      stage_start_(start_),
      last_(start_) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void Progress::update(std::string_view stage, double fraction) {
  const Clock::time_point now = Clock::now();
  if (stage != stage_) {
    stage_ = stage;
    stage_start_ = now;
  }
  const double wait = terminal_ ? (drawn_ ? kRedrawSeconds : kQuietSeconds) : kLineSeconds;
  if (seconds(now - last_) < wait) return;
  last_ = now;
  fraction = std::clamp(fraction, 0.0, 1.0);
  const double spent = seconds(now - stage_start_);
  const std::string left = fraction > 0.01 ? ", " + duration_text(spent / fraction * (1 - fraction)) + " left" : "";
  const std::string state = fmt::format("{}: {} {:.0f} %{}", what_, stage_, 100 * fraction, left);
  if (!terminal_) {
    fmt::print(stderr, "{}, {} so far\n", state, duration_text(seconds(now - start_)));
    return;
  }
  const int filled = static_cast<int>(fraction * kBarWidth);
  fmt::print(stderr, "\r[{:#<{}}{:.<{}}] {}\033[K", "", filled, "", kBarWidth - filled, state);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace intaglio::cli
