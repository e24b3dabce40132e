#include "base/dtype.h"

#include <gtest/gtest.h>

#include <set>

namespace intaglio {
namespace {

TEST(DType, NamesAndSizesAgree) {
  std::set<std::string_view> names;
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto t = static_cast<DType>(i);
    const std::string_view name = name_of(t);
    names.insert(name);
    EXPECT_EQ(parse_dtype(name), t) << name;
    if (t == DType::boolean) {
      EXPECT_EQ(size_of(t), 1u);
      continue;
    }
    // The digits of the name are the bits of the type.
    EXPECT_EQ(std::stoul(std::string(name.substr(name.find_first_of("0123456789")))), 8 * size_of(t)) << name;
    EXPECT_EQ(is_floating(t), name.find('f') != name.npos) << name;
    EXPECT_EQ(is_signed_integer(t), name[0] == 'i') << name;
    EXPECT_EQ(is_unsigned_integer(t), name[0] == 'u') << name;
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(kDTypeCount));
}

TEST(DType, UnknownNames) {
  for (const char* text : {"", "F32", "f32 ", "float", "f8", "invalid"}) EXPECT_FALSE(parse_dtype(text)) << text;
  EXPECT_EQ(name_of(static_cast<DType>(200)), "invalid");
  EXPECT_EQ(size_of(static_cast<DType>(200)), 0u);
}

TEST(DType, OfCppTypes) {
  EXPECT_EQ(kDTypeOf<float>, DType::f32);
  EXPECT_EQ(kDTypeOf<BFloat16>, DType::bf16);
  EXPECT_EQ(kDTypeOf<bool>, DType::boolean);
  EXPECT_EQ(size_of(kDTypeOf<std::uint16_t>), sizeof(std::uint16_t));
}

}  // namespace
}  // namespace intaglio
