#include "cli/zip_reader.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cli/zip_writer.h"
#include "intaglio/types.h"

namespace intaglio::cli {

namespace {

constexpr std::uint32_t kAll32 = 0xffffffff;
constexpr std::uint16_t kZip64Extra = 1;
constexpr std::size_t kEndBytes = 22, kLocatorBytes = 20, kEntryBytes = 46, kLocalBytes = 30;

// Little endian fields at checked places.
class Bytes {
 public:
  Bytes(const std::string& path, const std::string& bytes) : path_(path), bytes_(bytes) {}
  [[noreturn]] void bad(const char* why) const { throw Error(ErrorCode::file, why, path_); }
  std::string_view part(std::uint64_t at, std::uint64_t length) const {
    if (at > bytes_.size() || length > bytes_.size() - at) bad("the archive is truncated or damaged");
    return std::string_view(bytes_).substr(at, length);
  }
  template <class T>
  T get(std::uint64_t at) const {
    T value;
    const std::string_view raw = part(at, sizeof value);
    std::memcpy(&value, raw.data(), raw.size());
    return value;
  }
  std::uint64_t size() const { return bytes_.size(); }

 private:
  const std::string& path_;
  const std::string& bytes_;
};

struct Directory {
  std::uint64_t at, count;
};

Directory find_directory(const Bytes& in) {
  if (in.size() < kEndBytes) in.bad("this is not a zip archive");
  const std::uint64_t end = in.size() - kEndBytes;  // archives with a comment are not what numpy.savez writes
  if (in.get<std::uint32_t>(end) != 0x06054b50) in.bad("this is not a zip archive without a comment");
  Directory found{in.get<std::uint32_t>(end + 16), in.get<std::uint16_t>(end + 10)};
  if (found.at != kAll32 && found.count != 0xffff) return found;
  const std::uint64_t locator = end - std::min<std::uint64_t>(end, kLocatorBytes);
  if (in.get<std::uint32_t>(locator) != 0x07064b50) in.bad("the archive is truncated or damaged");
  const auto end64 = in.get<std::uint64_t>(locator + 8);
  if (in.get<std::uint32_t>(end64) != 0x06064b50) in.bad("the archive is truncated or damaged");
  return {in.get<std::uint64_t>(end64 + 48), in.get<std::uint64_t>(end64 + 32)};
}

struct Place {
  std::uint64_t size, stored, local;
};

// Where the 32-bit fields of an entry are full, the values are in its zip64 extra field, in this order.
Place place_of(const Bytes& in, std::uint64_t entry, std::uint64_t extra, std::uint64_t extra_end) {
  Place place{in.get<std::uint32_t>(entry + 24), in.get<std::uint32_t>(entry + 20), in.get<std::uint32_t>(entry + 42)};
  while (extra + 4 <= extra_end) {
    const auto tag = in.get<std::uint16_t>(extra);
    std::uint64_t at = extra + 4;
    extra = at + in.get<std::uint16_t>(extra + 2);
    if (tag != kZip64Extra) continue;
    for (std::uint64_t* field : {&place.size, &place.stored, &place.local}) {
      if (*field != kAll32) continue;
      *field = in.get<std::uint64_t>(at);
      at += 8;
    }
  }
  return place;
}

}  // namespace

std::vector<ZipMember> read_zip(const std::string& path, const std::string& archive) {
  const Bytes in(path, archive);
  const Directory directory = find_directory(in);
  std::vector<ZipMember> out;
  std::uint64_t at = directory.at;
  for (std::uint64_t i = 0; i < directory.count; ++i) {
    if (in.get<std::uint32_t>(at) != 0x02014b50) in.bad("the archive's directory is damaged");
    const std::uint64_t name = at + kEntryBytes;
    const std::uint64_t extra = name + in.get<std::uint16_t>(at + 28);
    const std::uint64_t comment = extra + in.get<std::uint16_t>(at + 30);
    const Place place = place_of(in, at, extra, comment);
    if (in.get<std::uint16_t>(at + 10) != 0 || place.size != place.stored)
      in.bad("the archive is compressed (write it with numpy.savez)");
    in.part(place.local, kLocalBytes);  // so that the sums below cannot overflow
    const std::uint64_t skip =
        kLocalBytes + in.get<std::uint16_t>(place.local + 26) + in.get<std::uint16_t>(place.local + 28);
    const std::string_view data = in.part(place.local + skip, place.size);
    if (crc32_of(data) != in.get<std::uint32_t>(at + 16)) in.bad("a member's checksum is wrong");
    out.push_back({std::string(in.part(name, extra - name)), std::string(data)});
    at = comment + in.get<std::uint16_t>(at + 32);
  }
  return out;
}

}  // namespace intaglio::cli
