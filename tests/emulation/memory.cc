#include "tests/emulation/memory.h"

#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace intaglio::emulation {

// Kept out of line, so that the copies of unknown size stay calls, which the sanitizers intercept: this library itself
// is not instrumented (the frames of signals lie where no instrumented code may look).
[[gnu::noinline]] void load(std::uint64_t address, void* to, std::size_t count) {
  std::memcpy(to, reinterpret_cast<const void*>(address), count);
}

[[gnu::noinline]] void store(std::uint64_t address, const void* from, std::size_t count) {
  std::memcpy(reinterpret_cast<void*>(address), from, count);
}

void refuse(const char* format, ...) {
  char text[256];
  std::va_list arguments;
  va_start(arguments, format);
  const int head = std::snprintf(text, sizeof(text), "emulation: ");
  const int tail = std::vsnprintf(text + head, sizeof(text) - static_cast<std::size_t>(head) - 1, format, arguments);
  va_end(arguments);
  std::size_t size = static_cast<std::size_t>(head + (tail > 0 ? tail : 0));
  if (size > sizeof(text) - 2) size = sizeof(text) - 2;
  text[size++] = '\n';
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text, size);
  std::abort();
}

}  // namespace intaglio::emulation
