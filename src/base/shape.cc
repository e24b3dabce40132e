#include "base/shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace intaglio {

std::optional<std::int64_t> checked_add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

std::optional<std::int64_t> checked_mul(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

Result<std::int64_t> element_count(std::span<const std::int64_t> shape) {
  if (shape.size() > kMaxRank) {
    return fail(ErrorCode::unsupported, fmt::format("rank {} is over the limit of {}", shape.size(), kMaxRank));
  }
  bool zero = false;
  for (const std::int64_t dim : shape) {
    if (dim < 0) return fail(ErrorCode::usage, fmt::format("negative dimension in shape {}", to_string(shape)));
    zero |= dim == 0;
  }
  if (zero) return 0;
  std::int64_t count = 1;
  for (const std::int64_t dim : shape) {
    const auto product = checked_mul(count, dim);
    if (!product) return fail(ErrorCode::usage, fmt::format("shape {} has too many elements", to_string(shape)));
    count = *product;
  }
  return count;
}

Result<std::size_t> byte_count(std::span<const std::int64_t> shape, DType dtype) {
  INTAGLIO_TRY(const std::int64_t count, element_count(shape));
  const auto bytes = checked_mul(count, static_cast<std::int64_t>(size_of(dtype)));
  if (!bytes) {
    return fail(ErrorCode::usage, fmt::format("shape {} of {} has too many bytes", to_string(shape), name_of(dtype)));
  }
  return static_cast<std::size_t>(*bytes);
}

Result<Shape> broadcast(std::span<const std::int64_t> a, std::span<const std::int64_t> b) {
  const std::size_t rank = std::max(a.size(), b.size());
  Shape result(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t x = i < rank - a.size() ? 1 : a[i - (rank - a.size())];
    const std::int64_t y = i < rank - b.size() ? 1 : b[i - (rank - b.size())];
    if (x != y && x != 1 && y != 1) {
      return fail(ErrorCode::usage,
                  fmt::format("shapes {} and {} do not broadcast: {} against {}", to_string(a), to_string(b), x, y));
    }
    result[i] = x == 1 ? y : x;
  }
  return result;
}

std::vector<std::int64_t> row_major_strides(std::span<const std::int64_t> shape) {
  std::vector<std::int64_t> strides(shape.size());
  std::uint64_t stride = 1;  // unsigned: a shape that was not checked by element_count must not be undefined behaviour
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = static_cast<std::int64_t>(stride);
    stride *= static_cast<std::uint64_t>(std::max<std::int64_t>(shape[i], 1));
  }
  return strides;
}

std::string to_string(std::span<const std::int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

Result<Shape> parse_shape(std::string_view text) {
  Shape shape;
  if (text.empty()) return shape;
  const auto bad = [&](std::string_view why) {
    return fail(ErrorCode::usage, fmt::format("'{}' is not a shape: {}", text.substr(0, 80), why), {},
                "write a shape as 1x128x768");
  };
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    std::int64_t dim = 0;
    const auto [next, error] = std::from_chars(at, end, dim);
    if (error == std::errc::result_out_of_range) return bad("a number is too large");
    if (error != std::errc() || dim < 0 || *at == '-') return bad("expected a non-negative number");
    if (shape.size() == kMaxRank) return bad(fmt::format("more than {} dimensions", kMaxRank));
    shape.push_back(dim);
    if (next == end) return shape;
    if (*next != 'x') return bad("expected 'x' between numbers");
    at = next + 1;
  }
}

}  // namespace intaglio
