// Are the touches that a binding tells true? Judged by running each thread of each phase alone: it must change no byte
// that it does not say it writes, and what it writes must not depend on a byte that it does not say it touches.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/alloc.h"
#include "ops/prepared_op.h"

namespace intaglio::ops {

class TouchCheck {
 public:
  // The operands' bytes, inputs first; they are copied.
  TouchCheck(const PreparedOp& op, const Binding& binding, std::vector<std::vector<std::byte>> inputs,
             const std::vector<std::size_t>& outputs, int count)
      : op_(op), binding_(binding), inputs_(inputs.size()), count_(count), memory_(std::move(inputs)) {
    for (const std::size_t bytes : outputs) memory_.emplace_back(bytes, std::byte{0x5A});
    memory_.emplace_back(binding.shared_scratch_bytes, std::byte{0x5A});
  }

  // Nothing to check: untold, or too much work for a test.
  bool skips() const {
    std::size_t bytes = 0;
    for (const auto& block : memory_) bytes += block.size();
    return !binding_.touches || bytes > (std::size_t{1} << 14);
  }

  void check() {
    if (skips()) return;
    for (int phase = 0; phase < binding_.phases; ++phase) {
      for (int index = 0; index < count_; ++index) check_thread({index, count_, phase});
    }
  }

 private:
  using Memory = std::vector<std::vector<std::byte>>;

  // Per byte of every block: 0 untouched, 1 read, 2 written.
  std::vector<std::vector<int>> told(const Worker& worker) const {
    std::vector<std::vector<int>> marks;
    for (const auto& block : memory_) marks.emplace_back(block.size(), 0);
    for (const Touch& touch : *binding_.touches) {
      if (touch.phase != worker.phase) continue;
      const std::size_t block = touch.of == Touch::Of::input    ? static_cast<std::size_t>(touch.index)
                                : touch.of == Touch::Of::output ? inputs_ + static_cast<std::size_t>(touch.index)
                                                                : memory_.size() - 1;
      auto& bytes = marks.at(block);
      const std::size_t pitch =
          touch.division && touch.division->pitch != 0 ? touch.division->pitch : std::max<std::size_t>(bytes.size(), 1);
      const ByteRange range =
          touch.division ? touched(*touch.division, pitch, worker.index, worker.count) : ByteRange{0, pitch};
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i % pitch >= range.begin && i % pitch < range.end) bytes[i] = std::max(bytes[i], touch.writes ? 2 : 1);
      }
    }
    return marks;
  }

  Memory run(const Memory& before, const Worker& worker) const {
    // Aligned as an arena is.
    std::vector<Buffer> buffers;
    std::vector<const void*> in;
    std::vector<void*> out;
    for (const auto& block : before) {
      buffers.push_back(Buffer::allocate(block.size() + 64).value());
      if (!block.empty()) std::memcpy(buffers.back().data(), block.data(), block.size());
    }
    for (std::size_t i = 0; i < inputs_; ++i) in.push_back(buffers[i].data());
    for (std::size_t i = inputs_; i + 1 < buffers.size(); ++i) out.push_back(buffers[i].data());
    const Buffer own = Buffer::allocate(binding_.thread_scratch_bytes + 64).value();
    std::memset(own.data(), 0x5A, own.size());
    (void)op_.run(binding_, {in.data(), out.data(), own.data(), buffers.back().data()}, worker);
    Memory after = before;
    for (std::size_t i = 0; i < after.size(); ++i) {
      if (!after[i].empty()) std::memcpy(after[i].data(), buffers[i].data(), after[i].size());
    }
    return after;
  }

  void check_thread(const Worker& worker) {
    const auto marks = told(worker);
    const Memory after = run(memory_, worker);
    Memory spoilt = memory_;
    std::size_t wild = 0, dependent = 0;
    for (std::size_t b = 0; b < spoilt.size(); ++b) {
      for (std::size_t i = 0; i < spoilt[b].size(); ++i) {
        if (marks[b][i] == 0) spoilt[b][i] ^= std::byte{0xFF};
        if (marks[b][i] != 2 && after[b][i] != memory_[b][i]) ++wild;
      }
    }
    const Memory again = run(spoilt, worker);
    for (std::size_t b = 0; b < again.size(); ++b) {
      for (std::size_t i = 0; i < again[b].size(); ++i) {
        if (marks[b][i] == 2 && again[b][i] != after[b][i]) ++dependent;
        if (marks[b][i] == 0 && again[b][i] != spoilt[b][i]) ++wild;
      }
    }
    const PreparedOp::Facts facts = op_.facts();
    EXPECT_EQ(wild, 0u) << facts.kernel << ": thread " << worker.index << " of " << worker.count << ", phase "
                        << worker.phase << " writes bytes that it does not tell";
    EXPECT_EQ(dependent, 0u) << facts.kernel << ": thread " << worker.index << " of " << worker.count << ", phase "
                             << worker.phase << " reads bytes that it does not tell";
    memory_ = after;
  }

  const PreparedOp& op_;
  const Binding& binding_;
  std::size_t inputs_;
  int count_;
  Memory memory_;
};

}  // namespace intaglio::ops
