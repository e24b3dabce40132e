// rotary against a loop in double: both layouts, partial rows, part of the heads, tables that broadcast, every dtype,
// every level and thread count, in place.
#include "ops/rotary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ops/generic_test_util.h"

namespace intaglio::ops {
namespace {

TestTensor random_tensor(DType type, const Shape& shape, TestRandom& random) {
  std::vector<float> values = random.floats(static_cast<std::size_t>(*element_count(shape)), -4, 4);
  // Multiples of 1/16 below 4: exact in every floating type.
  for (float& x : values) x = std::round(x * 16) / 16;
  return typed(type, shape, values);
}

std::vector<double> expected_of(const RotaryDescriptor& d, const TestTensor& x, const TestTensor& cos,
                                const TestTensor& sin) {
  const Shape &shape = x.type.shape, &table = cos.type.shape;
  const auto size = static_cast<std::size_t>(shape.back()), half = static_cast<std::size_t>(table.back());
  std::vector<double> y;
  for (std::size_t i = 0; i < x.bytes.size() / size_of(d.dtype); ++i) y.push_back(value_at(x, i));
  const Shape rows(shape.begin(), shape.end() - 1);
  for_each_index(rows, [&](const Shape& index) {
    if (d.heads != 0 && index.back() >= d.heads) return;
    Shape at(table.size());
    for (std::size_t i = 0; i + 1 < table.size(); ++i) {
      const std::int64_t from = index[index.size() - (table.size() - 1) + i];
      at[i] = table[i] == 1 ? 0 : from;
    }
    const std::size_t row = flat_index(rows, index) * size, first = flat_index(table, at);
    for (std::size_t i = 0; i < half; ++i) {
      const std::size_t a = row + (d.interleaved ? 2 * i : i), b = row + (d.interleaved ? 2 * i + 1 : i + half);
      const double c = value_at(cos, first + i), s = value_at(sin, first + i);
      const double u = value_at(x, a), v = value_at(x, b);
      y[a] = u * c - v * s;
      y[b] = v * c + u * s;
    }
  });
  return y;
}

void check(const RotaryDescriptor& d, const Shape& shape, const Shape& table) {
  SCOPED_TRACE(to_string(d) + " " + to_string(shape) + " " + to_string(table));
  TestRandom random(static_cast<std::uint32_t>(shape.size() + table.size()));
  const TestTensor x = random_tensor(d.dtype, shape, random), cos = random_tensor(d.table, table, random),
                   sin = random_tensor(d.table, table, random);
  const std::vector<double> expected = expected_of(d, x, cos, sin);
  const double tolerance = d.dtype == DType::f64    ? 1e-13
                           : d.dtype == DType::f32  ? 0x1p-20
                           : d.dtype == DType::bf16 ? 0x1p-8
                                                    : 0x1p-11;
  for (const Target& target : test_targets()) {
    const auto op = prepare_op(d, target);
    std::vector<std::byte> first;
    for (const int threads : {1, 2, 7}) {
      RunStatus status = RunStatus::ok;
      const auto y = run_once(*op, {x, cos, sin}, {{d.dtype, shape}}, {}, threads, threads, status);
      ASSERT_TRUE(y) << y.error().to_string();
      if (threads == 1) first = (*y)[0].bytes;
      ASSERT_EQ((*y)[0].bytes, first);
    }
    const TestTensor got{{d.dtype, shape}, first};
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(value_at(got, i), expected[i], tolerance * std::max(1.0, std::abs(expected[i]))) << i;
    // In place, the same bits.
    const auto binding = op->bind({types_of({x, cos, sin}), std::vector<Operand>{{d.dtype, shape}}, {}, 1});
    ASSERT_TRUE(binding);
    TestTensor both = x;
    std::vector<std::byte> scratch((*binding)->thread_scratch_bytes + 64);
    const void* in[] = {both.bytes.data(), cos.bytes.data(), sin.bytes.data()};
    void* out[] = {both.bytes.data()};
    op->run(**binding, {in, out, scratch.data(), nullptr}, {});
    ASSERT_EQ(both.bytes, first);
  }
}

RotaryDescriptor descriptor(bool interleaved, std::int64_t heads = 0, DType dtype = DType::f32,
                            DType table = DType::f32) {
  RotaryDescriptor d;
  d.interleaved = interleaved;
  d.heads = heads;
  d.dtype = dtype;
  d.table = table;
  return d;
}

TEST(Rotary, LayoutsAndPartialRows) {
  for (const bool interleaved : {false, true}) {
    for (const std::int64_t half : {0, 1, 3, 8, 16, 21, 32}) {
      const RotaryDescriptor d = descriptor(interleaved);
      check(d, {2, 5, 3, 64}, {1, 5, 1, half});        // [batch, seq, heads, d]
      check(d, {2, 3, 5, 67}, {1, 1, 5, half});        // [batch, heads, seq, d]
      check(d, {2, 3, 5, 2 * half}, {2, 1, 5, half});  // tables of every row of the batch
    }
    check(descriptor(interleaved), {3, 2, 8}, {4});
    check(descriptor(interleaved), {5, 8}, {5, 4});
    check(descriptor(interleaved), {2, 3, 4, 8}, {2, 3, 4, 4});
  }
}

TEST(Rotary, SomeHeadsOnly) {
  for (const bool interleaved : {false, true}) {
    check(descriptor(interleaved, 2), {2, 3, 5, 32}, {3, 1, 16});
    check(descriptor(interleaved, 5), {2, 3, 5, 32}, {3, 1, 8});
  }
}

TEST(Rotary, OtherTypes) {
  for (const DType dtype : {DType::bf16, DType::f16, DType::f64}) {
    for (const DType table : {DType::f32, dtype}) {
      for (const bool interleaved : {false, true}) {
        const RotaryDescriptor d = descriptor(interleaved, 2, dtype, table);
        check(d, {2, 4, 3, 70}, {1, 4, 1, 32});
        check(descriptor(interleaved, 0, dtype, table), {2, 3, 4, 38}, {4, 19});
      }
    }
  }
}

TEST(Rotary, Empty) {
  for (const Shape& shape : {Shape{0, 4, 3, 8}, {2, 0, 3, 8}, {2, 4, 0, 8}})
    run_everywhere(descriptor(false),
                   {patterned(DType::f32, shape), patterned(DType::f32, {1, shape[1], 1, 4}),
                    patterned(DType::f32, {1, shape[1], 1, 4})},
                   {{DType::f32, shape}});
}

TEST(Rotary, RefusesWhatDoesNotFit) {
  const auto bind = [](const RotaryDescriptor& d, const Shape& x, const Shape& table) {
    expect_bind_error(d, {{DType::f32, x}, {DType::f32, table}, {DType::f32, table}}, {{DType::f32, x}});
  };
  bind(descriptor(false), {2, 4, 3, 8}, {1, 4, 1, 5});
  bind(descriptor(false), {2, 4, 3, 8}, {1, 5, 1, 4});
  bind(descriptor(false), {2, 4, 3, 8}, {1, 4, 2, 4});
  bind(descriptor(false, 4), {2, 4, 3, 8}, {1, 4, 1, 4});
  bind(descriptor(false), {8}, {4});
  // A plan may tell other dtypes than its values have.
  const Shape x{2, 4, 3, 8}, table{1, 4, 1, 4};
  for (const auto& [told, held, angles] : {std::tuple{DType::f64, DType::f32, DType::f32},
                                           {DType::f32, DType::bf16, DType::f32},
                                           {DType::bf16, DType::bf16, DType::bf16}}) {
    expect_bind_error(descriptor(false, 0, told), {{held, x}, {angles, table}, {angles, table}}, {{held, x}});
  }
  EXPECT_FALSE(descriptor(false, -1).validate());
  EXPECT_FALSE(descriptor(false, 0, DType::i32).validate());
  EXPECT_FALSE(descriptor(false, 0, DType::f32, DType::bf16).validate());
}

TEST(Rotary, DescriptorsReadBack) {
  expect_round_trip(descriptor(true, 3, DType::bf16, DType::bf16));
}

}  // namespace
}  // namespace intaglio::ops
