// How far a long piece of work is, on stderr.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace intaglio::cli {

// On a terminal: a bar with the time that is left, drawn over itself and wiped away by the destructor. Elsewhere: a
// line every 10 seconds. Nothing for work that is done within half a second. Not for several threads at once.
class Progress {
 public:
  explicit Progress(std::string what);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();
  // `fraction` of the stage, 0 to 1; stages follow each other.
  void update(std::string_view stage, double fraction);

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_, stage_;
  bool terminal_, drawn_ = false;
  Clock::time_point start_, stage_start_, last_;
};

// "45 s", "3 min 20 s".
std::string duration_text(double seconds);

}  // namespace intaglio::cli
