// Shapes of products, read from text files: one "M x N x K" a line, each a number or a list of numbers ("1,8,32"),
// which stands for every combination; "#" starts a comment.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace intaglio::bench {

struct Product {
  std::int64_t m = 0, n = 0, k = 0;
  double operations() const { return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k); }
  friend bool operator==(const Product&, const Product&) = default;
};
std::string to_string(const Product& product);  // "512x3072x768"

// No size is larger than this: the operands of the largest product still fit into memory, and no count overflows.
inline constexpr std::int64_t kMostRows = 1 << 20;
// Errors: file (cannot be read; a line that is not a shape, with its number; no shape at all).
Result<std::vector<Product>> read_shapes(const std::string& path);
// The same of a text; `origin` is named in errors.
Result<std::vector<Product>> parse_shapes(std::string_view text, const std::string& origin);

}  // namespace intaglio::bench
