#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <mutex>

#include "tests/emulation/emulator.h"
#include "tests/emulation/families.h"

namespace intaglio::emulation {
namespace {

constinit std::atomic<std::uint64_t> count{0};
struct sigaction previous = {};

bool execute(Frame& frame) {
  Instruction instruction;
  if (!decode(reinterpret_cast<const std::uint8_t*>(frame.rip()), instruction)) return false;
  const bool done =
      execute_amx(instruction, frame) || execute_vnni(instruction, frame) || execute_fp16(instruction, frame);
  if (done) frame.set_rip(frame.rip() + static_cast<std::uint64_t>(instruction.size));
  return done;
}

void print_bytes(std::uint64_t rip) {
  constexpr std::uint64_t kPage = 4096;
  char text[160];
  int size = std::snprintf(text, sizeof(text), "emulation: SIGILL at an instruction that is not emulated:");
  for (std::uint64_t i = 0; i < 15 && (i == 0 || (rip + i) % kPage != 0); ++i) {
    size += std::snprintf(text + size, sizeof(text) - static_cast<std::size_t>(size), " %02x",
                          reinterpret_cast<const std::uint8_t*>(rip)[i]);
  }
  text[size++] = '\n';
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text, static_cast<std::size_t>(size));
}

void on_illegal_instruction(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  if (info->si_code <= 0) {  // sent by somebody, no instruction's fault
    sigaction(signal, &previous, nullptr);
    raise(signal);
    return;
  }
  Frame frame(*static_cast<ucontext_t*>(context));
  if (execute(frame)) {
    count.fetch_add(1, std::memory_order_relaxed);
  } else {
    // The instruction is met again on return, and then by whoever was in charge before.
    print_bytes(frame.rip());
    sigaction(signal, &previous, nullptr);
  }
  errno = saved_errno;
}

}  // namespace

void install() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (!emulates("avx_vnni") && !emulates("avx512_fp16") && !emulates("amx")) return;
    learn_frame_layout();
    struct sigaction action = {};
    action.sa_sigaction = on_illegal_instruction;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGILL, &action, &previous) == 0) detail::installed.store(true);
  });
}

std::uint64_t executed() {
  return count.load(std::memory_order_relaxed);
}

}  // namespace intaglio::emulation
