// For tests: counts what the whole program allocates from the heap, in all threads. It replaces operator new, so one
// source file of a program includes it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace intaglio {

inline std::atomic<std::size_t> g_heap_allocations{0};

// Those since it was made.
class HeapCount {
 public:
  std::size_t allocations() const { return g_heap_allocations.load() - before_; }

 private:
  std::size_t before_ = g_heap_allocations.load();
};

namespace heap_count {

inline void* counted(std::size_t bytes, std::size_t alignment) {
  g_heap_allocations.fetch_add(1, std::memory_order_relaxed);
  if (bytes > SIZE_MAX / 2) throw std::bad_alloc();
  const std::size_t rounded = (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

inline void* counted_or_null(std::size_t bytes) noexcept {
  try {
    return counted(bytes, alignof(std::max_align_t));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
}  // namespace heap_count
}  // namespace intaglio

// NOLINTBEGIN(misc-definitions-in-headers): replacements must not be inline
void* operator new(std::size_t bytes) {
  return intaglio::heap_count::counted(bytes, alignof(std::max_align_t));
}
void* operator new[](std::size_t bytes) {
  return intaglio::heap_count::counted(bytes, alignof(std::max_align_t));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return intaglio::heap_count::counted(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return intaglio::heap_count::counted(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return intaglio::heap_count::counted_or_null(bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return intaglio::heap_count::counted_or_null(bytes);
}
// GCC sees free() inlined for memory of new in instrumented builds, not that new is the malloc above.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
// NOLINTEND(misc-definitions-in-headers)
