#include "vendor/onednn/team.h"

namespace intaglio::vendor::onednn {

#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_THREADPOOL

namespace {

// oneDNN's loops are tens of microseconds apart at most, so a server that sleeps would come late to each of them.
constexpr threads::WaitPolicy kWait{.spin_ns = 50'000, .yield_ns = 200'000};

// A loop inside a loop runs where it stands.
thread_local bool inside_loop = false;

}  // namespace

bool Team::get_in_parallel() const {
  return inside_loop;
}

void Team::open(int count) noexcept {
  count_ = count;
  opened_ = start_.value.load(std::memory_order_relaxed);
}

void Team::close() noexcept {
  if (count_ == 1) return;
  loop_ = nullptr;
  threads::publish(start_, start_.value.load(std::memory_order_relaxed) + 1);
  count_ = 1;
}

void Team::serve(int index) noexcept {
  for (std::uint32_t turn = opened_ + 1;; ++turn) {
    threads::await(start_, turn, kWait);
    if (loop_ == nullptr) return;
    share(index);
    if (remaining_.fetch_sub(1, std::memory_order_acq_rel) == 1) threads::publish(finished_, turn);
  }
}

void Team::share(int index) noexcept {
  inside_loop = true;
  for (int i = index; i < iterations_; i += count_) (*loop_)(i, iterations_);
  inside_loop = false;
}

void Team::parallel_for(int n, const std::function<void(int, int)>& function) {
  if (count_ == 1 || n == 1 || inside_loop) {
    for (int i = 0; i < n; ++i) function(i, n);
    return;
  }
  loop_ = &function;
  iterations_ = n;
  remaining_.store(count_ - 1, std::memory_order_relaxed);
  const std::uint32_t turn = start_.value.load(std::memory_order_relaxed) + 1;
  threads::publish(start_, turn);
  share(0);
  threads::await(finished_, turn, kWait);
}

Caller::Caller() noexcept {
  try {
    dnnl_threadpool_interop_stream_create(&stream_, engine().get(), &team_);
  } catch (...) {
    stream_ = nullptr;
  }
}

void plan_for_threads(int count) noexcept {
  dnnl_threadpool_interop_set_max_concurrency(count);
}

#else

Caller::Caller() noexcept {
  try {
    dnnl_stream_create(&stream_, engine().get(), dnnl_stream_default_flags);
  } catch (...) {
    stream_ = nullptr;
  }
}

void plan_for_threads(int) noexcept {}

#endif

Caller::~Caller() {
  if (stream_ != nullptr) dnnl_stream_destroy(stream_);
}

Caller& caller_of_this_thread() noexcept {
  thread_local Caller caller;
  return caller;
}

}  // namespace intaglio::vendor::onednn
