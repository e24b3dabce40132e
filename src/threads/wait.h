// A 32-bit counter that one thread raises and others wait for: spin, then yield, then sleep in the kernel (futex).
#pragma once

#include <atomic>
#include <cstdint>

namespace intaglio::threads {

// How long a waiting thread holds its core. After spin_ns of PAUSE and yield_ns of sched_yield it sleeps.
struct WaitPolicy {
  std::int64_t spin_ns = 0;
  std::int64_t yield_ns = 0;
};

// On lines of its own: two, because the adjacent line is prefetched with it.
struct alignas(128) WaitWord {
  std::atomic<std::uint32_t> value{0};
  std::atomic<std::uint32_t> sleepers{0};
};

// Sets the value (what was written before is seen by whoever sees the value) and wakes the sleepers, if any.
void publish(WaitWord& word, std::uint32_t value) noexcept;
// Returns once the value has reached the target, in the order of a wrapping counter (within 2^31 of each other).
void await(WaitWord& word, std::uint32_t target, const WaitPolicy& policy) noexcept;

}  // namespace intaglio::threads
