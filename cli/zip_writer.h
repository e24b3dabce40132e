#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace intaglio::cli {

// The checksum of zip archives.
std::uint32_t crc32_of(std::string_view bytes);

// A zip archive of stored members, zip64 where sizes need it: what numpy.savez writes.
class ZipWriter {
 public:
  void add(std::string name, std::string bytes);
  // The archive, in pieces that follow each other.
  std::vector<std::string> finish() &&;

 private:
  struct Member {
    std::string name;
    std::uint64_t offset, size;
    std::uint32_t crc;
  };
  std::vector<std::string> pieces_;
  std::vector<Member> members_;
  std::uint64_t position_ = 0;
};

}  // namespace intaglio::cli
