// Helpers of the GEMM tests: what this machine has, memory between guard pages, seeded values.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>

#include "tests/emulation/machine.h"

namespace intaglio::kernels::gemm {

// Whether tests can run the kernels of a level: the CPU has it, or the test program emulates it (tests/emulation; then
// the case's report says so). Benchmarks link no emulator and get what the CPU has.
inline bool machine_has(std::string_view isa) {
  return emulation::runs(isa) != emulation::Runs::none;
}

enum class Edge { front, back };  // which end of the buffer touches a guard page to the byte

// `count` elements of T with an inaccessible page right before (front) or right after (back) them; the other end is
// guarded too, up to a page away. Every byte outside the elements on the accessible pages is 0xA5.
// Under qemu the guard pages may be read, not written: qemu 7.2 loads all of a vector for VMASKMOVPS and VPMASKMOVD,
// the lanes that are masked off too, which a CPU does not.
template <class T>
class Guarded {
 public:
  Guarded(std::size_t count, Edge edge) : count_(count) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    inner_ = (count * sizeof(T) + page - 1) / page * page;
    if (inner_ == 0) inner_ = page;
    mapped_ = inner_ + 2 * page;
    const int guard = emulation::under_qemu() ? PROT_READ : PROT_NONE;
    base_ = static_cast<unsigned char*>(mmap(nullptr, mapped_, guard, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_ + page, inner_, PROT_READ | PROT_WRITE);
    std::memset(base_ + page, 0xA5, inner_);
    data_ = reinterpret_cast<T*>(edge == Edge::front ? base_ + page : base_ + page + inner_ - count * sizeof(T));
    first_ = base_ + page;
  }
  ~Guarded() { munmap(base_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() const { return data_; }
  std::size_t size() const { return count_; }
  T& operator[](std::size_t i) const { return data_[i]; }
  // No byte outside the elements was written.
  bool surroundings_intact() const {
    const auto* begin = reinterpret_cast<const unsigned char*>(data_);
    const unsigned char* end = begin + count_ * sizeof(T);
    for (const unsigned char* p = first_; p != first_ + inner_; ++p) {
      if ((p < begin || p >= end) && *p != 0xA5) return false;
    }
    return true;
  }

 private:
  std::size_t count_, inner_ = 0, mapped_ = 0;
  unsigned char *base_ = nullptr, *first_ = nullptr;
  T* data_ = nullptr;
};

inline std::mt19937& random_source() {
  static std::mt19937 source(20260731);
  return source;
}
inline float random_float(float low = -1.0f, float high = 1.0f) {
  return std::uniform_real_distribution<float>(low, high)(random_source());
}
inline std::size_t random_size(std::size_t low, std::size_t high) {
  return std::uniform_int_distribution<std::size_t>(low, high)(random_source());
}
// 8-bit values with the extremes as every second one.
inline std::uint8_t random_byte() {
  constexpr std::uint8_t kExtremes[] = {0x00, 0xFF, 0x80, 0x7F};
  const std::size_t pick = random_size(0, 511);
  return pick < 256 ? static_cast<std::uint8_t>(pick) : kExtremes[pick % 4];
}

}  // namespace intaglio::kernels::gemm
