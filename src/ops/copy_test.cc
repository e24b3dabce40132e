// transpose, expand, slice, concat and pad against index-by-index copies, over every dtype and many shapes.
#include "ops/copy.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "ops/generic_test_util.h"
#include "ops/strided.h"

namespace intaglio::ops {
namespace {

// The output of copying for each output index the element of `from` at source(index).
TestTensor by_index(const TestTensor& from, const Shape& shape, const std::function<Shape(const Shape&)>& source) {
  const std::size_t size = size_of(from.type.dtype);
  TestTensor out{{from.type.dtype, shape}, std::vector<std::byte>(*byte_count(shape, from.type.dtype))};
  for_each_index(shape, [&](const Shape& index) {
    std::memcpy(out.bytes.data() + flat_index(shape, index) * size,
                from.bytes.data() + flat_index(from.type.shape, source(index)) * size, size);
  });
  return out;
}

CopyDescriptor of_kind(CopyKind kind) {
  CopyDescriptor d;
  d.kind = kind;
  return d;
}

void expect_copy(const CopyDescriptor& d, const std::vector<TestTensor>& inputs, const TestTensor& expected,
                 const std::vector<std::int64_t>& params = {}) {
  EXPECT_TRUE(d.validate().has_value());
  const auto got = run_everywhere(d, inputs, {expected.type}, params);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].bytes, expected.bytes)
      << to_string(d) << " " << to_string(inputs[0].type.shape) << " -> " << to_string(expected.type.shape);
}

void expect_transpose(DType dtype, const Shape& shape, const std::vector<std::int64_t>& perm) {
  CopyDescriptor d = of_kind(CopyKind::transpose);
  d.perm = perm;
  Shape out;
  for (const std::int64_t axis : perm) out.push_back(shape[static_cast<std::size_t>(axis)]);
  const TestTensor x = patterned(dtype, shape);
  expect_copy(d, {x}, by_index(x, out, [&](const Shape& index) {
                Shape from(index.size());
                for (std::size_t i = 0; i < perm.size(); ++i) from[static_cast<std::size_t>(perm[i])] = index[i];
                return from;
              }));
}

TEST(Copy, Transpose) {
  for (const DType dtype : kEveryDType) {
    expect_transpose(dtype, {}, {});
    expect_transpose(dtype, {5}, {0});
    expect_transpose(dtype, {37, 19}, {1, 0});
    expect_transpose(dtype, {2, 17, 3, 5}, {0, 2, 1, 3});
  }
  std::mt19937 random(5);
  for (int round = 0; round < 60; ++round) {
    Shape shape(1 + random() % 5);
    for (auto& dim : shape)
      dim = random() % 9 == 0 ? static_cast<std::int64_t>(random() % 40) : static_cast<std::int64_t>(random() % 6);
    std::vector<std::int64_t> perm(shape.size());
    for (std::size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<std::int64_t>(i);
    std::shuffle(perm.begin(), perm.end(), random);
    expect_transpose(round % 2 == 0 ? DType::f32 : DType::u8, shape, perm);
  }
}

void expect_expand(DType dtype, const Shape& shape, const Shape& out) {
  const TestTensor x = patterned(dtype, shape);
  expect_copy(of_kind(CopyKind::expand), {x}, by_index(x, out, [&](const Shape& index) {
                Shape from(index.end() - static_cast<std::ptrdiff_t>(shape.size()), index.end());
                for (std::size_t i = 0; i < shape.size(); ++i) from[i] = shape[i] == 1 ? 0 : from[i];
                return from;
              }));
}

TEST(Copy, Expand) {
  for (const DType dtype : kEveryDType) expect_expand(dtype, {3, 1, 5}, {2, 3, 4, 5});
  expect_expand(DType::f32, {}, {});
  expect_expand(DType::f32, {}, {3, 2});
  expect_expand(DType::f32, {1}, {10000});
  expect_expand(DType::u8, {7, 1}, {7, 3000});
  expect_expand(DType::i64, {1, 7}, {300, 7});
  expect_expand(DType::f32, {1, 3}, {0, 3});
  expect_expand(DType::f32, {0, 1}, {0, 5});
}

struct Cut {
  std::int64_t axis, start, end, step;
};
void expect_slice(DType dtype, const Shape& shape, const std::vector<Cut>& cuts) {
  CopyDescriptor d = of_kind(CopyKind::slice);
  Shape out = shape;
  std::vector<std::int64_t> params(2 * cuts.size());
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    d.axes.push_back(cuts[i].axis);
    d.steps.push_back(cuts[i].step);
    params[i] = cuts[i].start;
    params[cuts.size() + i] = cuts[i].end;
    std::int64_t count = 0;
    for (std::int64_t at = cuts[i].start; cuts[i].step > 0 ? at < cuts[i].end : at > cuts[i].end; at += cuts[i].step)
      ++count;
    out[static_cast<std::size_t>(cuts[i].axis)] = count;
  }
  const TestTensor x = patterned(dtype, shape);
  expect_copy(d, {x},
              by_index(x, out,
                       [&](const Shape& index) {
                         Shape from = index;
                         for (const Cut& cut : cuts) {
                           auto& at = from[static_cast<std::size_t>(cut.axis)];
                           at = cut.start + at * cut.step;
                         }
                         return from;
                       }),
              params);
}

