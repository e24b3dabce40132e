// The threads of a region as oneDNN's threadpool. oneDNN wants to fork and join inside one call; a region runs the same
// code on every thread. So one worker calls oneDNN, and the others serve its parallel loops until it is done:
//
//   phase 0   worker 0: Caller& caller = caller_of_this_thread(); caller.open(count), its address to the others
//   phase 1   worker 0: execute on caller.stream(); caller.close()          others: caller.serve(index)
//
// With one worker a loop runs on the calling thread. With oneDNN's other runtimes there is nothing to serve.
#pragma once

#include <oneapi/dnnl/dnnl.h>
#include <functional>

#include "threads/wait.h"
#include "vendor/onednn/library.h"
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_THREADPOOL
#include <oneapi/dnnl/dnnl_threadpool.h>

#include <oneapi/dnnl/dnnl_threadpool_iface.hpp>
#endif

namespace intaglio::vendor::onednn {

#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_THREADPOOL

class Team final : public dnnl::threadpool_interop::threadpool_iface {
 public:
  // Before and after a run, on worker 0; a barrier of the region lies between open() and everybody's next call.
  void open(int count) noexcept;
  void close() noexcept;
  // Takes part in all loops up to close().
  void serve(int index) noexcept;

  int get_num_threads() const override { return count_; }
  bool get_in_parallel() const override;
  void parallel_for(int n, const std::function<void(int, int)>& function) override;
  uint64_t get_flags() const override { return 0; }

 private:
  void share(int index) noexcept;

  int count_ = 1;
  std::uint32_t opened_ = 0;                             // the value of start_ at open()
  const std::function<void(int, int)>* loop_ = nullptr;  // null after close()
  int iterations_ = 0;
  threads::WaitWord start_;                     // raised for each loop, and at the end
  threads::WaitWord finished_;                  // raised by the last server that is done with a loop
  alignas(128) std::atomic<int> remaining_{0};  // servers still busy with the loop
};

#endif

// What a thread that calls oneDNN has: a stream, and in the threadpool runtime the team behind it. One a thread, made
// at its first run.
class Caller {
 public:
  Caller() noexcept;
  ~Caller();
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  dnnl_stream_t stream() const { return stream_; }  // null if oneDNN could not make one
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_THREADPOOL
  void open(int count) noexcept { team_.open(count); }
  void close() noexcept { team_.close(); }
  void serve(int index) noexcept { team_.serve(index); }
#else
  void open(int) noexcept {}
  void close() noexcept {}
  void serve(int) noexcept {}
#endif

 private:
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_THREADPOOL
  Team team_;
#endif
  dnnl_stream_t stream_ = nullptr;
};

Caller& caller_of_this_thread() noexcept;

// How many threads primitives that this thread creates are made for (threadpool runtime; elsewhere oneDNN decides).
void plan_for_threads(int count) noexcept;

}  // namespace intaglio::vendor::onednn
