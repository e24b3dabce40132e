#pragma once

#include <string>
#include <vector>

namespace intaglio::cli {

// Writes the pieces one after the other into a temporary file beside `path` and renames it. Throws intaglio::Error
// (file) and leaves nothing behind if that fails; a file that was there before is then untouched.
void atomic_write(const std::string& path, const std::vector<std::string>& pieces);

}  // namespace intaglio::cli
