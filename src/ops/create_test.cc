// iota, full and dims against loops.
#include "ops/create.h"

#include <gtest/gtest.h>

#include "base/half.h"
#include "ops/generic_test_util.h"

namespace intaglio::ops {
namespace {

CreateDescriptor of_kind(CreateKind kind, double value = 0) {
  CreateDescriptor d;
  d.kind = kind;
  d.value = value;
  return d;
}

template <class T>
void expect_iota(std::int64_t count, std::int64_t start, std::int64_t step) {
  std::vector<T> expected;
  std::uint64_t value = static_cast<std::uint64_t>(start);
  for (std::int64_t i = 0; i < count; ++i, value += static_cast<std::uint64_t>(step)) {
    expected.push_back(static_cast<T>(static_cast<std::int64_t>(value)));
  }
  const std::vector<TestTensor> got =
      run_everywhere(of_kind(CreateKind::iota), {}, {{kDTypeOf<T>, {count}}}, {start, step});
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].template values<T>(), expected) << count << " " << start << " " << step;
}

TEST(Create, Iota) {
  for (const std::int64_t count : {0, 1, 5, 4095, 4096, 20001}) {
    for (const auto& [start, step] : {std::pair<std::int64_t, std::int64_t>{0, 1}, {7, -3}, {-5, 0}, {1 << 20, 1000}}) {
      expect_iota<std::int64_t>(count, start, step);
      expect_iota<std::int32_t>(count, start, step);
      expect_iota<float>(count, start, step);
    }
  }
  expect_iota<std::int64_t>(5, INT64_MAX - 2, 1);  // wraps
  expect_iota<std::int64_t>(5, INT64_MIN, INT64_MAX);
}

template <class T>
void expect_full(double value, T expected, DType dtype = kDTypeOf<T>) {
  for (const Shape& shape : {Shape{}, Shape{0}, Shape{3, 5}, Shape{9000}, Shape{2, 0, 3}}) {
    const std::vector<TestTensor> got = run_everywhere(of_kind(CreateKind::full, value), {}, {{dtype, shape}});
    ASSERT_EQ(got.size(), 1u);
    const std::vector<T> values = got[0].template values<T>();
    EXPECT_EQ(static_cast<std::int64_t>(values.size()), *element_count(shape));
    for (const T& each : values)
      ASSERT_EQ(std::memcmp(&each, &expected, sizeof(T)), 0) << value << " as " << name_of(dtype);
  }
}

TEST(Create, Full) {
  expect_full<float>(1.5, 1.5f);
  expect_full<double>(0.1, 0.1);
  expect_full<Float16>(1.5, Float16{0x3E00});
  expect_full<BFloat16>(-2, BFloat16{0xC000});
  expect_full<std::int8_t>(-3, std::int8_t{-3});
  expect_full<std::uint8_t>(200, std::uint8_t{200});
  expect_full<std::int16_t>(-300, std::int16_t{-300});
  expect_full<std::uint16_t>(60000, std::uint16_t{60000});
  expect_full<std::int32_t>(-70000, -70000);
  expect_full<std::uint32_t>(4e9, 4000000000u);
  expect_full<std::int64_t>(-5e15, std::int64_t{-5000000000000000});
  expect_full<std::uint64_t>(5e15, std::uint64_t{5000000000000000});
  expect_full<std::uint8_t>(7, std::uint8_t{1}, DType::boolean);
}

TEST(Create, FullSaturates) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  expect_full<std::int8_t>(1e9, std::int8_t{127});
  expect_full<std::uint8_t>(-1, std::uint8_t{0});
  expect_full<std::int64_t>(1e30, INT64_MAX);
  expect_full<std::int64_t>(-inf, INT64_MIN);
  expect_full<std::uint64_t>(inf, UINT64_MAX);
  expect_full<std::int32_t>(nan, 0);
  expect_full<float>(1e300, std::numeric_limits<float>::infinity());
}

TEST(Create, Dims) {
  const std::vector<std::int64_t> values{3, -1, INT64_MAX, 0};
  const auto got = run_everywhere(of_kind(CreateKind::dims), {}, {{DType::i64, {4}}}, values);
  EXPECT_EQ(got.at(0).values<std::int64_t>(), values);
  EXPECT_EQ(run_everywhere(of_kind(CreateKind::dims), {}, {{DType::i64, {}}}, {42}).at(0).values<std::int64_t>(),
            (std::vector<std::int64_t>{42}));
  EXPECT_TRUE(run_everywhere(of_kind(CreateKind::dims), {}, {{DType::i64, {0}}}, {}).at(0).bytes.empty());
}

TEST(Create, BindRefusesWhatDoesNotFit) {
  const Operand out{DType::i64, {3}};
  expect_bind_error(of_kind(CreateKind::full), {out}, {out});
  expect_bind_error(of_kind(CreateKind::full), {}, {});
  expect_bind_error(of_kind(CreateKind::iota), {}, {out}, {1});
  expect_bind_error(of_kind(CreateKind::iota), {}, {{DType::u8, {3}}}, {0, 1});
  expect_bind_error(of_kind(CreateKind::dims), {}, {out}, {1, 2});
  expect_bind_error(of_kind(CreateKind::dims), {}, {{DType::f32, {3}}}, {1, 2, 3});
}

TEST(Create, Descriptors) {
  expect_round_trip(of_kind(CreateKind::iota, -0.25));
  expect_unknown_kinds_rejected(of_kind(CreateKind::full), kCreateKinds);
}

}  // namespace
}  // namespace intaglio::ops
