// Gather, GatherElements and GatherND against their definitions, index by index.
#include "ops/gather.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "ops/generic_test_util.h"

namespace intaglio::ops {
namespace {

std::mt19937& source() {
  static std::mt19937 random(17);
  return random;
}

struct Indices {
  TestTensor tensor;
  std::vector<std::int64_t> wrapped;  // what they mean
};
// Random legal indices, negative ones among them; limit(i) is the size of the dim that element i indexes.
Indices indices_of(DType dtype, const Shape& shape, const std::function<std::int64_t(std::size_t)>& limit) {
  Indices out;
  std::vector<std::int64_t> raw;
  for (std::size_t i = 0; i < static_cast<std::size_t>(*element_count(shape)); ++i) {
    const std::int64_t size = limit(i), index = static_cast<std::int64_t>(source()() % static_cast<unsigned>(size));
    raw.push_back(source()() % 3 == 0 ? index - size : index);
    out.wrapped.push_back(index);
  }
  out.tensor = dtype == DType::i64 ? TestTensor::of<std::int64_t>(shape, raw)
                                   : TestTensor::of<std::int32_t>(shape, {raw.begin(), raw.end()});
  return out;
}

// out[index] = data[where(index)].
void expect_gather(const GatherDescriptor& d, const TestTensor& data, const TestTensor& indices, const Shape& shape,
                   const std::function<Shape(const Shape&)>& where) {
  EXPECT_TRUE(d.validate().has_value());
  const std::size_t size = size_of(data.type.dtype);
  std::vector<std::byte> expected(*byte_count(shape, data.type.dtype));
  for_each_index(shape, [&](const Shape& index) {
    std::memcpy(expected.data() + flat_index(shape, index) * size,
                data.bytes.data() + flat_index(data.type.shape, where(index)) * size, size);
  });
  const auto got = run_everywhere(d, {data, indices}, {{data.type.dtype, shape}});
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].bytes, expected) << to_string(d) << " " << to_string(data.type.shape) << " "
                                    << to_string(indices.type.shape);
}

void gather(DType dtype, DType index_dtype, const Shape& shape, std::int64_t axis, const Shape& index_shape) {
  GatherDescriptor d;
  d.axis = axis;
  const auto at = static_cast<std::size_t>(axis);
  const Indices indices = indices_of(index_dtype, index_shape, [&](std::size_t) { return shape[at]; });
  Shape out(shape.begin(), shape.begin() + axis);
  out.insert(out.end(), index_shape.begin(), index_shape.end());
  out.insert(out.end(), shape.begin() + axis + 1, shape.end());
  expect_gather(d, patterned(dtype, shape), indices.tensor, out, [&](const Shape& index) {
    const Shape which(index.begin() + axis, index.begin() + axis + static_cast<std::ptrdiff_t>(index_shape.size()));
    Shape from(index.begin(), index.begin() + axis);
    from.push_back(indices.wrapped[flat_index(index_shape, which)]);
    from.insert(from.end(), index.begin() + axis + static_cast<std::ptrdiff_t>(index_shape.size()), index.end());
    return from;
  });
}

TEST(Gather, Gather) {
  for (const DType dtype : kEveryDType) {
    for (const DType index : {DType::i64, DType::i32}) gather(dtype, index, {5, 3, 2}, 1, {2, 2});
  }
  gather(DType::f32, DType::i64, {10, 64}, 0, {3, 70});
  gather(DType::f32, DType::i64, {10, 100}, 0, {500});
  gather(DType::f32, DType::i64, {7}, 0, {});
  gather(DType::f32, DType::i64, {4, 5}, 1, {});
  gather(DType::u8, DType::i32, {2, 3, 4, 5}, 3, {1, 300});
  gather(DType::f32, DType::i64, {4, 0}, 0, {3});
  gather(DType::f32, DType::i64, {4, 3}, 0, {0});
  gather(DType::f32, DType::i64, {0, 3}, 1, {2});
  gather(DType::f32, DType::i64, {0, 3}, 0, {0});
}

void elements(DType dtype, DType index_dtype, const Shape& shape, std::int64_t axis, const Shape& index_shape) {
  GatherDescriptor d;
  d.kind = GatherKind::elements;
  d.axis = axis;
  const auto at = static_cast<std::size_t>(axis);
  const Indices indices = indices_of(index_dtype, index_shape, [&](std::size_t) { return shape[at]; });
  expect_gather(d, patterned(dtype, shape), indices.tensor, index_shape, [&](const Shape& index) {
    Shape from = index;
    from[at] = indices.wrapped[flat_index(index_shape, index)];
    return from;
  });
}

TEST(Gather, Elements) {
  for (const DType dtype : kEveryDType) {
    for (const DType index : {DType::i64, DType::i32}) elements(dtype, index, {5, 3, 2}, 1, {4, 7, 2});
  }
  elements(DType::f32, DType::i64, {300}, 0, {1000});
  elements(DType::f32, DType::i64, {3, 4}, 0, {0, 4});
  elements(DType::f32, DType::i64, {3, 4}, 0, {9, 1});
  elements(DType::f32, DType::i64, {3, 4, 5, 6}, 2, {3, 4, 2, 6});
}

