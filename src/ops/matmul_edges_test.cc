// matmul at its edges: operands that are aligned to their elements only, real threads, and where the ways of computing
// a product meet.
#include <gtest/gtest.h>

#include "base/half.h"
#include "ops/linear_loops.h"
#include "ops/linear_test_util.h"
#include "ops/matmul.h"

namespace intaglio::ops {
namespace {

Result<std::unique_ptr<PreparedOp>> make(const MatmulDescriptor& d, const Target& target) {
  return find_candidate("intaglio.matmul", own_candidates())->prepare(d, {}, target);
}

struct Way {
  DType a, b, output;
};
constexpr Way kWays[] = {{DType::f32, DType::f32, DType::f32},
                         {DType::bf16, DType::bf16, DType::bf16},
                         {DType::f16, DType::f16, DType::f16},
                         {DType::u8, DType::i8, DType::i32},
                         {DType::i8, DType::u8, DType::i32}};

TestTensor operand(DType type, Shape shape, TestRandom& random) {
  const auto count = static_cast<std::size_t>(*element_count(shape));
  const std::vector<float> floats = random.floats(count);
  if (type == DType::f32) return TestTensor::of(std::move(shape), floats);
  if (type == DType::f16 || type == DType::bf16) {
    std::vector<std::uint16_t> bits;
    for (const float x : floats) bits.push_back(type == DType::f16 ? to_float16(x).bits : to_bfloat16(x).bits);
    TestTensor out = TestTensor::of(std::move(shape), bits);
    out.type.dtype = type;
    return out;
  }
  TestTensor out = TestTensor::of(std::move(shape), random.integers<std::uint8_t>(count));
  out.type.dtype = type;
  return out;
}

// One element past an aligned address, surrounded by bytes that must stay as they are.
class Shifted {
 public:
  explicit Shifted(const TestTensor& tensor)
      : shift_(size_of(tensor.type.dtype)), size_(tensor.bytes.size()), buffer_(*Buffer::allocate(size_ + 128)) {
    std::memset(buffer_.data(), 0xA5, buffer_.size());
    if (size_ != 0) std::memcpy(data(), tensor.bytes.data(), size_);
  }
  std::byte* data() { return buffer_.data() + shift_; }
  bool surroundings_intact() const {
    for (std::size_t i = 0; i < buffer_.size(); ++i) {
      if ((i < shift_ || i >= shift_ + size_) && buffer_.data()[i] != std::byte{0xA5}) return false;
    }
    return true;
  }

