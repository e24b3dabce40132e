// The intra-op pool: a fixed team of threads that enters one region per run. Steps inside a region are separated by
// barriers, not by fork and join.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "threads/barrier.h"

namespace intaglio::threads {

// What a region's code knows about the thread that runs it. index < count; count is Pool::size(), or 1 when the pool
// was busy: code in a region takes its share of the work from (index, count) and nothing else.
struct RegionThread {
  int index = 0;
  int count = 1;
  Barrier* team = nullptr;  // nullptr if count is 1

  // Waits for all threads of the region. Every thread must call it equally often. Never throws or allocates.
  void barrier() const noexcept {
    if (team != nullptr) team->arrive_and_wait(index);
  }
};

// Must not throw. Called once on each thread of the region.
using RegionFunction = void (*)(void* context, const RegionThread& thread) noexcept;

enum class IdlePolicy : std::uint8_t {
  latency,  // workers spin for about 50 us after a run before they sleep
  shared,   // workers sleep at once: kind to other processes, some 5 to 50 us slower to start
};

struct PoolOptions {
  int threads = 1;  // the caller included; 1 .. 1024
  IdlePolicy idle = IdlePolicy::latency;
  // Pins worker i to the i-th CPU of the affinity mask, if there are enough of them; the caller is never pinned.
  bool pin = false;
};

class Pool {
 public:
  // Starts threads - 1 workers. Errors: usage (a count out of range), internal (the system refuses a thread).
  static Result<std::unique_ptr<Pool>> create(const PoolOptions& options);
  static Result<std::unique_ptr<Pool>> create(int threads) { return create(PoolOptions{.threads = threads}); }
  // Precondition: no run is under way.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int size() const { return barrier_.count(); }

  // Runs the function once on each of size() threads and returns when all are done; the caller is thread 0. Thread
  // safe: a caller that finds the pool owned by another run, and a nested call from inside a region, runs the function
  // alone, with count 1, at once. Never throws, allocates or blocks on a lock. In a child process after fork(), where
  // the workers do not exist, every run is alone.
  void run(RegionFunction function, void* context) noexcept;

  // The same for an object with `void run(const RegionThread&) noexcept`, or one callable with a RegionThread.
  template <class Region>
  void run(Region& region) noexcept {
    run(
        [](void* context, const RegionThread& thread) noexcept {
          Region& self = *static_cast<Region*>(context);
          if constexpr (requires { self.run(thread); }) {
            self.run(thread);
          } else {
            self(thread);
          }
        },
        const_cast<void*>(static_cast<const void*>(&region)));
  }

  // How many runs were alone because the pool was owned; for reports.
  std::uint64_t contested_runs() const { return contested_.load(std::memory_order_relaxed); }
  // "2 threads, not pinned", with the reason where a wish was not met; for `doctor`.
  const std::string& description() const { return description_; }

 private:
  struct Policies;
  Pool(const PoolOptions& options, const Policies& policies);
  Status start_workers(const PoolOptions& options);
  void work(int index) noexcept;
  bool in_forked_child() const noexcept;

  Barrier barrier_;
  WaitPolicy idle_;
  WaitWord start_;  // raised once per run, and at the end
  alignas(128) std::atomic<bool> busy_{false};
  std::atomic<std::uint64_t> contested_{0};
  RegionFunction function_ = nullptr;  // of the run under way, nullptr: stop; written before start_ is raised
  void* context_ = nullptr;
  unsigned forks_ = 0;  // the process's fork generation at creation
  std::vector<std::thread> workers_;
  std::string description_;
};

// The pool of this process for these options: the same one for all who ask while any of them holds it. Thread safe.
Result<std::shared_ptr<Pool>> shared_pool(const PoolOptions& options);

}  // namespace intaglio::threads
