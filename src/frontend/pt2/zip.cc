#include "frontend/pt2/zip.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

namespace intaglio::frontend::pt2 {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50;
constexpr std::uint32_t kCentralHeader = 0x02014b50;
constexpr std::uint32_t kEnd = 0x06054b50;
constexpr std::uint32_t kEnd64 = 0x06064b50;
constexpr std::uint32_t kLocator64 = 0x07064b50;
constexpr std::uint64_t kEndSize = 22;
constexpr std::uint64_t kEnd64Size = 56;
constexpr std::uint64_t kLocator64Size = 20;
constexpr std::uint64_t kCentralSize = 46;
constexpr std::uint64_t kLocalSize = 30;
constexpr std::uint64_t kMaxComment = 65535;
constexpr std::uint16_t kEncryptedFlags = 0x2041;  // encrypted, strong encryption, masked headers
constexpr std::uint16_t kZip64Extra = 1;

tl::unexpected<Error> bad(std::uint64_t offset, std::string message) {
  return fail(ErrorCode::file, std::move(message), "offset " + std::to_string(offset));
}

// Little-endian reads; the caller has checked the range.
class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> data) : data_(data) {}
  std::uint64_t size() const { return data_.size(); }
  bool has(std::uint64_t offset, std::uint64_t count) const { return offset <= size() && count <= size() - offset; }
  std::uint16_t u16(std::uint64_t at) const { return static_cast<std::uint16_t>(number(at, 2)); }
  std::uint32_t u32(std::uint64_t at) const { return static_cast<std::uint32_t>(number(at, 4)); }
  std::uint64_t u64(std::uint64_t at) const { return number(at, 8); }
  std::string_view text(std::uint64_t at, std::uint64_t count) const {
    return {reinterpret_cast<const char*>(data_.data() + at), static_cast<std::size_t>(count)};
  }
  std::span<const std::byte> part(std::uint64_t at, std::uint64_t count) const {
    return data_.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(count));
  }

 private:
  std::uint64_t number(std::uint64_t at, int bytes) const {
    std::uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; --i) {
      value = value << 8 |
              std::to_integer<std::uint64_t>(data_[static_cast<std::size_t>(at) + static_cast<std::size_t>(i)]);
    }
    return value;
  }
  std::span<const std::byte> data_;
};

struct Directory {
  std::uint64_t offset = 0, size = 0, entries = 0;
};

std::optional<std::uint64_t> find_end(const Bytes& file) {
  if (file.size() < kEndSize) return std::nullopt;
  const std::uint64_t last = file.size() - kEndSize;
  const std::uint64_t first = last > kMaxComment ? last - kMaxComment : 0;
  for (std::uint64_t at = last + 1; at-- > first;) {
    if (file.u32(at) == kEnd && at + kEndSize + file.u16(at + 20) == file.size()) return at;
  }
  return std::nullopt;
}

// Fields of the zip64 record replace those of the plain one where the plain one holds its sentinel.
Status read_end64(const Bytes& file, std::uint64_t locator, Directory& directory, std::uint64_t& end) {
  if (file.u32(locator + 4) != 0 || file.u32(locator + 16) > 1)
    return bad(locator, "archives in several parts are not read");
  const std::uint64_t at = file.u64(locator + 8);
  if (!file.has(at, kEnd64Size) || at + kEnd64Size > locator)
    return bad(locator, "the zip64 end record lies outside the file");
  if (file.u32(at) != kEnd64) return bad(at, "no zip64 end record where the locator points");
  if (file.u32(at + 16) != 0 || file.u32(at + 20) != 0) return bad(at, "archives in several parts are not read");
  const Directory wide{.offset = file.u64(at + 48), .size = file.u64(at + 40), .entries = file.u64(at + 32)};
  if (file.u64(at + 24) != wide.entries) return bad(at, "the zip64 end record contradicts itself");
  const bool agrees = (directory.entries == 0xffff || directory.entries == wide.entries) &&
                      (directory.size == 0xffffffff || directory.size == wide.size) &&
                      (directory.offset == 0xffffffff || directory.offset == wide.offset);
  if (!agrees) return bad(at, "the two end records of the archive disagree");
  directory = wide;
  end = at;
  return {};
}