 private:
  std::size_t shift_, size_;
  Buffer buffer_;
};

TEST(MatmulEdges, OperandsNeedTheAlignmentOfTheirElementsOnly) {
  TestRandom random(5);
  for (const Target& target : test_targets()) {
    for (const Way& way : kWays) {
      for (const std::int64_t m : {1, 3, 17}) {
        for (int transposes = 0; transposes < 4; ++transposes) {
          MatmulDescriptor d;
          d.a = way.a;
          d.b = way.b;
          d.output = way.output;
          d.transpose_a = transposes % 2 == 1;
          d.transpose_b = transposes > 1;
          constexpr std::int64_t kN = 37, kK = 29;
          const TestTensor a = operand(d.a, d.transpose_a ? Shape{kK, m} : Shape{m, kK}, random);
          const TestTensor b = operand(d.b, d.transpose_b ? Shape{kN, kK} : Shape{kK, kN}, random);
          const auto op = make(d, target);
          ASSERT_TRUE(op) << op.error().to_string();
          const auto expected = run_op(**op, {a, b}, {{d.output, {m, kN}}});
          ASSERT_TRUE(expected) << expected.error().to_string();
          const Operand types[] = {a.type, b.type};
          BindRequest request;
          request.inputs = types;
          request.outputs = std::span(&(*expected)[0].type, 1);
          const auto binding = (*op)->bind(request);
          ASSERT_TRUE(binding);
          Shifted left(a), right(b), out(TestTensor{(*expected)[0].type, (*expected)[0].bytes});
          std::memset(out.data(), 0, (*expected)[0].bytes.size());
          const Buffer own = *Buffer::allocate((*binding)->thread_scratch_bytes + 64),
                       shared = *Buffer::allocate((*binding)->shared_scratch_bytes + 64);
          const void* in[] = {left.data(), right.data()};
          void* to[] = {out.data()};
          for (int phase = 0; phase < (*binding)->phases; ++phase) {
            (*op)->run(**binding, {in, to, own.data(), shared.data()}, Worker{0, 1, phase});
          }
          ASSERT_EQ(std::memcmp(out.data(), (*expected)[0].bytes.data(), (*expected)[0].bytes.size()), 0)
              << (*op)->facts().kernel << " m " << m << " transposes " << transposes;
          ASSERT_TRUE(out.surroundings_intact());
        }
      }
    }
  }
}

// A batch of columns, transposed, is the batch of rows that the same bytes make.
TEST(MatmulEdges, TransposedColumnsAreRows) {
  TestRandom random(29);
  constexpr std::int64_t kK = 64;
  for (const Way& way : kWays) {
    for (const std::int64_t batch : {3, 20}) {
      for (const std::int64_t n : {1, 32}) {
        MatmulDescriptor d;
        d.a = way.a;
        d.b = way.b;
        d.output = way.output;
        const TestTensor rows = operand(d.a, {batch, 1, kK}, random), b = operand(d.b, {kK, n}, random);
        TestTensor columns = rows;
        columns.type.shape = {batch, kK, 1};
        for (const Target& target : test_targets()) {
          const std::vector<Operand> out{{d.output, {batch, 1, n}}};
          d.transpose_a = false;
          const auto plain = run_op(**make(d, target), {rows, b}, out);
          d.transpose_a = true;
          const auto transposed = run_op(**make(d, target), {columns, b}, out, 2);
          ASSERT_TRUE(plain && transposed);
          ASSERT_EQ((*transposed)[0].bytes, (*plain)[0].bytes) << to_string(d) << " batch " << batch << " n " << n;
        }
      }
    }
  }
}

TEST(MatmulEdges, RealThreadsGiveTheSameBits) {
  TestRandom random(6);
  const Target target = test_targets().back();
  for (const Way& way : kWays) {
    for (const std::int64_t m : {1, 5, 33}) {
      for (const bool transposed : {false, true}) {
        MatmulDescriptor d;
        d.a = way.a;
        d.b = way.b;
        d.output = way.output;
        d.transpose_a = d.transpose_b = transposed;
        const TestTensor a = operand(d.a, transposed ? Shape{3, 70, m} : Shape{3, m, 70}, random);
        const TestTensor b = operand(d.b, transposed ? Shape{3, 301, 70} : Shape{3, 70, 301}, random);
        const auto op = make(d, target);
        ASSERT_TRUE(op);
        const auto one = run_op(**op, {a, b}, {{d.output, {3, m, 301}}});
        ASSERT_TRUE(one);
        for (const int threads : {2, 4, 7}) {
          const auto many = run_op(**op, {a, b}, {{d.output, {3, m, 301}}}, threads, true);
          ASSERT_TRUE(many);
          ASSERT_EQ((*one)[0].bytes, (*many)[0].bytes) << (*op)->facts().kernel << " m " << m << " by " << threads;
        }
      }
    }
  }
}

// Few rows are multiplied in place, more are packed: with b [K][N] in the same order of sums, so that a row's bits do
// not depend on how many others there are.
TEST(MatmulEdges, RowsInPlaceHaveTheBitsOfPackedOnes) {
  TestRandom random(7);
  constexpr std::int64_t kM = 40, kN = 150, kK = 700;
  const TestTensor a = operand(DType::f32, {kM, kK}, random), b = operand(DType::f32, {kK, kN}, random);
  const std::vector<float> rows = a.values<float>();
  for (const Target& target : test_targets()) {
    const auto op = make(MatmulDescriptor{}, target);
    ASSERT_TRUE(op);
    const auto packed = run_op(**op, {a, b}, {{DType::f32, {kM, kN}}});
    ASSERT_TRUE(packed);
    const std::vector<float> all = (*packed)[0].values<float>();
    for (const std::int64_t m : {1, 2, 3, 4, 7, 16}) {
      const TestTensor first = TestTensor::of(Shape{m, kK}, std::vector<float>(rows.begin(), rows.begin() + m * kK));
      const auto few = run_op(**op, {first, b}, {{DType::f32, {m, kN}}});
      ASSERT_TRUE(few);
      ASSERT_EQ((*few)[0].values<float>(), std::vector<float>(all.begin(), all.begin() + m * kN))
          << (*op)->facts().isa << " m " << m;
    }
  }
}

TEST(MatmulEdges, WhatIsPackedIsAFunctionOfTheShape) {
  const auto op = make(MatmulDescriptor{}, test_targets().back());
  ASSERT_TRUE(op);
  const auto scratch = [&](Shape a, Shape b, Shape y, int threads) {
    const Operand in[] = {{DType::f32, std::move(a)}, {DType::f32, std::move(b)}}, out[] = {{DType::f32, std::move(y)}};
    BindRequest request;
    request.inputs = in;
    request.outputs = out;
    request.threads = threads;
    const auto binding = (*op)->bind(request);
    EXPECT_TRUE(binding);
    return binding ? (*binding)->shared_scratch_bytes : 0;
  };
  for (const int threads : {1, 8}) {
    EXPECT_EQ(scratch({4, 70}, {70, 301}, {4, 301}, threads), 0u);
    EXPECT_EQ(scratch({900, 70}, {70, 1}, {900, 1}, threads), 0u);
    EXPECT_EQ(scratch({16, 70}, {70, 1000}, {16, 1000}, threads), 0u);
    EXPECT_NE(scratch({16, 70}, {70, 1024}, {16, 1024}, threads), 0u);  // rows of b in the same sets of L1
    EXPECT_EQ(scratch({900, 70}, {70, 301}, {900, 301}, threads), 70u * 304u * sizeof(float));
  }
}

TEST(MatmulEdges, HalvesGoToTheCoresOwnInstructions) {
  using kernels::gemm::Types;
  const auto with = [](Isa isa) { return closure_of(isa); };
  EXPECT_EQ(float_types(DType::bf16, DType::bf16, with(Isa::avx512_bf16)), Types::bf16);
  EXPECT_EQ(float_types(DType::bf16, DType::bf16, with(Isa::avx2)), Types::f32bf16);
  EXPECT_EQ(float_types(DType::f32, DType::bf16, with(Isa::avx512_bf16)), Types::f32bf16);
  EXPECT_EQ(float_types(DType::f16, DType::f16, with(Isa::avx512_fp16)), Types::f16);
  EXPECT_EQ(float_types(DType::f16, DType::f16, with(Isa::avx512_bf16)), Types::f32f16);
  EXPECT_EQ(float_types(DType::bf16, DType::f16, with(Isa::avx512_fp16)), Types::f32f16);
  EXPECT_EQ(float_types(DType::f32, DType::f32, with(Isa::scalar)), Types::f32);
}

}  // namespace
}  // namespace intaglio::ops
