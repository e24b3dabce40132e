// One hookable file layer: read-only mappings and atomic writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace intaglio {

// A whole file mapped read-only and private. Shared by everything that points into it (tensors hold the shared_ptr).
// Truncating the file under a running process is the caller's fault.
class MappedFile {
 public:
  // Errors (file): missing, not a regular file (fifo, directory, device), unreadable. An empty file maps to zero bytes.
  static Result<std::shared_ptr<const MappedFile>> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const std::filesystem::path& path() const { return path_; }
  // Bytes [offset, offset + size) or an error (file) that names the file, the offset and what was wanted.
  Result<std::span<const std::byte>> range(std::uint64_t offset, std::uint64_t size, std::string_view what) const;
  // Pages that lie wholly in `part`, a part of bytes(), no longer count as this process's memory; they stay readable.
  void release_pages(std::span<const std::byte> part) const;

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::filesystem::path path_;
};

// Resolves `location` (as a model file wrote it) inside `directory`. Errors (file): empty, absolute, contains "..", or
// passes through a symbolic link that leaves the directory.
Result<std::filesystem::path> resolve_inside(const std::filesystem::path& directory, std::string_view location);

// Writes to a temporary file beside `path`, syncs and renames on commit; removed by the destructor otherwise, so a
// failed write never leaves a partial file and never harms the old one.
class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::filesystem::path& path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();
  Status write(std::span<const std::byte> bytes);
  Status write(std::string_view text);
  Status pad_to(std::uint64_t alignment);  // zeros up to the next multiple
  std::uint64_t position() const { return position_; }
  Status commit();

 private:
  AtomicFile() = default;
  int fd_ = -1;
  std::uint64_t position_ = 0;
  std::filesystem::path path_, temporary_;
};

// Test hook: the n-th write from now on fails with "no space left" after a short write (nullopt: none).
void fail_write_after(std::optional<std::size_t> n);

}  // namespace intaglio