Result<Directory> find_directory(const Bytes& file, const ZipLimits& limits) {
  const auto end_record = find_end(file);
  if (!end_record) return fail(ErrorCode::file, "no end of a zip archive: the file is truncated or not a .pt2 archive");
  const std::uint64_t at = *end_record;
  if (file.u16(at + 4) != 0 || file.u16(at + 6) != 0) return bad(at, "archives in several parts are not read");
  Directory directory{.offset = file.u32(at + 16), .size = file.u32(at + 12), .entries = file.u16(at + 10)};
  if (file.u16(at + 8) != directory.entries) return bad(at, "the end record contradicts itself");
  std::uint64_t end = at;
  if (at >= kLocator64Size && file.u32(at - kLocator64Size) == kLocator64) {
    INTAGLIO_CHECK(read_end64(file, at - kLocator64Size, directory, end));
  } else if (directory.entries == 0xffff || directory.size == 0xffffffff || directory.offset == 0xffffffff) {
    return bad(at, "the zip64 end record is missing");
  }
  if (directory.offset > end || directory.size > end - directory.offset) {
    return bad(at, "the central directory lies outside the file");
  }
  if (directory.entries > limits.max_entries) {
    return bad(at, "the archive has " + std::to_string(directory.entries) + " entries, more than " +
                       std::to_string(limits.max_entries));
  }
  if (directory.entries > directory.size / kCentralSize)
    return bad(at, "the central directory is too small for its entries");
  return directory;
}

// One row of the central directory, with the zip64 fields resolved.
struct Row {
  std::string_view name;
  std::uint64_t stored = 0, size = 0, header = 0, next = 0;
};

Status read_zip64_extra(const Bytes& file, std::uint64_t at, std::uint64_t length, Row& row) {
  const bool wants_size = row.size == 0xffffffff, wants_stored = row.stored == 0xffffffff,
             wants_header = row.header == 0xffffffff;
  if (!wants_size && !wants_stored && !wants_header) return {};
  const std::uint64_t end = at + length;
  while (end - at >= 4) {
    const std::uint16_t id = file.u16(at);
    const std::uint64_t size = file.u16(at + 2);
    at += 4;
    if (size > end - at) break;
    if (id == kZip64Extra) {
      const std::uint64_t wanted = 8 * (std::uint64_t{wants_size} + wants_stored + wants_header);
      if (size < wanted) break;
      if (wants_size) row.size = file.u64(at), at += 8;
      if (wants_stored) row.stored = file.u64(at), at += 8;
      if (wants_header) row.header = file.u64(at);
      return {};
    }
    at += size;
  }
  return bad(at, "the zip64 fields of an entry are missing");
}

bool safe_name(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find('\\') != name.npos || name.find('\0') != name.npos) return false;
  for (;;) {
    const std::size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == name.npos) return true;
    name.remove_prefix(slash + 1);
  }
}

Result<Row> read_row(const Bytes& file, std::uint64_t at, std::uint64_t end) {
  if (end - at < kCentralSize || file.u32(at) != kCentralHeader)
    return bad(at, "a corrupted row of the central directory");
  const std::uint64_t name_size = file.u16(at + 28), extra_size = file.u16(at + 30), comment_size = file.u16(at + 32);
  Row row;
  row.next = at + kCentralSize + name_size + extra_size + comment_size;
  if (row.next > end) return bad(at, "a row of the central directory runs over its end");
  row.name = file.text(at + kCentralSize, name_size);
  if (!safe_name(row.name)) return bad(at, "an entry's name is empty, absolute or contains '..'");
  if ((file.u16(at + 8) & kEncryptedFlags) != 0) return bad(at, "entry '" + std::string(row.name) + "' is encrypted");
  if (const int method = file.u16(at + 10); method != 0) {
    return fail(ErrorCode::file,
                "entry '" + std::string(row.name) + "' is compressed (method " + std::to_string(method) + ")",
                "offset " + std::to_string(at),
                "torch.export.save stores entries uncompressed; save again, or re-pack without compression");
  }
  if (file.u16(at + 34) != 0 && file.u16(at + 34) != 0xffff) return bad(at, "archives in several parts are not read");
  row.stored = file.u32(at + 20);
  row.size = file.u32(at + 24);
  row.header = file.u32(at + 42);
  INTAGLIO_CHECK(read_zip64_extra(file, at + kCentralSize + name_size, extra_size, row));
  if (row.stored != row.size)
    return bad(at, "entry '" + std::string(row.name) + "' is stored but its two sizes differ");
  return row;
}