TEST(Copy, Slice) {
  for (const DType dtype : kEveryDType) expect_slice(dtype, {6, 7}, {{0, 1, 5, 2}, {1, 6, -1, -1}});
  expect_slice(DType::f32, {5}, {{0, 0, 5, 1}});
  expect_slice(DType::f32, {5}, {{0, 4, -1, -1}});
  expect_slice(DType::f32, {5}, {{0, 4, -1, -3}});
  expect_slice(DType::f32, {5}, {{0, 3, 3, 1}});
  expect_slice(DType::f32, {5}, {{0, 2, 4, 100}});
  expect_slice(DType::f32, {5, 0}, {{0, 1, 3, 1}});
  expect_slice(DType::u8, {20000}, {{0, 19999, -1, -1}});
  expect_slice(DType::f32, {3, 4, 5}, {{2, 3, 0, -2}, {0, 1, 3, 1}});
  std::mt19937 random(9);
  for (int round = 0; round < 60; ++round) {
    Shape shape(1 + random() % 4);
    std::vector<Cut> cuts;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      const auto dim = shape[axis] = 1 + static_cast<std::int64_t>(random() % 12);
      const std::int64_t step = static_cast<std::int64_t>(random() % 7) - 3;
      const std::int64_t a = static_cast<std::int64_t>(random() % static_cast<unsigned>(dim)),
                         b = static_cast<std::int64_t>(random() % static_cast<unsigned>(dim));
      if (step != 0) cuts.push_back({static_cast<std::int64_t>(axis), a, b, step});
    }
    expect_slice(DType::i32, shape, cuts);
  }
}

TEST(Copy, Concat) {
  struct Case {
    std::int64_t axis;
    std::vector<Shape> parts;
  };
  const std::vector<Case> cases = {{0, {{3, 4}, {2, 4}}},
                                   {1, {{3, 4}, {3, 1}, {3, 0}, {3, 9}}},
                                   {0, {{5}}},
                                   {0, {{0}, {0}}},
                                   {1, {{2, 3, 4}, {2, 5, 4}}},
                                   {2, {{2, 3, 1}, {2, 3, 2}}},
                                   {0, {{9000}, {1}, {5000}}},
                                   {1, {{1, 7000}, {1, 7001}}},
                                   {0, {{0, 3}, {2, 3}}},
                                   {1, {{0, 3}, {0, 2}}}};
  for (const Case& each : cases) {
    for (const DType dtype : kEveryDType) {
      const auto axis = static_cast<std::size_t>(each.axis);
      CopyDescriptor d = of_kind(CopyKind::concat);
      d.axis = each.axis;
      std::vector<TestTensor> parts;
      Shape shape = each.parts[0];
      shape[axis] = 0;
      for (const Shape& part : each.parts) {
        parts.push_back(patterned(dtype, part, static_cast<std::uint32_t>(parts.size() + 3)));
        shape[axis] += part[axis];
      }
      const std::size_t size = size_of(dtype);
      TestTensor expected{{dtype, shape}, std::vector<std::byte>(*byte_count(shape, dtype))};
      for_each_index(shape, [&](const Shape& index) {
        Shape from = index;
        std::size_t part = 0;
        while (from[axis] >= each.parts[part][axis]) from[axis] -= each.parts[part++][axis];
        std::memcpy(expected.bytes.data() + flat_index(shape, index) * size,
                    parts[part].bytes.data() + flat_index(each.parts[part], from) * size, size);
      });
      expect_copy(d, parts, expected);
    }
  }
}

