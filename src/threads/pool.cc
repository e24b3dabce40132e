#include "threads/pool.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>

#include <csignal>
#include <map>
#include <mutex>
#include <new>
#include <system_error>
#include <tuple>

#include "cpu/machine.h"

namespace intaglio::threads {

namespace {

std::atomic<unsigned> g_forks{0};  // raised in every forked child

void watch_forks() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { g_forks.fetch_add(1); });
  (void)registered;
}

constexpr std::int64_t kMicrosecond = 1000;

bool oversubscribed(int threads) {
  const cpu::Machine& machine = cpu::detect();
  return threads > machine.logical_cores() || (machine.cpu_quota && threads > *machine.cpu_quota + 0.5);
}

// Inside a run a partner is almost always working: hold the core, but yield it after a while, as a virtual CPU may be
// off its core. With more threads than CPUs the partner may need this very core.
WaitPolicy policy_inside(int threads, IdlePolicy idle) {
  if (oversubscribed(threads)) return {2 * kMicrosecond, 20 * kMicrosecond};
  if (idle == IdlePolicy::shared) return {20 * kMicrosecond, 200 * kMicrosecond};
  return {50 * kMicrosecond, 2000 * kMicrosecond};
}

WaitPolicy policy_between(int threads, IdlePolicy idle) {
  if (idle == IdlePolicy::shared || oversubscribed(threads)) return {0, 0};
  return {50 * kMicrosecond, 0};
}

// Workers must not take the host program's signals.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &old_, nullptr); }

 private:
  sigset_t old_;
};

bool pin_to(std::thread& thread, int cpu) {
  if (cpu >= CPU_SETSIZE) return false;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return pthread_setaffinity_np(thread.native_handle(), sizeof set, &set) == 0;
}

std::string pin_workers(std::vector<std::thread>& workers, bool wanted) {
  if (!wanted) return "not pinned";
  const std::vector<int>& cpus = cpu::detect().allowed_cpus;
  if (workers.size() + 1 > cpus.size()) {
    return fmt::format("not pinned: the process may use only {} CPUs", cpus.size());
  }
  for (std::size_t i = 0; i < workers.size(); ++i) {
    if (!pin_to(workers[i], cpus[i + 1])) return fmt::format("not pinned: CPU {} was refused", cpus[i + 1]);
  }
  return "workers pinned";
}

}  // namespace

struct Pool::Policies {
  WaitPolicy inside, between;
};

Pool::Pool(const PoolOptions& options, const Policies& policies)
    : barrier_(options.threads, policies.inside), idle_(policies.between), forks_(g_forks.load()) {}

Result<std::unique_ptr<Pool>> Pool::create(const PoolOptions& options) {
  if (options.threads < 1 || options.threads > 1024) {
    return fail(ErrorCode::usage, fmt::format("a pool of {} threads", options.threads), {}, "1 to 1024 threads");
  }
  watch_forks();
  try {
    const Policies policies{policy_inside(options.threads, options.idle),
                            policy_between(options.threads, options.idle)};
    std::unique_ptr<Pool> pool(new Pool(options, policies));
    INTAGLIO_CHECK(pool->start_workers(options));
    return pool;
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::unsupported, "out of memory for a thread pool");
  }
}

Status Pool::start_workers(const PoolOptions& options) {
  const SignalsBlocked blocked;
  workers_.reserve(static_cast<std::size_t>(options.threads - 1));
  for (int index = 1; index < options.threads; ++index) {
    try {
      workers_.emplace_back([this, index] { work(index); });
    } catch (const std::system_error& error) {
      return fail(ErrorCode::internal,
                  fmt::format("thread {} of {} was refused: {}", index + 1, options.threads, error.code().message()),
                  {}, "ask for fewer threads");
    }
    pthread_setname_np(workers_.back().native_handle(), fmt::format("intaglio-{}", index).c_str());
  }
  description_ = fmt::format("{} thread{}, {}", options.threads, options.threads == 1 ? "" : "s",
                             pin_workers(workers_, options.pin && options.threads > 1));
  return {};
}

Pool::~Pool() {
  if (in_forked_child()) {
    // The workers are threads of the parent: there is nothing to stop or to join here, so they are leaked.
    // NOLINTNEXTLINE(bugprone-unhandled-exception-at-new): without memory for this, a forked child may as well end
    new std::vector<std::thread>(std::move(workers_));
    return;
  }
  function_ = nullptr;
  publish(start_, start_.value.load(std::memory_order_relaxed) + 1);
  for (std::thread& worker : workers_) worker.join();
}

bool Pool::in_forked_child() const noexcept {
  return g_forks.load(std::memory_order_relaxed) != forks_;
}

void Pool::work(int index) noexcept {
  for (std::uint32_t run = 1;; ++run) {
    await(start_, run, idle_);
    if (function_ == nullptr) return;
    function_(context_, RegionThread{index, barrier_.count(), &barrier_});
    barrier_.join(index);
  }
}

void Pool::run(RegionFunction function, void* context) noexcept {
  const bool alone = barrier_.count() == 1 || in_forked_child();
  if (alone || busy_.exchange(true, std::memory_order_acquire)) {
    if (!alone) contested_.fetch_add(1, std::memory_order_relaxed);
    function(context, RegionThread{});
    return;
  }
  function_ = function;
  context_ = context;
  publish(start_, start_.value.load(std::memory_order_relaxed) + 1);
  function(context, RegionThread{0, barrier_.count(), &barrier_});
  barrier_.join(0);
  busy_.store(false, std::memory_order_release);
}

Result<std::shared_ptr<Pool>> shared_pool(const PoolOptions& options) {
  using Key = std::tuple<int, IdlePolicy, bool>;
  // Never destroyed: pools may be asked for while the process ends.
  static auto* const mutex = new std::mutex();
  static auto* const pools = new std::map<Key, std::weak_ptr<Pool>>();
  const std::lock_guard lock(*mutex);
  std::weak_ptr<Pool>& place = (*pools)[Key{options.threads, options.idle, options.pin}];
  if (std::shared_ptr<Pool> pool = place.lock()) return pool;
  INTAGLIO_TRY(std::unique_ptr<Pool> made, Pool::create(options));
  std::shared_ptr<Pool> pool = std::move(made);
  place = pool;
  return pool;
}

}  // namespace intaglio::threads
