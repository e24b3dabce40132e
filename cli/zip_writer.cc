#include "cli/zip_writer.h"

#include <array>

namespace intaglio::cli {

namespace {

constexpr std::uint32_t kAll32 = 0xffffffff;
constexpr std::uint16_t kZip64Version = 45;
constexpr std::uint16_t kUtf8Flag = 0x0800;
// 1980-01-01 00:00: archives of equal arrays are equal.
constexpr std::uint16_t kDosDate = 0x21;

template <class T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xff);
}
void put16(std::string& out, std::size_t value) {
  put(out, static_cast<std::uint16_t>(value));
}
void put32(std::string& out, std::uint64_t value) {
  put(out, static_cast<std::uint32_t>(value));
}
void put64(std::string& out, std::uint64_t value) {
  put(out, value);
}

// Sizes and offset always in the zip64 extra field: one form for all sizes.
void put_common(std::string& out, std::uint32_t crc) {
  put16(out, kZip64Version);
  put16(out, kUtf8Flag);
  put16(out, 0);  // stored
  put16(out, 0);
  put16(out, kDosDate);
  put32(out, crc);
  put32(out, kAll32);
  put32(out, kAll32);
}

}  // namespace

std::uint32_t crc32_of(std::string_view bytes) {
  static const std::array<std::uint32_t, 256> kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? 0xedb88320u ^ (value >> 1) : value >> 1;
      table[i] = value;
    }
    return table;
  }();
  std::uint32_t crc = kAll32;
  for (const char byte : bytes) crc = kTable[(crc ^ static_cast<std::uint8_t>(byte)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

void ZipWriter::add(std::string name, std::string bytes) {
  const Member member{name, position_, bytes.size(), crc32_of(bytes)};
  std::string header;
  put32(header, 0x04034b50);
  put_common(header, member.crc);
  put16(header, name.size());
  put16(header, 20);
  header += name;
  put16(header, 1);
  put16(header, 16);
  put64(header, member.size);
  put64(header, member.size);
  position_ += header.size() + bytes.size();
  pieces_.push_back(std::move(header));
  pieces_.push_back(std::move(bytes));
  members_.push_back(member);
}

std::vector<std::string> ZipWriter::finish() && {
  std::string out;
  for (const Member& member : members_) {
    put32(out, 0x02014b50);
    put16(out, kZip64Version);
    put_common(out, member.crc);
    put16(out, member.name.size());
    put16(out, 28);
    put16(out, 0);
    put16(out, 0);
    put16(out, 0);
    put32(out, 0);
    put32(out, kAll32);
    out += member.name;
    put16(out, 1);
    put16(out, 24);
    put64(out, member.size);
    put64(out, member.size);
    put64(out, member.offset);
  }
  const std::uint64_t directory = position_;
  const std::uint64_t size = out.size();
  put32(out, 0x06064b50);  // zip64 end of central directory
  put64(out, 44);
  put16(out, kZip64Version);
  put16(out, kZip64Version);
  put32(out, 0);
  put32(out, 0);
  put64(out, members_.size());
  put64(out, members_.size());
  put64(out, size);
  put64(out, directory);
  put32(out, 0x07064b50);  // its locator
  put32(out, 0);
  put64(out, directory + size);
  put32(out, 1);
  put32(out, 0x06054b50);
  put16(out, 0);
  put16(out, 0);
  put16(out, 0xffff);
  put16(out, 0xffff);
  put32(out, kAll32);
  put32(out, kAll32);
  put16(out, 0);
  pieces_.push_back(std::move(out));
  return std::move(pieces_);
}

}  // namespace intaglio::cli
