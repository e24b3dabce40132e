#include "threads/barrier.h"

namespace intaglio::threads {

namespace {
// Up to here everybody watches everybody: one transfer of a line. Larger teams meet at thread 0: two transfers, but
// count instead of count^2 watched lines.
constexpr int kAllWatchAll = 8;
}  // namespace

Barrier::Barrier(int count, const WaitPolicy& policy)
    : count_(count), policy_(policy), words_(std::make_unique<WaitWord[]>(static_cast<std::size_t>(count))) {}

std::uint32_t Barrier::next(int index) const noexcept {
  return words_[static_cast<std::size_t>(index)].value.load(std::memory_order_relaxed) + 1;
}

void Barrier::await_others(int index, std::uint32_t epoch) noexcept {
  for (int i = 0; i < count_; ++i) {
    if (i != index) await(words_[static_cast<std::size_t>(i)], epoch, policy_);
  }
}

void Barrier::arrive_and_wait(int index) noexcept {
  if (count_ == 1) return;
  const std::uint32_t epoch = next(index);
  WaitWord& own = words_[static_cast<std::size_t>(index)];
  if (count_ <= kAllWatchAll) {
    publish(own, epoch);
    await_others(index, epoch);
  } else if (index == 0) {
    await_others(0, epoch);
    publish(own, epoch);
  } else {
    publish(own, epoch);
    await(words_[0], epoch, policy_);
  }
}

void Barrier::join(int index) noexcept {
  if (count_ == 1) return;
  const std::uint32_t epoch = next(index);
  if (index == 0) await_others(0, epoch);
  publish(words_[static_cast<std::size_t>(index)], epoch);
}

}  // namespace intaglio::threads
