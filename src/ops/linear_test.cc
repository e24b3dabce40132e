#include "ops/linear.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/linear_loops.h"
#include "ops/linear_test_util.h"

namespace intaglio::ops {
namespace {

const Candidate& candidate() {
  return *find_candidate("intaglio.linear", own_candidates());
}

Result<std::unique_ptr<PreparedOp>> make(const LinearDescriptor& d, const std::vector<TestTensor>& constants,
                                         const Target& target) {
  std::vector<Constant> views;
  for (const TestTensor& t : constants)
    views.push_back(t.bytes.empty() && t.type.shape.empty() ? Constant{} : t.constant());
  INTAGLIO_TRY(auto blobs, candidate().pack(d, views, target));
  return candidate().prepare(d, std::move(blobs), target);
}

double activate(Activation a, double x) {
  switch (a) {
    case Activation::none:
      return x;
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::gelu_erf:
      return 0.5 * x * std::erfc(-x * M_SQRT1_2);
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::tanh:
      return std::tanh(x);
    case Activation::hard_swish:
      return x * std::min(1.0, std::max(0.0, x / 6 + 0.5));
  }
  return x;
}

// f32 against float64, with every part of the epilogue, on every level; one and three threads give the same bits.
TEST(Linear, F32EqualsDoubleReference) {
  TestRandom random(1);
  int choice = 0;
  for (const Target& target : test_targets()) {
    for (int round = 0; round < 24; ++round, ++choice) {
      LinearDescriptor d;
      const std::size_t m = random.size(1, 40), n = random.size(1, 200), k = random.size(1, 300);
      d.k = static_cast<std::int64_t>(k);
      d.n = static_cast<std::int64_t>(n);
      d.weight_nk = choice % 2 == 0;
      d.bias = choice % 3 != 0;
      d.activation = static_cast<Activation>(choice % kActivationCount);
      d.residual = choice % 4 == 1;
      d.clamp = choice % 5 == 2;
      d.clamp_low = -0.5;
      d.clamp_high = 2;
      d.alpha = choice % 6 == 3 ? 0.5 : 1.0;
      const auto x = random.floats(m * k), w = random.floats(k * n), bias = random.floats(n),
                 residual = random.floats(m * n);
      const auto op = make(d,
                           {TestTensor::of(d.weight_nk ? Shape{d.n, d.k} : Shape{d.k, d.n}, w),
                            {},
                            {},
                            d.bias ? TestTensor::of(Shape{d.n}, bias) : TestTensor{}},
                           target);
      ASSERT_TRUE(op) << op.error().to_string();
      const Shape batch = m % 2 == 0 ? Shape{2, static_cast<std::int64_t>(m / 2)} : Shape{static_cast<std::int64_t>(m)};
      Shape x_shape = batch, y_shape = batch;
      x_shape.push_back(d.k);
      y_shape.push_back(d.n);
      std::vector<TestTensor> inputs{TestTensor::of(x_shape, x)};
      if (d.residual) inputs.push_back(TestTensor::of(y_shape, residual));
      const auto y = run_op(**op, inputs, {{DType::f32, y_shape}});
      ASSERT_TRUE(y) << y.error().to_string();
      const auto shared = run_op(**op, inputs, {{DType::f32, y_shape}}, 3);
      ASSERT_TRUE(shared);
      ASSERT_EQ((*y)[0].bytes, (*shared)[0].bytes) << "threads change the bits";
      const auto got = (*y)[0].values<float>();
      constexpr double kEps = std::numeric_limits<float>::epsilon();
      for (std::size_t i = 0; i < m; ++i) {
        for (std::size_t j = 0; j < n; ++j) {
          double sum = 0, magnitude = 0;
          for (std::size_t l = 0; l < k; ++l) {
            const double product = static_cast<double>(x[i * k + l]) * (d.weight_nk ? w[j * k + l] : w[l * n + j]);
            sum += product;
            magnitude += std::abs(product);
          }
          double v = sum * d.alpha + (d.bias ? bias[j] : 0);
          double error = 2 * static_cast<double>(k) * kEps * magnitude + 2 * kEps * (std::abs(v) + 1);
          if (d.activation > Activation::relu) error = 1.2 * error + 4e-7 * std::max(1.0, std::abs(v));
          v = activate(d.activation, v) + (d.residual ? residual[i * n + j] : 0);
          error += kEps * std::abs(v);
          if (d.clamp) v = std::clamp(v, -0.5, 2.0);
          ASSERT_NEAR(got[i * n + j], v, error)
              << (*op)->facts().kernel << " choice " << choice << " at " << i << "," << j;
        }
      }
    }
  }
}

// K in several ranges (partial sums in scratch), and the output over the residual.
TEST(Linear, LongKWithResidualInPlace) {
  TestRandom random(2);
  constexpr std::size_t kM = 37, kN = 70, kK = 2500;
  const auto x = random.floats(kM * kK), w = random.floats(kK * kN), residual = random.floats(kM * kN);
  for (const Target& target : test_targets()) {
    LinearDescriptor d;
    d.k = kK;
    d.n = kN;
    d.residual = true;
    const auto op = make(d, {TestTensor::of(Shape{kN, kK}, w)}, target);
    ASSERT_TRUE(op);
    const std::vector<TestTensor> inputs{TestTensor::of(Shape{kM, kK}, x), TestTensor::of(Shape{kM, kN}, residual)};
    const auto apart = run_op(**op, inputs, {{DType::f32, {kM, kN}}});
    ASSERT_TRUE(apart);
    ASSERT_TRUE((*op)->may_run_in_place(1));
    ASSERT_FALSE((*op)->may_run_in_place(0));

    std::vector<Operand> types{inputs[0].type, inputs[1].type}, outputs{{DType::f32, {kM, kN}}};
    BindRequest request;
    request.inputs = types;
    request.outputs = outputs;
    const auto binding = (*op)->bind(request);
    ASSERT_TRUE(binding);
    EXPECT_GT((*binding)->thread_scratch_bytes, 0u);  // else there was one range only
    std::vector<std::byte> in_place = inputs[1].bytes;
    const auto scratch = Buffer::allocate((*binding)->thread_scratch_bytes + 1);
    const void* in[] = {inputs[0].bytes.data(), in_place.data()};
    void* out[] = {in_place.data()};
    (*op)->run(**binding, RunArgs{in, out, scratch->data(), nullptr}, Worker{});
    EXPECT_EQ(in_place, (*apart)[0].bytes);
    const auto got = (*apart)[0].values<float>();
    for (std::size_t i = 0; i < kM; ++i) {
      for (std::size_t j = 0; j < kN; ++j) {
        double sum = residual[i * kN + j], magnitude = 0;
        for (std::size_t l = 0; l < kK; ++l) {
          sum += static_cast<double>(x[i * kK + l]) * w[j * kK + l];
          magnitude += std::abs(static_cast<double>(x[i * kK + l]) * w[j * kK + l]);
        }
        ASSERT_NEAR(got[i * kN + j], sum, 2 * kK * std::numeric_limits<float>::epsilon() * magnitude);
      }
    }
  }
}

// All signs, zero points of 1 or N elements, per-tensor and per-row input zero points: exact i32, and the f32 chain
// of ONNX (Cast, Mul(x_scale * w_scale), Add) bit for bit.
template <class X, class W>
void check_integers(std::uint32_t seed) {
  TestRandom random(seed);
  for (const Target& target : test_targets()) {
    for (int choice = 0; choice < 16; ++choice) {
      const std::size_t m = random.size(1, 30), n = random.size(1, 140), k = random.size(1, 200);
      LinearDescriptor d;
      d.k = static_cast<std::int64_t>(k);
      d.n = static_cast<std::int64_t>(n);
      d.input = kDTypeOf<X>;
      d.weight = kDTypeOf<W>;
      d.weight_nk = choice % 3 == 0;
      const bool raw = choice % 2 == 0;
      d.output = raw ? DType::i32 : DType::f32;
      d.input_zero = choice % 4 != 0;
      d.weight_zero = choice % 8 > 3;
      d.input_scale = d.weight_scale = d.bias = !raw;
      const std::size_t zeros = choice % 4 == 2 ? m : 1, weight_zeros = choice % 3 == 1 ? n : 1,
                        scales = choice % 4 == 3 ? m : 1;
      const auto x = random.integers<X>(m * k);
      const auto x_zero = random.integers<X>(zeros);
      const auto w = random.integers<W>(k * n), w_zero = random.integers<W>(weight_zeros);
      const auto x_scale = random.floats(scales, 0.001f, 0.1f), w_scale = random.floats(weight_zeros, 0.001f, 0.1f);
      const auto bias = random.floats(n);
      const auto count = [](std::size_t c) { return c == 1 ? Shape{} : Shape{static_cast<std::int64_t>(c)}; };
      const auto op = make(d,
                           {TestTensor::of(d.weight_nk ? Shape{d.n, d.k} : Shape{d.k, d.n}, w),
                            d.weight_zero ? TestTensor::of(count(weight_zeros), w_zero) : TestTensor{},
                            raw ? TestTensor{} : TestTensor::of(count(weight_zeros), w_scale),
                            raw ? TestTensor{} : TestTensor::of(Shape{d.n}, bias)},
                           target);
      ASSERT_TRUE(op) << op.error().to_string();
      const auto rows = static_cast<std::int64_t>(m);
      std::vector<TestTensor> inputs{TestTensor::of(Shape{rows, d.k}, x)};
      if (d.input_zero) inputs.push_back(TestTensor::of(zeros == 1 ? Shape{} : Shape{rows, 1}, x_zero));
      if (d.input_scale) inputs.push_back(TestTensor::of(scales == 1 ? Shape{} : Shape{rows, 1}, x_scale));
      const auto y = run_op(**op, inputs, {{d.output, {rows, d.n}}});
      ASSERT_TRUE(y) << y.error().to_string();
      const auto shared = run_op(**op, inputs, {{d.output, {rows, d.n}}}, 2, true);
      ASSERT_TRUE(shared);
      ASSERT_EQ((*y)[0].bytes, (*shared)[0].bytes);
      const auto integers = (*y)[0].template values<std::int32_t>();
      const auto floats = (*y)[0].template values<float>();
      for (std::size_t i = 0; i < m; ++i) {
        for (std::size_t j = 0; j < n; ++j) {
          const int xz = d.input_zero ? x_zero[zeros == 1 ? 0 : i] : 0;
          const int wz = d.weight_zero ? w_zero[weight_zeros == 1 ? 0 : j] : 0;
          std::int32_t sum = 0;
          for (std::size_t l = 0; l < k; ++l)
            sum += (x[i * k + l] - xz) * ((d.weight_nk ? w[j * k + l] : w[l * n + j]) - wz);
          if (raw) {
            ASSERT_EQ(integers[i * n + j], sum)
                << (*op)->facts().kernel << " choice " << choice << " at " << i << "," << j;
            continue;
          }
          volatile float scale = x_scale[scales == 1 ? 0 : i] * w_scale[weight_zeros == 1 ? 0 : j];
          volatile float v = static_cast<float>(sum) * scale;
          ASSERT_EQ(floats[i * n + j], v + bias[j]) << (*op)->facts().kernel << " choice " << choice;
        }
      }
    }
  }
}
TEST(Linear, U8TimesI8IsExact) {
  check_integers<std::uint8_t, std::int8_t>(3);
}
TEST(Linear, U8TimesU8IsExact) {
  check_integers<std::uint8_t, std::uint8_t>(4);
}
TEST(Linear, I8TimesI8IsExact) {
  check_integers<std::int8_t, std::int8_t>(5);
}
TEST(Linear, I8TimesU8IsExact) {
  check_integers<std::int8_t, std::uint8_t>(6);
}

TEST(Linear, ZeroLengthDims) {
  for (const Target& target : test_targets()) {
    LinearDescriptor d;
    d.n = 3;
    d.bias = true;
    const auto empty_k = make(d,
                              {TestTensor::of(Shape{3, 0}, std::vector<float>{}),
                               {},
                               {},
                               TestTensor::of(Shape{3}, std::vector<float>{1, 2, 3})},
                              target);
    ASSERT_TRUE(empty_k) << empty_k.error().to_string();
    const auto y = run_op(**empty_k, {TestTensor::of(Shape{2, 0}, std::vector<float>{})}, {{DType::f32, {2, 3}}});
    ASSERT_TRUE(y);
    EXPECT_THAT((*y)[0].values<float>(), testing::ElementsAre(1, 2, 3, 1, 2, 3));
    d.k = 2;
    const auto op = make(d,
                         {TestTensor::of(Shape{3, 2}, std::vector<float>(6)),
                          {},
                          {},
                          TestTensor::of(Shape{3}, std::vector<float>{1, 2, 3})},
                         target);
    ASSERT_TRUE(op);
    const auto none =
        run_op(**op, {TestTensor::of(Shape{0, 5, 2}, std::vector<float>{})}, {{DType::f32, {0, 5, 3}}}, 2);
    EXPECT_TRUE(none) << none.error().to_string();
    d.n = 0;
    d.bias = false;
    const auto empty_n = make(d, {TestTensor::of(Shape{0, 2}, std::vector<float>{})}, target);
    ASSERT_TRUE(empty_n);
    EXPECT_TRUE(run_op(**empty_n, {TestTensor::of(Shape{4, 2}, std::vector<float>(8))}, {{DType::f32, {4, 0}}}));
  }
}

TEST(Linear, MisalignedConstantsAreRead) {
  TestRandom random(7);
  const auto w = random.floats(6);
  std::vector<std::byte> odd(sizeof(float) * 6 + 1);
  std::memcpy(odd.data() + 1, w.data(), sizeof(float) * 6);
  LinearDescriptor d;
  d.k = 2;
  d.n = 3;
  const Target target = test_targets().front();
  const Constant constant{DType::f32, {3, 2}, odd.data() + 1, sizeof(float) * 6};
  auto blobs = candidate().pack(d, std::span(&constant, 1), target);
  ASSERT_TRUE(blobs);
  const auto op = candidate().prepare(d, std::move(*blobs), target);
  ASSERT_TRUE(op);
  const auto y = run_op(**op, {TestTensor::of(Shape{2}, std::vector<float>{1, 0})}, {{DType::f32, {3}}});
  ASSERT_TRUE(y);
  EXPECT_THAT((*y)[0].values<float>(), testing::ElementsAre(w[0], w[2], w[4]));
}

TEST(Linear, PacksOncePerWeightAndNeverWhenLoaded) {
  LinearDescriptor d;
  d.k = 5;
  d.n = 20;
  const Target target = test_targets().front();
  const PackCounters before = pack_counters();
  const auto w = TestTensor::of(Shape{20, 5}, std::vector<float>(100, 1.0f));
  const Constant constant = w.constant();
  const auto blobs = candidate().pack(d, std::span(&constant, 1), target);
  ASSERT_TRUE(blobs);
  EXPECT_EQ(pack_counters().packs, before.packs + 1);
  EXPECT_EQ(pack_counters().bytes, before.bytes + 2 * 16 * 5 * sizeof(float));
  for (int i = 0; i < 3; ++i) {  // loading a plan, and running
    const auto op = candidate().prepare(d, *blobs, target);
    ASSERT_TRUE(op);
    ASSERT_TRUE(run_op(**op, {TestTensor::of(Shape{1, 5}, std::vector<float>(5, 1.0f))}, {{DType::f32, {1, 20}}}));
  }
  EXPECT_EQ(pack_counters().packs, before.packs + 1);
}

TEST(Linear, BadBlobsAreFileErrors) {
  LinearDescriptor d;
  d.k = 4;
  d.n = 4;
  d.bias = true;
  const Target target = test_targets().front();
  const auto w = TestTensor::of(Shape{4, 4}, std::vector<float>(16)),
             bias = TestTensor::of(Shape{4}, std::vector<float>(4));
  const std::vector<Constant> constants{w.constant(), {}, {}, bias.constant()};
  const auto good = candidate().pack(d, constants, target);
  ASSERT_TRUE(good);
  for (std::size_t i = 0; i < good->size(); ++i) {
    auto missing = *good, shorter = *good, renamed = *good;
    missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(i));
    shorter[i].bytes -= 4;
    renamed[i].layout = "other";
    for (const auto& blobs : {missing, shorter, renamed}) {
      const auto op = candidate().prepare(d, blobs, target);
      ASSERT_FALSE(op);
      EXPECT_EQ(op.error().code, ErrorCode::file);
    }
  }
}

TEST(Linear, BadOperandsAreNamed) {
  LinearDescriptor d;
  d.k = 4;
  d.n = 3;
  const auto op = make(d, {TestTensor::of(Shape{3, 4}, std::vector<float>(12))}, test_targets().front());
  ASSERT_TRUE(op);
  const auto message = [&](Operand x, Operand y) {
    BindRequest request;
    request.inputs = std::span(&x, 1);
    request.outputs = std::span(&y, 1);
    const auto binding = (*op)->bind(request);
    return binding ? std::string("bound") : binding.error().message;
  };
  EXPECT_EQ(message({DType::f32, {2, 4}}, {DType::f32, {2, 3}}), "bound");
  EXPECT_EQ(message({DType::f32, {2, 5}}, {DType::f32, {2, 3}}), "linear: x is f32 [2, 5], expected f32 [..., 4]");
  EXPECT_EQ(message({DType::u8, {2, 4}}, {DType::f32, {2, 3}}), "linear: x is u8 [2, 4], expected f32 [..., 4]");
  EXPECT_EQ(message({DType::f32, {2, 4}}, {DType::f32, {2, 4}}), "linear: y is f32 [2, 4], expected f32 [2, 3]");
  EXPECT_NE(message({DType::f32, {std::int64_t{1} << 62, 4}}, {DType::f32, {2, 3}}), "bound");
}

TEST(Linear, IllegalDescriptorsAreRefusedWithTheReason) {
  const auto reason = [](auto change) {
    LinearDescriptor d;
    d.k = d.n = 4;
    change(d);
    return candidate().refuses(d, test_targets().front()).value_or("accepted");
  };
  EXPECT_EQ(reason([](auto&) {}), "accepted");
  EXPECT_THAT(reason([](auto& d) { d.k = -1; }), testing::HasSubstr("k=-1"));
  EXPECT_THAT(reason([](auto& d) { d.input = DType::f16; }), testing::HasSubstr("input f16"));
  EXPECT_THAT(reason([](auto& d) { d.input = DType::i64; }), testing::HasSubstr("input i64"));
  EXPECT_THAT(reason([](auto& d) { d.weight = DType::i8; }), testing::HasSubstr("need weight_scale"));
  EXPECT_THAT(reason([](auto& d) { d.weight = DType::i32; }), testing::HasSubstr("weight i32"));
  EXPECT_THAT(reason([](auto& d) { d.dynamic = Dynamic::token_symmetric; }), testing::HasSubstr("integer weights"));
  EXPECT_THAT(reason([](auto& d) { d.weight_bits = 3; }), testing::HasSubstr("weight_bits 3"));
  EXPECT_THAT(reason([](auto& d) { d.weight_bits = 4; }), testing::HasSubstr("4-bit codes"));
  EXPECT_THAT(reason([](auto& d) { d.group = 48; }), testing::HasSubstr("group 48"));
  EXPECT_THAT(reason([](auto& d) { d.group = -32; }), testing::HasSubstr("group -32"));
  EXPECT_THAT(reason([](auto& d) { d.group = 32; }), testing::HasSubstr("groups"));
  EXPECT_THAT(reason([](auto& d) { d.alpha = std::numeric_limits<double>::infinity(); }), testing::HasSubstr("alpha"));
  EXPECT_THAT(reason([](auto& d) {
                d.output = DType::i8;
                d.output_scale = 0;
              }),
              testing::HasSubstr("output_scale 0"));
  EXPECT_THAT(reason([](auto& d) {
                d.output = DType::u8;
                d.output_zero = -1;
              }),
              testing::HasSubstr("output_zero -1"));
  EXPECT_THAT(reason([](auto& d) {
                d.residual = true;
                d.residual_type = DType::i64;
              }),
              testing::HasSubstr("residual i64"));
  EXPECT_THAT(reason([](auto& d) {
                d.residual = true;
                d.residual_type = DType::i8;
                d.residual_scale = std::nan("");
              }),
              testing::HasSubstr("residual_scale nan"));
  EXPECT_THAT(reason([](auto& d) { d.output = DType::i32; }), testing::HasSubstr("output i32"));
  EXPECT_THAT(reason([](auto& d) { d.input_scale = true; }), testing::HasSubstr("8-bit input"));
  EXPECT_THAT(reason([](auto& d) {
                d.input = DType::u8;
                d.weight = DType::i8;
                d.output = DType::i32;
                d.bias = true;
              }),
              testing::HasSubstr("raw sum"));
  EXPECT_THAT(reason([](auto& d) {
                d.clamp = true;
                d.clamp_low = 1;
              }),
              testing::HasSubstr("clamp"));
}

TEST(GemmChoice, FollowsTheIsaSetItIsGiven) {
  using kernels::gemm::Types;
  const auto level = [](Types types, Isa isa, std::size_t m = kManyRows) {
    const auto* row = choose_gemm(types, closure_of(isa), m);
    return std::string(row == nullptr ? "none" : row->isa);
  };
  EXPECT_EQ(level(Types::f32, Isa::scalar), "scalar");
  EXPECT_EQ(level(Types::f32, Isa::sse42), "sse42");
  EXPECT_EQ(level(Types::f32, Isa::avx_vnni), "avx2");
  EXPECT_EQ(level(Types::f32, Isa::amx), "avx512");
  EXPECT_EQ(level(Types::u8s8i32, Isa::sse42), "sse42");
  EXPECT_EQ(level(Types::s8w4, Isa::sse42), "scalar");
  EXPECT_EQ(level(Types::u8s8i32, Isa::avx512), "avx2");
  EXPECT_EQ(level(Types::u8s8i32, Isa::avx_vnni), "avx_vnni");
  EXPECT_EQ(level(Types::u8s8i32, Isa::avx512_vnni), "avx512_vnni");
  EXPECT_EQ(level(Types::bf16, Isa::avx512_bf16), "avx512_bf16");
  EXPECT_EQ(level(Types::f16, Isa::avx512_fp16), "avx512_fp16");
  EXPECT_EQ(choose_gemm(Types::f32, closure_of(Isa::avx2), 1)->block_m, 1u);
  EXPECT_EQ(choose_gemm(Types::f32, closure_of(Isa::avx2), 2)->block_m, 6u);
  EXPECT_EQ(choose_gemm(Types::f32, IsaSet{0}, 8), nullptr);
}

}  // namespace
}  // namespace intaglio::ops
