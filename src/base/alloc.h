// One hookable allocator for everything large: arenas, packed weights, copies of tensors.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "base/error.h"

namespace intaglio {

inline constexpr std::size_t kAlignment = 64;

// Owns bytes aligned to 64; uninitialised unless asked. Move-only. Buffers of 2 MiB and more are aligned to 2 MiB and
// advised to use huge pages when `huge` is set; where that is refused, plain pages serve.
class Buffer {
 public:
  Buffer() = default;
  // Error (unsupported, "out of memory" with the size): never throws.
  static Result<Buffer> allocate(std::size_t bytes, bool huge = false);
  static Result<Buffer> allocate_zeroed(std::size_t bytes, bool huge = false);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;  // non-zero when the bytes came from mmap
};

// Counters of the process, for tests ("a bound run allocates nothing") and for reports.
struct AllocStats {
  std::size_t allocations = 0;
  std::size_t live_bytes = 0;
  std::size_t peak_bytes = 0;
};
AllocStats alloc_stats();

// Test hook: the n-th Buffer allocation from now on fails (nullopt: none).
void fail_allocation_after(std::optional<std::size_t> n);

}  // namespace intaglio