struct Located {
  ZipEntry entry;
  std::uint64_t end = 0;
};

Result<Located> locate(const Bytes& file, const Row& row, std::uint64_t limit) {
  const std::string name(row.name);
  if (row.header > limit || limit - row.header < kLocalSize)
    return bad(row.header, "the header of entry '" + name + "' lies outside the file");
  const std::uint64_t at = row.header;
  if (file.u32(at) != kLocalHeader) return bad(at, "no header where entry '" + name + "' should begin");
  if ((file.u16(at + 6) & kEncryptedFlags) != 0) return bad(at, "entry '" + name + "' is encrypted");
  if (file.u16(at + 8) != 0) return bad(at, "entry '" + name + "' is compressed");
  const std::uint64_t name_size = file.u16(at + 26), extra_size = file.u16(at + 28);
  const std::uint64_t room = limit - at - kLocalSize;
  if (name_size + extra_size > room || row.size > room - name_size - extra_size) {
    return bad(
        at, "entry '" + name + "' of " + std::to_string(row.size) + " bytes runs over the end of the archive's data");
  }
  if (file.text(at + kLocalSize, name_size) != row.name) return bad(at, "the two names of entry '" + name + "' differ");
  const std::uint64_t data = at + kLocalSize + name_size + extra_size;
  return Located{{row.name, file.part(data, row.size), at}, data + row.size};
}

Status check_overlaps(std::vector<Located>& located) {
  std::sort(located.begin(), located.end(),
            [](const Located& a, const Located& b) { return a.entry.header < b.entry.header; });
  for (std::size_t i = 1; i < located.size(); ++i) {
    if (located[i].entry.header < located[i - 1].end) {
      return bad(located[i].entry.header, "entries '" + std::string(located[i - 1].entry.name) + "' and '" +
                                              std::string(located[i].entry.name) + "' overlap");
    }
  }
  return {};
}

}  // namespace

bool looks_like_zip(std::span<const std::byte> file) {
  const Bytes bytes(file);
  return bytes.has(0, 4) && (bytes.u32(0) == kLocalHeader || bytes.u32(0) == kEnd);
}

Result<ZipArchive> ZipArchive::parse(std::span<const std::byte> data, const ZipLimits& limits) {
  const Bytes file(data);
  INTAGLIO_TRY(const Directory directory, find_directory(file, limits));
  ZipArchive archive;
  std::vector<Located> located;
  std::uint64_t at = directory.offset;
  const std::uint64_t end = directory.offset + directory.size;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    INTAGLIO_TRY(const Row row, read_row(file, at, end));
    at = row.next;
    INTAGLIO_TRY(Located found, locate(file, row, directory.offset));
    if (i == 0) archive.root_ = row.name.substr(0, row.name.find('/'));
    located.push_back(found);
  }
  if (at != end) return bad(at, "the central directory is longer than its entries");
  INTAGLIO_CHECK(check_overlaps(located));
  for (const Located& found : located) archive.entries_.push_back(found.entry);
  std::sort(archive.entries_.begin(), archive.entries_.end(),
            [](const ZipEntry& a, const ZipEntry& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < archive.entries_.size(); ++i) {
    if (archive.entries_[i].name == archive.entries_[i - 1].name) {
      return bad(archive.entries_[i].header,
                 "two entries have the name '" + std::string(archive.entries_[i].name) + "'");
    }
  }
  return archive;
}

const ZipEntry* ZipArchive::find(std::string_view name) const {
  const auto it = std::lower_bound(entries_.begin(), entries_.end(), name,
                                   [](const ZipEntry& e, std::string_view n) { return e.name < n; });
  return it != entries_.end() && it->name == name ? &*it : nullptr;
}

}  // namespace intaglio::frontend::pt2
