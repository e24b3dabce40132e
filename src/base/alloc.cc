#include "base/alloc.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/huge_pages.h"

namespace intaglio {

namespace {
constexpr std::size_t kPage = 4096;
// From here zeroed bytes come from fresh pages of the kernel instead of a memset.
constexpr std::size_t kZeroedByMapping = std::size_t{1} << 20;
// From here all bytes are mapped, as malloc would do, but a size that nobody can give is a null pointer even where a
// checking malloc would abort.
constexpr std::size_t kAlwaysMapped = std::size_t{256} << 20;

std::atomic<std::size_t> g_allocations{0};
std::atomic<std::size_t> g_live{0};
std::atomic<std::size_t> g_peak{0};
std::atomic<std::int64_t> g_fail_after{-1};  // -1: never

bool must_fail() {
  std::int64_t left = g_fail_after.load(std::memory_order_relaxed);
  while (left >= 0) {
    if (g_fail_after.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) return left == 0;
  }
  return false;
}

void count_allocation(std::size_t bytes) {
  g_allocations.fetch_add(1, std::memory_order_relaxed);
  const std::size_t live = g_live.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  std::size_t peak = g_peak.load(std::memory_order_relaxed);
  while (peak < live && !g_peak.compare_exchange_weak(peak, live, std::memory_order_relaxed)) {
  }
}

std::size_t round_up(std::size_t bytes, std::size_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

// Fresh zero pages, aligned to `alignment` (a multiple of the page), `bytes` a multiple of the page; null on failure.
std::byte* map_pages(std::size_t bytes, std::size_t alignment) {
  const std::size_t slack = alignment > kPage ? alignment : 0;
  void* raw = mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const auto begin = reinterpret_cast<std::uintptr_t>(raw);
  const std::uintptr_t aligned = round_up(begin, alignment);
  if (aligned != begin) munmap(raw, aligned - begin);
  const std::uintptr_t end = begin + bytes + slack, wanted_end = aligned + bytes;
  if (end != wanted_end) munmap(reinterpret_cast<void*>(wanted_end), end - wanted_end);
  return reinterpret_cast<std::byte*>(aligned);
}

struct Bytes {
  std::byte* data = nullptr;
  std::size_t mapped = 0;
};

Bytes obtain(std::size_t bytes, bool huge, bool zeroed) {
  if (bytes > SIZE_MAX / 4 || must_fail()) return {};
  if (huge && bytes >= kHugePage) {
    const std::size_t mapped = round_up(bytes, kPage);
    std::byte* data = map_pages(mapped, kHugePage);
    if (data != nullptr) madvise(data, mapped, MADV_HUGEPAGE);  // advice: a refusal leaves plain pages
    return {data, data == nullptr ? 0 : mapped};
  }
  if (bytes >= (zeroed ? kZeroedByMapping : kAlwaysMapped)) {
    const std::size_t mapped = round_up(bytes, kPage);
    std::byte* data = map_pages(mapped, kPage);
    return {data, data == nullptr ? 0 : mapped};
  }
  const std::size_t rounded = round_up(bytes, kAlignment);
  auto* data = static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded));
  if (data != nullptr && zeroed) std::memset(data, 0, rounded);
  return {data, 0};
}

void release(std::byte* data, std::size_t size, std::size_t mapped) {
  if (data == nullptr) return;
  g_live.fetch_sub(size, std::memory_order_relaxed);
  if (mapped != 0) {
    munmap(data, mapped);
  } else {
    std::free(data);
  }
}

tl::unexpected<Error> out_of_memory(std::size_t bytes) {
  return fail(ErrorCode::unsupported, fmt::format("out of memory: {} bytes were refused", bytes));
}

}  // namespace

Result<Buffer> Buffer::allocate(std::size_t bytes, bool huge) {
  Buffer buffer;
  if (bytes == 0) return buffer;
  const Bytes got = obtain(bytes, huge, false);
  if (got.data == nullptr) return out_of_memory(bytes);
  buffer.data_ = got.data;
  buffer.size_ = bytes;
  buffer.mapped_ = got.mapped;
  count_allocation(bytes);
  return buffer;
}

Result<Buffer> Buffer::allocate_zeroed(std::size_t bytes, bool huge) {
  Buffer buffer;
  if (bytes == 0) return buffer;
  const Bytes got = obtain(bytes, huge, true);
  if (got.data == nullptr) return out_of_memory(bytes);
  buffer.data_ = got.data;
  buffer.size_ = bytes;
  buffer.mapped_ = got.mapped;
  count_allocation(bytes);
  return buffer;
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    release(data_, size_, mapped_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    mapped_ = std::exchange(other.mapped_, 0);
  }
  return *this;
}

Buffer::~Buffer() {
  release(data_, size_, mapped_);
}

AllocStats alloc_stats() {
  return AllocStats{g_allocations.load(std::memory_order_relaxed), g_live.load(std::memory_order_relaxed),
                    g_peak.load(std::memory_order_relaxed)};
}

void fail_allocation_after(std::optional<std::size_t> n) {
  // "The n-th from now on": 1 is the very next one; 0 is read as 1.
  g_fail_after.store(n ? static_cast<std::int64_t>(*n == 0 ? 0 : *n - 1) : -1, std::memory_order_relaxed);
}

}  // namespace intaglio
