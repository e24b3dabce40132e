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

// The families that this CPU lacks. An instruction that it has and yet refused (tiles that do not fit, say) is a fault.
constinit bool lacks_amx = false, lacks_vnni = false, lacks_fp16 = false;

// Executes the instruction at RIP and those that follow it as long as they are emulated ones: a signal costs more than
// most of them. Answers how many.
std::uint64_t execute(Frame& frame) {
  for (std::uint64_t done = 0;; ++done) {
    Instruction x;
    if (!decode(reinterpret_cast<const std::uint8_t*>(frame.rip()), x)) return done;
    const bool known = (lacks_amx && execute_amx(x, frame)) || (lacks_vnni && execute_vnni(x, frame)) ||
                       (lacks_fp16 && execute_fp16(x, frame));
    if (!known) return done;
    frame.set_rip(frame.rip() + static_cast<std::uint64_t>(x.size));
  }
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
  if (const std::uint64_t done = execute(frame); done != 0) {
    count.fetch_add(done, std::memory_order_relaxed);
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
    if (under_qemu()) return;
    lacks_amx = emulates("amx");
    lacks_vnni = emulates("avx_vnni");
    lacks_fp16 = emulates("avx512_fp16");
    if (!lacks_amx && !lacks_vnni && !lacks_fp16) return;
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
