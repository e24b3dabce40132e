// Symbolic shape arithmetic and constants shared by the front ends.
#include "frontend/builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace intaglio::frontend {
namespace {

using ::testing::ElementsAre;

const Dim kSeq = Dim::symbol("seq"), kBatch = Dim::symbol("batch");
const SymbolRanges kShort{{"seq", {1, 512}}, {"batch", {0, 64}}};
const SymbolRanges kOpen{{"seq", {0, INT64_MAX}}, {"batch", {0, INT64_MAX}}};

TEST(DimReasoning, MinAndMaxVanishWhereRangesDecide) {
  EXPECT_EQ(smallest(kSeq, 512, kShort), kSeq);
  EXPECT_EQ(smallest(kSeq, 512, kOpen), Dim::min(kSeq, 512));
  EXPECT_EQ(largest(kSeq, 0, kOpen), kSeq);
  EXPECT_TRUE(provably_less(0, kSeq, kShort));
  EXPECT_FALSE(provably_less(0, kSeq, kOpen));
}

SliceBounds slice(SliceSpec spec, const Dim& size, const SymbolRanges& ranges = kShort) {
  auto bounds = normalise_slice(spec, size, ranges);
  EXPECT_TRUE(bounds) << bounds.error().to_string();
  return bounds ? *bounds : SliceBounds{-77, -77};
}

TEST(NormaliseSlice, GivesPlainBoundsForATableCutToTheSequence) {
  const SliceBounds bounds = slice({1, Dim(0), kSeq, 1}, 512);
  EXPECT_EQ(bounds.start, Dim(0));
  EXPECT_EQ(bounds.end, kSeq);
}

TEST(NormaliseSlice, AgreesWithPythonOnConstants) {
  // Every start, end and step in reach of a list of 4, against Python's rule for range(len)[start:end:step].
  for (std::int64_t step : {-3, -2, -1, 1, 2, 3}) {
    for (std::int64_t start = -6; start <= 6; ++start) {
      for (std::int64_t end = -6; end <= 6; ++end) {
        const SliceBounds bounds = slice({0, Dim(start), Dim(end), step}, 4);
        std::vector<std::int64_t> got, want;
        for (std::int64_t i = *bounds.start.constant();
             step > 0 ? i < *bounds.end.constant() : i > *bounds.end.constant(); i += step)
          got.push_back(i);
        const auto python = [&](std::int64_t at) {
          if (at < 0) at += 4;
          if (at < 0) return step < 0 ? std::int64_t{-1} : std::int64_t{0};
          return at >= 4 ? (step < 0 ? std::int64_t{3} : std::int64_t{4}) : at;
        };
        for (std::int64_t i = python(start); step > 0 ? i < python(end) : i > python(end); i += step) want.push_back(i);
        EXPECT_EQ(got, want) << start << ":" << end << ":" << step;
      }
    }
  }
}

TEST(NormaliseSlice, TakesExportersWordsForTheEnd) {
  for (const std::int64_t far :
       {std::numeric_limits<std::int64_t>::max(), std::int64_t{std::numeric_limits<std::int32_t>::max()}}) {
    EXPECT_EQ(slice({0, Dim(1), Dim(far), 1}, kSeq, kOpen).end, kSeq);
  }
  const SliceBounds all_reversed = slice({0, Dim(-1), Dim(std::numeric_limits<std::int64_t>::min()), -1}, kSeq);
  EXPECT_EQ(all_reversed.start, kSeq - 1);
  EXPECT_EQ(all_reversed.end, Dim(-1));
}

TEST(NormaliseSlice, CountsFromASymbolicEnd) {
  const SliceBounds last = slice({0, Dim(-1), std::nullopt, 1}, kSeq);
  EXPECT_EQ(last.start, kSeq - 1);
  EXPECT_EQ(last.end, kSeq);
}

TEST(NormaliseSlice, RefusesWhatItCannotDecide) {
  EXPECT_FALSE(normalise_slice({0, Dim(0), kSeq, 0}, 512, kShort));
  const auto sign = normalise_slice({0, kSeq - 8, std::nullopt, 1}, 512, kShort);
  ASSERT_FALSE(sign);
  EXPECT_EQ(sign.error().code, ErrorCode::unsupported);
}

TEST(ResolveReshape, CopiesZerosAndFindsTheUnknown) {
  const Dims from{kBatch, kSeq, 768};
  EXPECT_EQ(*resolve_reshape(from, Dims{0, 0, 12, 64}, true), (Dims{kBatch, kSeq, 12, 64}));
  EXPECT_EQ(*resolve_reshape(from, Dims{kBatch, -1, 12, 64}, true), (Dims{kBatch, kSeq, 12, 64}));
  EXPECT_EQ(*resolve_reshape(from, Dims{-1, 768}, true), (Dims{kBatch * kSeq, 768}));
  EXPECT_EQ(*resolve_reshape(from, Dims{kBatch, kSeq, -1}, true), (Dims{kBatch, kSeq, 768}));
  EXPECT_EQ(*resolve_reshape(Dims{Dim(0), Dim(3)}, Dims{Dim(3), Dim(0)}, false), (Dims{3, 0}));
}

TEST(ResolveReshape, RefusesNonsense) {
  const Dims from{2, 3};
  EXPECT_FALSE(resolve_reshape(from, Dims{-1, -1}, true));
  EXPECT_FALSE(resolve_reshape(from, Dims{-2, 3}, true));
  EXPECT_FALSE(resolve_reshape(from, Dims{-1, 4}, true));
  EXPECT_FALSE(resolve_reshape(from, Dims{2, 3, 0}, true));
  EXPECT_FALSE(resolve_reshape(from, Dims{-1, 0}, false));
}

TEST(NormaliseAxes, WrapsSortsAndRefuses) {
  EXPECT_EQ(*normalise_axis(-1, 3), 2);
  EXPECT_FALSE(normalise_axis(3, 3));
  EXPECT_FALSE(normalise_axis(0, 0));
  EXPECT_THAT(*normalise_axes(std::vector<std::int64_t>{-1, 0}, 3), ElementsAre(0, 2));
  EXPECT_FALSE(normalise_axes(std::vector<std::int64_t>{2, -1}, 3));
}

TEST(MakeTensor, SaturatesAndKeeps64Bits) {
  const double values[] = {-3.0, 300.0, std::numeric_limits<double>::quiet_NaN()};
  const auto bytes = make_tensor(DType::u8, {3}, values);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->as_int(0), 0);
  EXPECT_EQ(bytes->as_int(1), 255);
  EXPECT_EQ(bytes->as_int(2), 0);
  const std::int64_t large = (std::int64_t{1} << 60) + 1;
  EXPECT_EQ(make_int_tensor(DType::i64, {}, {&large, 1})->as_int(0), large);
  EXPECT_EQ(make_tensor(DType::f16, {}, std::vector<double>{0.5})->as_double(0), 0.5);
}

