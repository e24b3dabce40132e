#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

namespace intaglio {

namespace {
namespace fs = std::filesystem;

std::atomic<std::int64_t> g_fail_write_after{-1};  // -1: never

bool write_must_fail() {
  std::int64_t left = g_fail_write_after.load(std::memory_order_relaxed);
  while (left >= 0) {
    if (g_fail_write_after.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) return left == 0;
  }
  return false;
}

std::string reason(int error) {
  return std::generic_category().message(error);
}

tl::unexpected<Error> file_error(const fs::path& path, std::string message, std::string hint = {}) {
  return fail(ErrorCode::file, std::move(message), path.string(), std::move(hint));
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

bool has_nul(std::string_view text) {
  return text.find('\0') != std::string_view::npos;
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const fs::path& path) {
  if (has_nul(path.native())) return file_error("", "a file name contains a zero byte");
  // O_NONBLOCK: opening a fifo must not wait for a writer.
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return file_error(path, fmt::format("cannot open: {}", reason(errno)));
  struct stat info{};
  if (fstat(fd.get(), &info) != 0) return file_error(path, fmt::format("cannot inspect: {}", reason(errno)));
  if (!S_ISREG(info.st_mode)) return file_error(path, "is not a regular file");
  std::shared_ptr<MappedFile> file(new MappedFile());
  file->path_ = path;
  file->size_ = static_cast<std::size_t>(info.st_size);
  if (file->size_ != 0) {
    void* data = mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (data == MAP_FAILED) {
      const int error = errno;
      file->size_ = 0;
      return file_error(path, fmt::format("cannot map {} bytes: {}", info.st_size, reason(error)));
    }
    file->data_ = static_cast<const std::byte*>(data);
  }
  return std::shared_ptr<const MappedFile>(std::move(file));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

Result<std::span<const std::byte>> MappedFile::range(std::uint64_t offset, std::uint64_t size,
                                                     std::string_view what) const {
  if (offset > size_ || size > size_ - offset) {
    return fail(ErrorCode::file, fmt::format("{} needs {} bytes but the file ends at {}", what, size, size_),
                fmt::format("{} (offset {})", path_.string(), offset), "the file may be truncated");
  }
  return bytes().subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
}

void MappedFile::release_pages(std::span<const std::byte> part) const {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(part.data());
  const std::uintptr_t first = (begin + page - 1) / page * page, end = (begin + part.size()) / page * page;
  // Private and never written: the next access reads the file's page again.
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

Result<fs::path> resolve_inside(const fs::path& directory, std::string_view location) {
  const auto refuse = [&](std::string_view why) {
    return file_error(directory, fmt::format("refers to the file '{}', which {}", location.substr(0, 200), why),
                      "files that belong to a model must lie in its folder");
  };
  if (location.empty()) return refuse("has no name");
  if (has_nul(location)) return refuse("has a zero byte in its name");
  const fs::path relative(location);
  if (relative.is_absolute()) return refuse("is an absolute path");
  if (std::find(relative.begin(), relative.end(), fs::path("..")) != relative.end()) return refuse("contains '..'");
  std::error_code error;
  const fs::path root = fs::canonical(directory.empty() ? fs::path(".") : directory, error);
  if (error) return file_error(directory, fmt::format("cannot resolve the folder: {}", error.message()));
  fs::path resolved = fs::weakly_canonical(root / relative, error);
  if (error) return refuse(fmt::format("cannot be resolved: {}", error.message()));
  const auto [root_end, rest] = std::mismatch(root.begin(), root.end(), resolved.begin(), resolved.end());
  if (root_end != root.end() || rest == resolved.end()) {
    return refuse(root_end == root.end() ? "is the folder itself" : "leads out of the folder by a symbolic link");
  }
  return resolved;
}

Result<AtomicFile> AtomicFile::create(const fs::path& path) {
  static std::atomic<unsigned> counter{0};
  if (has_nul(path.native())) return file_error("", "a file name contains a zero byte");
  if (path.filename().empty()) return file_error(path, "names no file to write");
  struct stat info{};
  const bool exists = stat(path.c_str(), &info) == 0;
  // Renaming over a device, a fifo or a folder would replace it.
  if (exists && !S_ISREG(info.st_mode)) return file_error(path, "exists and is not a regular file");
  for (int attempt = 0; attempt < 100; ++attempt) {
    fs::path temporary = path.parent_path() / fmt::format(".{}.{}.{}.tmp", path.filename().string().substr(0, 180),
                                                          getpid(), counter.fetch_add(1));
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST) continue;
    if (fd < 0) return file_error(path, fmt::format("cannot create a file in its folder: {}", reason(errno)));
    // The new file has the permissions of the old one, where that is allowed.
    if (exists && fchmod(fd, info.st_mode & 07777u) != 0) errno = 0;
    AtomicFile file;
    file.fd_ = fd;
    file.path_ = path;
    file.temporary_ = std::move(temporary);
    return file;
  }
  return file_error(path, "cannot find a free name for a temporary file");
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      position_(other.position_),
      path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)) {}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  if (fd_ < 0) return file_error(path_, "is no longer open for writing");
  const bool fails = !bytes.empty() && write_must_fail();
  std::span<const std::byte> left = fails ? bytes.first(bytes.size() / 2) : bytes;
  while (!left.empty()) {
    // Linux writes at most 2^31 bytes at a time; smaller pieces also keep signals answerable.
    const ssize_t n = ::write(fd_, left.data(), std::min<std::size_t>(left.size(), std::size_t{1} << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_error(path_, fmt::format("cannot write: {}", reason(errno)));
    if (n == 0) return file_error(path_, "cannot write: the system accepts no more bytes");
    position_ += static_cast<std::uint64_t>(n);
    left = left.subspan(static_cast<std::size_t>(n));
  }
  if (fails) return file_error(path_, fmt::format("cannot write: {}", reason(ENOSPC)));
  return {};
}

Status AtomicFile::write(std::string_view text) {
  return write(std::as_bytes(std::span(text.data(), text.size())));
}

Status AtomicFile::pad_to(std::uint64_t alignment) {
  static constexpr std::byte kZeros[4096] = {};
  if (alignment == 0) return fail(ErrorCode::internal, "padding to a multiple of 0", path_.string());
  std::uint64_t missing = (alignment - position_ % alignment) % alignment;
  while (missing != 0) {
    const std::uint64_t n = std::min<std::uint64_t>(missing, sizeof kZeros);
    INTAGLIO_CHECK(write(std::span(kZeros).first(static_cast<std::size_t>(n))));
    missing -= n;
  }
  return {};
}

Status AtomicFile::commit() {
  if (fd_ < 0) return file_error(path_, "is no longer open for writing");
  // Any failure from here leaves fd_ open or the temporary unlinked: the old file is untouched.
  int synced = 0;
  do {
    synced = fsync(fd_);
  } while (synced != 0 && errno == EINTR);
  if (synced != 0 && errno != EINVAL && errno != ENOTSUP) {
    return file_error(path_, fmt::format("cannot write to the disk: {}", reason(errno)));
  }
  const bool closed = close(std::exchange(fd_, -1)) == 0 || errno == EINTR;
  if (!closed || rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    unlink(temporary_.c_str());
    return file_error(path_, fmt::format("cannot replace: {}", reason(error)));
  }
  // Makes the rename itself durable; a folder that cannot be opened or synced does not undo the write.
  const fs::path parent = path_.parent_path();
  const FileDescriptor folder(::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() >= 0) (void)fsync(folder.get());
  return {};
}

void fail_write_after(std::optional<std::size_t> n) {
  // "The n-th from now on": 1 is the very next one; 0 is read as 1.
  g_fail_write_after.store(n ? static_cast<std::int64_t>(*n == 0 ? 0 : *n - 1) : -1, std::memory_order_relaxed);
}

}  // namespace intaglio
