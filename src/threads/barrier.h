// A barrier for a fixed team of threads: one counter per thread, each written by its owner only.
#pragma once

#include <memory>

#include "threads/wait.h"

namespace intaglio::threads {

// Everything that any thread wrote before the barrier is seen by every thread after it.
// Every thread of the team makes the same sequence of calls. Nothing here allocates or throws after construction.
class Barrier {
 public:
  // count >= 1 threads with the indices 0 .. count-1.
  Barrier(int count, const WaitPolicy& policy);

  int count() const { return count_; }
  void arrive_and_wait(int index) noexcept;

  // The join of a team, in place of arrive_and_wait: thread 0 waits for all, the others only say that they are done.
  void join(int index) noexcept;

 private:
  std::uint32_t next(int index) const noexcept;
  void await_others(int index, std::uint32_t epoch) noexcept;

  int count_;
  WaitPolicy policy_;
  std::unique_ptr<WaitWord[]> words_;
};

}  // namespace intaglio::threads
