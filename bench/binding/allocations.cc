#include "bench/binding/allocations.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <memory>

// The program's own definitions come before those of the C library for everything that is linked or loaded; glibc keeps
// its allocator under these names too.
extern "C" {
void* __libc_malloc(std::size_t bytes);                           // NOLINT: glibc's names
void* __libc_calloc(std::size_t count, std::size_t bytes);        // NOLINT
void* __libc_realloc(void* memory, std::size_t bytes);            // NOLINT
void* __libc_memalign(std::size_t alignment, std::size_t bytes);  // NOLINT
}

namespace {

std::atomic<std::uint64_t> calls{0};

void count() {
  calls.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

extern "C" {

void* malloc(std::size_t bytes) {
  count();
  return __libc_malloc(bytes);
}
void* calloc(std::size_t number, std::size_t bytes) {
  count();
  return __libc_calloc(number, bytes);
}
void* realloc(void* memory, std::size_t bytes) {
  count();
  return __libc_realloc(memory, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) {
  count();
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  count();
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) {
  count();
  *memory = __libc_memalign(alignment, bytes);
  return *memory == nullptr ? ENOMEM : 0;
}
void* mmap(void* address, std::size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
  count();
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, bytes, protection, flags, file, offset));  // NOLINT
}

}  // extern "C"

namespace intaglio::bench {

std::uint64_t allocations() {
  return calls.load();
}

bool allocations_are_seen() {
  const std::uint64_t before = allocations();
  // Through a volatile pointer, else the compiler may leave both calls out.
  void* volatile memory = std::malloc(1);
  std::free(memory);
  const std::uint64_t after_malloc = allocations();
  const std::unique_ptr<int> volatile_free(new int(1));
  int* volatile seen = volatile_free.get();
  (void)seen;
  const std::uint64_t after_new = allocations();
  void* const mapped = mmap(nullptr, 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool good = mapped != MAP_FAILED;
  if (good) munmap(mapped, 1);
  return good && after_malloc == before + 1 && after_new == after_malloc + 1 && allocations() == after_new + 1;
}

}  // namespace intaglio::bench
