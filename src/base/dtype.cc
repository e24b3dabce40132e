#include "base/dtype.h"

#include <array>

namespace intaglio {

namespace {
// Indexed by the enum's value.
constexpr std::array<std::string_view, kDTypeCount> kNames = {"f32", "f64", "f16", "bf16", "i8",  "u8",  "i16",
                                                              "u16", "i32", "u32", "i64",  "u64", "bool"};
static_assert(static_cast<int>(DType::boolean) + 1 == kDTypeCount);
}  // namespace

std::string_view name_of(DType t) {
  const auto index = static_cast<std::size_t>(t);
  return index < kNames.size() ? kNames[index] : std::string_view("invalid");
}

std::optional<DType> parse_dtype(std::string_view text) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) return static_cast<DType>(i);
  }
  return std::nullopt;
}

}  // namespace intaglio