void nd(DType dtype, DType index_dtype, const Shape& shape, std::int64_t batch_dims, const Shape& index_shape) {
  GatherDescriptor d;
  d.kind = GatherKind::nd;
  d.batch_dims = batch_dims;
  const auto batch = static_cast<std::size_t>(batch_dims), parts = static_cast<std::size_t>(index_shape.back());
  const Indices indices = indices_of(index_dtype, index_shape, [&](std::size_t i) { return shape[batch + i % parts]; });
  Shape out(index_shape.begin(), index_shape.end() - 1);
  const std::size_t tuple_rank = out.size();
  out.insert(out.end(), shape.begin() + static_cast<std::ptrdiff_t>(batch + parts), shape.end());
  expect_gather(d, patterned(dtype, shape), indices.tensor, out, [&](const Shape& index) {
    Shape from(index.begin(), index.begin() + batch_dims);
    Shape which(index.begin(), index.begin() + static_cast<std::ptrdiff_t>(tuple_rank));
    which.push_back(0);
    for (std::size_t i = 0; i < parts; ++i) {
      which.back() = static_cast<std::int64_t>(i);
      from.push_back(indices.wrapped[flat_index(index_shape, which)]);
    }
    from.insert(from.end(), index.begin() + static_cast<std::ptrdiff_t>(tuple_rank), index.end());
    return from;
  });
}

TEST(Gather, Nd) {
  for (const DType dtype : kEveryDType) {
    for (const DType index : {DType::i64, DType::i32}) nd(dtype, index, {4, 3, 5}, 0, {6, 2});
  }
  nd(DType::f32, DType::i64, {4, 3, 5}, 1, {4, 2, 1});
  nd(DType::f32, DType::i64, {4, 3, 5}, 1, {4, 2});
  nd(DType::f32, DType::i64, {4, 3, 5}, 2, {4, 3, 9, 1});
  nd(DType::f32, DType::i64, {4, 3}, 0, {2});
  nd(DType::f32, DType::i64, {4, 3}, 0, {5, 0});  // empty tuples: all of the data, five times
  nd(DType::f32, DType::i64, {4, 3}, 0, {0, 2});
  nd(DType::f32, DType::i64, {0, 3}, 1, {0, 1});
}

// Reported, with zeros there and the right values elsewhere; also at the ends of the integers.
TEST(Gather, OutOfRange) {
  for (const std::int64_t wrong : {std::int64_t{4}, std::int64_t{-5}, INT64_MAX, INT64_MIN}) {
    const TestTensor data = TestTensor::of<float>({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
    const auto expect = [&](const GatherDescriptor& d, const TestTensor& indices, const Shape& shape,
                            const std::vector<float>& values) {
      const auto got = run_everywhere(d, {data, indices}, {{DType::f32, shape}}, {}, RunStatus::index_out_of_range);
      ASSERT_EQ(got.size(), 1u);
      EXPECT_EQ(got[0].values<float>(), values) << wrong;
    };
    GatherDescriptor d;
    expect(d, TestTensor::of<std::int64_t>({3}, {1, wrong, -1}), {3, 2}, {3, 4, 0, 0, 7, 8});
    d.kind = GatherKind::elements;
    expect(d, TestTensor::of<std::int64_t>({3, 1}, {1, wrong, -4}), {3, 1}, {3, 0, 1});
    d.kind = GatherKind::nd;
    expect(d, TestTensor::of<std::int64_t>({3, 2}, {1, 1, wrong, 0, 3, -2}), {3}, {4, 0, 7});
  }
  // Nothing to pick from.
  run_everywhere(GatherDescriptor(), {TestTensor{{DType::f32, {0, 2}}, {}}, TestTensor::of<std::int64_t>({1}, {0})},
                 {{DType::f32, {1, 2}}}, {}, RunStatus::index_out_of_range);
}

TEST(Gather, BindRefusesWhatDoesNotFit) {
  const Operand data{DType::f32, {4, 3}}, ids{DType::i64, {2}};
  GatherDescriptor d;
  expect_bind_error(d, {data}, {{DType::f32, {2, 3}}});
  expect_bind_error(d, {data, {DType::f32, {2}}}, {{DType::f32, {2, 3}}});
  expect_bind_error(d, {data, ids}, {{DType::i32, {2, 3}}});
  expect_bind_error(d, {data, ids}, {{DType::f32, {2, 4}}});
  d.axis = 2;
  expect_bind_error(d, {data, ids}, {{DType::f32, {4, 3, 2}}});
  d.kind = GatherKind::elements;
  d.axis = 0;
  expect_bind_error(d, {data, ids}, {{DType::f32, {2}}});
  expect_bind_error(d, {data, {DType::i64, {2, 4}}}, {{DType::f32, {2, 4}}});
  d.kind = GatherKind::nd;
  expect_bind_error(d, {data, {DType::i64, {}}}, {{DType::f32, {4, 3}}});
  expect_bind_error(d, {data, {DType::i64, {2, 3}}}, {{DType::f32, {2}}});
  d.batch_dims = 1;
  expect_bind_error(d, {data, {DType::i64, {2, 1}}}, {{DType::f32, {2}}});
  d.batch_dims = 2;
  expect_bind_error(d, {data, {DType::i64, {4, 3}}}, {{DType::f32, {4}}});
}

TEST(Gather, EmptyWithHugeDims) {
  const std::int64_t huge = std::int64_t{1} << 62;
  run_everywhere(GatherDescriptor(),
                 {TestTensor{{DType::f64, {4, huge, huge, 0}}, {}}, TestTensor::of<std::int64_t>({1}, {0})},
                 {{DType::f64, {1, huge, huge, 0}}});
}

TEST(Gather, Descriptors) {
  GatherDescriptor d;
  d.kind = GatherKind::nd;
  d.axis = 2;
  d.batch_dims = 1;
  expect_round_trip(d);
  expect_unknown_kinds_rejected(d, kGatherKinds);
  for (const std::int64_t illegal : {std::int64_t{-1}, std::int64_t{kMaxRank}, INT64_MAX}) {
    GatherDescriptor axis, batch;
    axis.axis = illegal;
    batch.batch_dims = illegal;
    EXPECT_FALSE(axis.validate().has_value());
    EXPECT_FALSE(batch.validate().has_value());
  }
}

}  // namespace
}  // namespace intaglio::ops
