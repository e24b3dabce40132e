#include "threads/wait.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <climits>

namespace intaglio::threads {

namespace {

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t), "a futex is a plain 32-bit word");

void pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) noexcept {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr,
          0);
}

bool reached(std::uint32_t value, std::uint32_t target) noexcept {
  return static_cast<std::int32_t>(value - target) >= 0;
}

}  // namespace

void publish(WaitWord& word, std::uint32_t value) noexcept {
  // Either this thread sees the sleeper or the sleeper sees the value: both sides are sequentially consistent.
  word.value.store(value, std::memory_order_seq_cst);
  if (word.sleepers.load(std::memory_order_seq_cst) != 0) futex(word.value, FUTEX_WAKE, INT_MAX);
}

void await(WaitWord& word, std::uint32_t target, const WaitPolicy& policy) noexcept {
  const auto arrived = [&] { return reached(word.value.load(std::memory_order_acquire), target); };
  if (arrived()) return;
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  const auto waited = [&] { return (Clock::now() - begin) / std::chrono::nanoseconds(1); };
  if (policy.spin_ns > 0) {
    do {
      for (int i = 0; i < 32; ++i) {  // one to two microseconds between looks at the clock
        if (arrived()) return;
        pause();
      }
    } while (waited() < policy.spin_ns);
  }
  const std::int64_t end = policy.spin_ns + policy.yield_ns;
  while (policy.yield_ns > 0 && waited() < end) {
    if (arrived()) return;
    sched_yield();
  }
  word.sleepers.fetch_add(1, std::memory_order_seq_cst);
  while (true) {
    const std::uint32_t seen = word.value.load(std::memory_order_seq_cst);
    if (reached(seen, target)) break;
    futex(word.value, FUTEX_WAIT, seen);  // returns at once if the value is no longer `seen`
  }
  word.sleepers.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace intaglio::threads