void expect_pad(DType dtype, const Shape& shape, const std::vector<std::int64_t>& before, const Shape& out) {
  CopyDescriptor d = of_kind(CopyKind::pad);
  d.value = 1;
  const TestTensor x = patterned(dtype, shape);
  TestTensor expected{{dtype, out}, std::vector<std::byte>(*byte_count(out, dtype))};
  // One, as each dtype spells it.
  std::vector<std::byte> one(size_of(dtype));
  const auto spell = [&](auto value) { std::memcpy(one.data(), &value, sizeof value); };
  if (dtype == DType::f32)
    spell(1.0f);
  else if (dtype == DType::f64)
    spell(1.0);
  else if (dtype == DType::f16)
    spell(std::uint16_t{0x3C00});
  else if (dtype == DType::bf16)
    spell(std::uint16_t{0x3F80});
  else
    one[0] = std::byte{1};
  const std::size_t size = size_of(dtype);
  for_each_index(out, [&](const Shape& index) {
    Shape from = index;
    bool inside = true;
    for (std::size_t i = 0; i < from.size(); ++i) {
      from[i] -= before[i];
      inside = inside && from[i] >= 0 && from[i] < shape[i];
    }
    const std::byte* element = inside ? x.bytes.data() + flat_index(shape, from) * size : one.data();
    std::memcpy(expected.bytes.data() + flat_index(out, index) * size, element, size);
  });
  expect_copy(d, {x}, expected, before);
}

TEST(Copy, Pad) {
  for (const DType dtype : kEveryDType) expect_pad(dtype, {3, 4}, {1, 2}, {5, 7});
  expect_pad(DType::f32, {}, {}, {});
  expect_pad(DType::f32, {3}, {-1}, {2});
  expect_pad(DType::f32, {5, 5}, {-2, 1}, {2, 9});
  expect_pad(DType::f32, {0, 2}, {2, 0}, {3, 2});
  expect_pad(DType::f32, {3}, {-3}, {4});
  expect_pad(DType::u8, {9000}, {100}, {20000});
  expect_pad(DType::f32, {2}, {0}, {0});
}

// A copy that collapses into one long row is still shared by the threads.
TEST(Copy, OneLongRowIsSplit) {
  StridedCopy copy;
  copy.rank = 2;
  copy.dims = {1, 1 << 20};
  copy.src_stride = {1 << 20, 1};
  copy.dst_stride = {1 << 20, 1};
  collapse(copy);
  const StridedCopy::Work work = copy.work(4);
  for (const int threads : {2, 3, 7}) {
    for (int index = 0; index < threads; ++index) {
      const Range share = share_of(work.items, work.grain, {index, threads, 0});
      EXPECT_NEAR(static_cast<double>(share.size()), (1 << 20) / threads, 1025);
    }
  }
  // Small ones are left to one.
  copy.dims[0] = 100;
  const StridedCopy::Work small = copy.work(4);
  EXPECT_EQ(share_of(small.items, small.grain, {0, 7, 0}).size(), 100);
}

