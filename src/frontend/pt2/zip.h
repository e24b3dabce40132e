// A strict reader of the zip container of torch.export.save: every entry stored, sizes in the central directory, zip64
// always present. Entries are views into the mapped bytes, never copies. Anything that a torch archive does not need
// (compression, encryption, several disks, duplicate names, overlapping entries, path tricks) is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace intaglio::frontend::pt2 {

struct ZipLimits {
  std::uint64_t max_entries = 1'000'000;
};

struct ZipEntry {
  std::string_view name;             // points into the archive
  std::span<const std::byte> bytes;  // the stored payload
  std::uint64_t header = 0;          // offset of the local header, for messages
};

// Immutable; the bytes given to parse() must outlive it.
class ZipArchive {
 public:
  // Errors (file, origin "offset N"): truncated or corrupted records, and everything named above.
  static Result<ZipArchive> parse(std::span<const std::byte> file, const ZipLimits& limits = {});

  std::span<const ZipEntry> entries() const { return entries_; }  // sorted by name, without folders
  const ZipEntry* find(std::string_view name) const;
  // The first component of the first entry's name in the directory's order ("bert" of "bert/data/...").
  std::string_view root() const { return root_; }

 private:
  std::vector<ZipEntry> entries_;
  std::string_view root_;
};

// True if the bytes begin as a zip archive does.
bool looks_like_zip(std::span<const std::byte> file);

}  // namespace intaglio::frontend::pt2
