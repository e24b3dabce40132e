#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace intaglio::cli {

struct ZipMember {
  std::string name, bytes;
};

// All members of a zip archive whose bytes are `archive`: stored ones (zip64 sizes included); checks their checksums.
// Throws intaglio::Error (file) with origin `path` for anything else.
std::vector<ZipMember> read_zip(const std::string& path, const std::string& archive);

}  // namespace intaglio::cli