TEST(Copy, BindRefusesWhatDoesNotFit) {
  const auto f32 = [](const Shape& shape) { return Operand{DType::f32, shape}; };
  CopyDescriptor transpose = of_kind(CopyKind::transpose);
  transpose.perm = {1, 0};
  expect_bind_error(transpose, {f32({2, 3})}, {f32({2, 3})});
  expect_bind_error(transpose, {f32({2, 3, 1})}, {f32({3, 2, 1})});
  expect_bind_error(transpose, {f32({2, 3})}, {{DType::i32, {3, 2}}});
  expect_bind_error(transpose, {}, {f32({3, 2})});
  expect_bind_error(of_kind(CopyKind::expand), {f32({2})}, {f32({3})});
  expect_bind_error(of_kind(CopyKind::expand), {f32({2, 2})}, {f32({2})});
  CopyDescriptor slice = of_kind(CopyKind::slice);
  slice.axes = {0};
  slice.steps = {1};
  expect_bind_error(slice, {f32({5})}, {f32({2})}, {0});
  expect_bind_error(slice, {f32({5})}, {f32({2})}, {4, 6});
  expect_bind_error(slice, {f32({5})}, {f32({2})}, {-1, 1});
  expect_bind_error(slice, {f32({5})}, {f32({2})}, {0, 3});
  expect_bind_error(slice, {f32({5})}, {f32({2})}, {INT64_MIN, INT64_MAX});
  expect_bind_error(slice, {f32({5})}, {f32({2})}, {INT64_MAX - 1, INT64_MAX});
  slice.steps = {-1};
  expect_bind_error(slice, {f32({5})}, {f32({2})}, {INT64_MAX, INT64_MIN});
  CopyDescriptor concat = of_kind(CopyKind::concat);
  expect_bind_error(concat, {f32({2}), f32({3})}, {f32({6})});
  expect_bind_error(concat, {f32({2, 1}), f32({3, 2})}, {f32({5, 1})});
  expect_bind_error(concat, {f32({}), f32({})}, {f32({})});
  expect_bind_error(concat, {f32({2}), {DType::i32, {3}}}, {f32({5})});
  CopyDescriptor pad = of_kind(CopyKind::pad);
  expect_bind_error(pad, {f32({2})}, {f32({4})});
  expect_bind_error(pad, {f32({2})}, {f32({4})}, {INT64_MIN});
  expect_bind_error(pad, {f32({2})}, {f32({4})}, {INT64_MAX});
}

// Empty tensors with huge dims: legal, nothing to do, nothing to overflow.
TEST(Copy, EmptyWithHugeDims) {
  const std::int64_t huge = std::int64_t{1} << 62;
  CopyDescriptor d = of_kind(CopyKind::transpose);
  d.perm = {2, 0, 1};
  run_everywhere(d, {TestTensor{{DType::f64, {0, huge, huge}}, {}}}, {{DType::f64, {huge, 0, huge}}});
  d = of_kind(CopyKind::concat);
  d.axis = 1;
  run_everywhere(d, {TestTensor{{DType::f64, {0, huge, huge}}, {}}}, {{DType::f64, {0, huge, huge}}});
}

TEST(Copy, Descriptors) {
  CopyDescriptor d;
  d.kind = CopyKind::slice;
  d.perm = {1, 0};
  d.axes = {3, 1};
  d.steps = {2, -1};
  d.axis = 4;
  d.value = -1.5;
  expect_round_trip(d);
  expect_unknown_kinds_rejected(d, kCopyKinds);
  const auto illegal = [](auto change) {
    CopyDescriptor bad;
    change(bad);
    EXPECT_FALSE(bad.validate().has_value()) << to_string(bad);
  };
  illegal([](auto& bad) { bad.axis = -1; });
  illegal([](auto& bad) { bad.axis = kMaxRank; });
  illegal([](auto& bad) { bad.perm = {0, 2}; });
  illegal([](auto& bad) { bad.perm = {0, 0}; });
  illegal([](auto& bad) { bad.axes = {0}; });
  illegal([](auto& bad) { bad.axes = {0}, bad.steps = {0}; });
  illegal([](auto& bad) { bad.axes = {kMaxRank}, bad.steps = {1}; });
  illegal([](auto& bad) { bad.axes = {0}, bad.steps = {INT64_MIN}; });
}

}  // namespace
}  // namespace intaglio::ops