TEST(Promote, FollowsTheUsualRules) {
  EXPECT_EQ(promote(DType::f16, DType::i64), DType::f16);
  EXPECT_EQ(promote(DType::f16, DType::bf16), DType::f32);
  EXPECT_EQ(promote(DType::u8, DType::i8), DType::i16);
  EXPECT_EQ(promote(DType::boolean, DType::u8), DType::u8);
  EXPECT_EQ(promote(DType::i32, DType::f64), DType::f64);
}

TEST(Builder, AddsNothingWhereNothingChanges) {
  ir::Graph graph;
  graph.symbols = kShort;
  Builder b(graph);
  ir::Value* x = graph.add_input("x", {DType::f32, {kBatch, kSeq, 64}});
  EXPECT_EQ(*b.reshape(x, {kBatch, kSeq, 64}), x);
  EXPECT_EQ(*b.transpose(x, {0, 1, 2}), x);
  EXPECT_EQ(*b.cast(x, DType::f32), x);
  EXPECT_EQ(*b.slice(x, SliceSpec{1, Dim(0), kSeq, 1}), x);
  EXPECT_EQ(*b.expand(x, {kBatch, kSeq, 64}), x);
  EXPECT_TRUE(graph.nodes().empty());
  EXPECT_EQ((*b.select(x, 1, 0))->shape(), (Dims{kBatch, 64}));
  EXPECT_EQ((*b.flatten(x, 0, 1))->shape(), (Dims{kBatch * kSeq, 64}));
  EXPECT_EQ((*b.swap_axes(x, -1, 0))->shape(), (Dims{64, kSeq, kBatch}));
}

TEST(Builder, HandsTheFirstErrorOn) {
  ir::Graph graph;
  Builder b(graph);
  b.set_origin({"here", {}});
  ir::Value* x = graph.add_input("x", {DType::f32, {2}});
  ir::Value* y = graph.add_input("y", {DType::f32, {3}});
  const MaybeValue sum = b.mul(b.add(x, y), x);
  ASSERT_FALSE(sum);
  EXPECT_THAT(sum.error().to_string(), ::testing::HasSubstr("here"));
}

TEST(Builder, TurnsDimsIntoData) {
  ir::Graph graph;
  graph.symbols = kShort;
  Builder b(graph);
  EXPECT_TRUE((*b.dims_tensor(Dims{2, 3}))->is_constant());
  ir::Value* symbolic = *b.dims_tensor(Dims{kBatch, 3}, DType::i32);
  EXPECT_EQ(symbolic->dtype(), DType::i32);
  EXPECT_EQ(symbolic->shape(), Dims{2});
  EXPECT_EQ((*b.dim_scalar(kSeq))->rank(), 0);
}

}  // namespace
}  // namespace intaglio::frontend
