#include "bench/gemm/shapes.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <sstream>

namespace intaglio::bench {

namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(trimmed(text.substr(0, at)));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// Empty if it is not a list of sizes.
std::vector<std::int64_t> sizes_of(std::string_view text) {
  std::vector<std::int64_t> sizes;
  for (const std::string_view part : split(text, ',')) {
    std::int64_t size = 0;
    const auto [end, problem] = std::from_chars(part.data(), part.data() + part.size(), size);
    if (problem != std::errc() || end != part.data() + part.size() || size < 1 || size > kMostRows) return {};
    sizes.push_back(size);
  }
  return sizes;
}

}  // namespace

std::string to_string(const Product& product) {
  return fmt::format("{}x{}x{}", product.m, product.n, product.k);
}

Result<std::vector<Product>> parse_shapes(std::string_view text, const std::string& origin) {
  std::vector<Product> products;
  int number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    line = trimmed(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    std::vector<std::vector<std::int64_t>> sizes;
    for (const std::string_view part : split(line, 'x')) sizes.push_back(sizes_of(part));
    if (sizes.size() != 3 || sizes[0].empty() || sizes[1].empty() || sizes[2].empty()) {
      return fail(ErrorCode::file, fmt::format("'{}' is not a shape M x N x K of sizes from 1 to {}", line, kMostRows),
                  fmt::format("{}:{}", origin, number), "write '128 x 768 x 768', or '1,8 x 768 x 768' for two");
    }
    for (const std::int64_t n : sizes[1]) {
      for (const std::int64_t k : sizes[2]) {
        for (const std::int64_t m : sizes[0]) products.push_back({m, n, k});
      }
    }
  }
  if (products.empty()) return fail(ErrorCode::file, "there is no shape in it", origin);
  return products;
}

Result<std::vector<Product>> read_shapes(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return fail(ErrorCode::file, "cannot be read", path);
  return parse_shapes(text.str(), path);
}

}  // namespace intaglio::bench
