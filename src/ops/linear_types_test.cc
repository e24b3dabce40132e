// Linears of every combination of types against double, computed from the definition in linear.h: floats of 16 bits,
// dynamic quantisation, weight-only codes, 8-bit operands with every output; on every level, and with equal bits for 1,
// 2, 3 and 7 threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/half.h"
#include "ops/linear.h"
#include "ops/linear_test_util.h"
#include "tests/emulation/emulator.h"

namespace intaglio::ops {
namespace {

constexpr double kEps = std::numeric_limits<float>::epsilon();

const Candidate& candidate() {
  return *find_candidate("intaglio.linear", own_candidates());
}

// Floats as a tensor of a float type, and what that tensor holds.
TestTensor narrowed(DType type, Shape shape, std::vector<float>& values) {
  if (type == DType::f32) return TestTensor::of(std::move(shape), values);
  if (type == DType::bf16) {
    std::vector<BFloat16> out;
    for (float& x : values) x = to_float(out.emplace_back(to_bfloat16(x)));
    return TestTensor::of(std::move(shape), out);
  }
  std::vector<Float16> out;
  for (float& x : values) x = to_float(out.emplace_back(to_float16(x)));
  return TestTensor::of(std::move(shape), out);
}

double value_at(const TestTensor& t, std::size_t i) {
  switch (t.type.dtype) {
    case DType::f32:
      return static_cast<double>(t.values<float>()[i]);
    case DType::bf16:
      return static_cast<double>(to_float(t.values<BFloat16>()[i]));
    case DType::f16:
      return static_cast<double>(to_float(t.values<Float16>()[i]));
    case DType::i32:
      return t.values<std::int32_t>()[i];
    case DType::i8:
      return t.values<std::int8_t>()[i];
    default:
      return static_cast<double>(static_cast<unsigned char>(t.bytes[i]));
  }
}

// One linear with operands, and its definition in double.
struct Sample {
  LinearDescriptor d;
  std::size_t m = 0, n = 0, k = 0, groups = 1;
  std::vector<TestTensor> inputs, constants;
  std::vector<double> x;        // [M][K], after quantisation: codes
  std::vector<double> x_scale;  // [M]
  std::vector<double> x_zero;   // [M]
  std::vector<double> w;        // [N][K], codes minus zero
  std::vector<double> w_scale;  // [N][groups]
  std::vector<double> bias, residual;
  bool exact_sum = false;  // integers

  void make_weight(TestRandom& random) {
    const auto in = static_cast<std::int64_t>(k), out = static_cast<std::int64_t>(n);
    w.resize(n * k);
    constants.assign(4, TestTensor{});
    if (!d.codes()) {
      auto values = random.floats(n * k);
      constants[0] = narrowed(d.weight, Shape{out, in}, values);
      std::copy(values.begin(), values.end(), w.begin());
      w_scale.assign(n, 1.0);
      return;
    }
    groups = d.grouped() ? (k + group() - 1) / group() : 1;
    const bool per_group = d.weight_zero;
    std::vector<std::uint8_t> zero(n * groups);
    for (auto& z : zero) z = static_cast<std::uint8_t>(random.size(0, d.weight_bits == 4 ? 15 : 255));
    const auto zero_of = [&](std::size_t j, std::size_t kk) {
      const std::uint8_t raw = zero[j * groups + (d.grouped() ? kk / group() : 0)];
      if (d.weight_bits == 4) return per_group ? static_cast<int>(raw) : 8;
      return per_group ? (d.weight == DType::u8 ? raw : static_cast<std::int8_t>(raw)) : 0;
    };
    const std::size_t row_bytes = d.weight_bits == 4 ? (k + 1) / 2 : k;
    std::vector<std::uint8_t> bytes(n * row_bytes);
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t kk = 0; kk < k; ++kk) {
        const auto raw = static_cast<std::uint8_t>(random.size(0, d.weight_bits == 4 ? 15 : 255));
        if (d.weight_bits == 4) {
          std::uint8_t& byte = bytes[j * row_bytes + kk / 2];
          byte = static_cast<std::uint8_t>(byte | raw << (kk % 2 * 4));
        } else {
          bytes[j * row_bytes + kk] = raw;
        }
        const int code = d.weight_bits == 4 || d.weight == DType::u8 ? raw : static_cast<std::int8_t>(raw);
        w[j * k + kk] = code - zero_of(j, kk);
      }
    }
    constants[0] = TestTensor::of(Shape{out, static_cast<std::int64_t>(row_bytes)}, bytes);
    constants[0].type.dtype = d.weight;
    const Shape table = d.grouped() ? Shape{out, static_cast<std::int64_t>(groups)} : Shape{out};
    if (d.weight_zero) {
      constants[1] = TestTensor::of(table, zero);
      constants[1].type.dtype = d.weight;
    }
    w_scale.assign(n * groups, 1.0);
    if (!d.weight_scale) return;
    const auto scales = random.floats(n * groups, 0.01f, 0.1f);
    std::copy(scales.begin(), scales.end(), w_scale.begin());
    constants[2] = TestTensor::of(table, scales);
  }
  std::size_t group() const { return d.group != 0 ? static_cast<std::size_t>(d.group) : std::max<std::size_t>(k, 1); }

  void make_input(TestRandom& random) {
    const Shape shape{static_cast<std::int64_t>(m), static_cast<std::int64_t>(k)};
    x_scale.assign(m, 1.0);
    x_zero.assign(m, 0.0);
    if (d.integer_input()) {
      exact_sum = true;
      const auto bytes = random.integers<std::uint8_t>(m * k);
      inputs.push_back(TestTensor::of(shape, bytes));
      inputs.back().type.dtype = d.input;
      for (const auto b : bytes) x.push_back(d.input == DType::u8 ? b : static_cast<std::int8_t>(b));
      if (d.input_zero) {
        const auto zeros = random.integers<std::uint8_t>(m);
        inputs.push_back(TestTensor::of(Shape{shape[0]}, zeros));
        inputs.back().type.dtype = d.input;
        for (std::size_t i = 0; i < m; ++i) {
          x_zero[i] = d.input == DType::u8 ? zeros[i] : static_cast<std::int8_t>(zeros[i]);
        }
      }
      if (d.input_scale) {
        const auto scales = random.floats(m, 0.01f, 0.1f);
        std::copy(scales.begin(), scales.end(), x_scale.begin());
        inputs.push_back(TestTensor::of(Shape{shape[0]}, scales));
      }
      return;
    }
    auto values = random.floats(m * k, -3, 2);
    if (d.dynamic != Dynamic::none && m > 1)
      std::fill(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(k), 0.0f);
    inputs.push_back(narrowed(d.input, shape, values));
    x.assign(values.begin(), values.end());
    if (d.dynamic != Dynamic::none) quantise(values);
  }
  // Dynamic of linear.h, in f32 as the definition says.
  void quantise(const std::vector<float>& values) {
    exact_sum = d.weight_bits != 4;
    const bool symmetric = d.dynamic == Dynamic::token_symmetric || d.dynamic == Dynamic::tensor_symmetric;
    const bool by_token = d.dynamic == Dynamic::token_symmetric || d.dynamic == Dynamic::token_asymmetric;
    for (std::size_t i = 0; i < m; ++i) {
      const std::size_t begin = by_token ? i * k : 0, end = by_token ? (i + 1) * k : m * k;
      float low = 0, high = 0;
      for (std::size_t e = begin; e < end; ++e) {
        low = std::min(low, values[e]);
        high = std::max(high, values[e]);
      }
      volatile float scale = symmetric ? std::max(-low, high) / 127.0f : (high - low) / 255.0f;
      if (scale == 0) scale = 1;
      volatile float offset = -low / scale;
      const double zero = symmetric ? 0 : std::nearbyint(static_cast<double>(offset));
      x_scale[i] = static_cast<double>(scale);
      x_zero[i] = zero;
      for (std::size_t kk = 0; kk < k; ++kk) {
        volatile float quotient = values[i * k + kk] / scale;
        const double code = std::nearbyint(static_cast<double>(quotient)) + zero;
        x[i * k + kk] = std::min(std::max(code, symmetric ? -128.0 : 0.0), symmetric ? 127.0 : 255.0);
      }
    }
  }
  void make_rest(TestRandom& random) {
    if (d.bias) {
      const auto values = random.floats(n);
      bias.assign(values.begin(), values.end());
      constants[3] = TestTensor::of(Shape{static_cast<std::int64_t>(n)}, values);
    }
    if (!d.residual) return;
    const Shape shape{static_cast<std::int64_t>(m), static_cast<std::int64_t>(n)};
    if (d.residual_type == DType::i8 || d.residual_type == DType::u8) {
      inputs.push_back(TestTensor::of(shape, random.integers<std::uint8_t>(m * n)));
      inputs.back().type.dtype = d.residual_type;
    } else {
      auto values = random.floats(m * n);
      inputs.push_back(narrowed(d.residual_type, shape, values));
    }
    for (std::size_t i = 0; i < m * n; ++i) {
      const double raw = value_at(inputs.back(), i);
      const bool byte = d.residual_type == DType::i8 || d.residual_type == DType::u8;
      residual.push_back(byte ? (raw - static_cast<double>(d.residual_zero)) *
                                    static_cast<double>(static_cast<float>(d.residual_scale))
                              : raw);
    }
  }
  // The value before conversion and how far f32 arithmetic may be from it.
  double expected(std::size_t i, std::size_t j, double& error) const {
    double sum = 0, magnitude = 0;
    for (std::size_t kk = 0; kk < k; ++kk) {
      const double weight = w[j * k + kk] * (d.grouped() ? w_scale[j * groups + kk / group()] : 1.0);
      const double product = (x[i * k + kk] - x_zero[i]) * weight;
      sum += product;
      magnitude += std::abs(product);
    }
    error = exact_sum ? kEps * std::abs(sum) : (2 * static_cast<double>(k) + 4) * kEps * magnitude + 1e-36;
    const double scale = x_scale[i] * (d.grouped() ? 1.0 : w_scale[j]);
    double y = sum * scale + (d.bias ? bias[j] : 0.0);
    error = error * scale + 2 * kEps * (std::abs(sum * scale) + std::abs(y));
    if (d.activation == Activation::gelu_erf) {
      error = 1.6 * error + 4 * kEps * std::abs(y);
      y = 0.5 * y * std::erfc(-y * M_SQRT1_2);
    } else if (d.activation == Activation::relu) {
      y = std::max(y, 0.0);
    }
    if (d.residual) {
      const double r = residual[i * n + j];
      error = d.residual_multiply ? error * std::abs(r) : error;
      y = d.residual_multiply ? y * r : y + r;
      error += kEps * (std::abs(y) + std::abs(r));
    }
    return y;
  }
  Result<std::vector<TestTensor>> run(const Target& target, int threads, bool concurrent = false) const {
    std::vector<Constant> views;
    for (const TestTensor& t : constants) views.push_back(t.type.shape.empty() ? Constant{} : t.constant());
    INTAGLIO_TRY(auto blobs, candidate().pack(d, views, target));
    INTAGLIO_TRY(const auto op, candidate().prepare(d, std::move(blobs), target));
    std::vector<Operand> outputs{{d.output, {static_cast<std::int64_t>(m), static_cast<std::int64_t>(n)}}};
    if (d.row_max) outputs.push_back({DType::f32, {static_cast<std::int64_t>(m), 1}});
    return run_op(*op, inputs, outputs, threads, concurrent);
  }
  void check(const std::vector<TestTensor>& y) const {
    for (std::size_t i = 0; i < m; ++i) {
      double most = 0, slack = 0;
      for (std::size_t j = 0; j < n; ++j) {
        double error = 0;
        const double want = expected(i, j, error), got = value_at(y[0], i * n + j);
        most = std::max(most, std::abs(want));
        slack = std::max(slack, error);
        if (d.output == DType::bf16) error += (std::abs(want) + error) * 0x1p-8;
        if (d.output == DType::f16) error += (std::abs(want) + error) * 0x1p-11 + 0x1p-24;
        if (d.output == DType::i8 || d.output == DType::u8) {
          const double low = d.output == DType::i8 ? -128 : 0,
                       scale = static_cast<double>(static_cast<float>(d.output_scale));
          const double code = std::min(std::max(want / scale + static_cast<double>(d.output_zero), low), low + 255);
          ASSERT_LE(std::abs(got - code), 0.5 + (error + kEps * std::abs(want)) / scale) << i << ", " << j;
        } else {
          ASSERT_LE(std::abs(got - want), error) << i << ", " << j << ": " << got << ", expected " << want;
        }
      }
      if (d.row_max) {
        ASSERT_NEAR(y[1].values<float>()[i], most, slack) << "row_max " << i;
      }
    }
  }
};

struct Kind {
  const char* name;
  DType input, weight;
  std::int64_t bits;
  Dynamic dynamic;
};
constexpr Kind kKinds[] = {
    {"bf16", DType::bf16, DType::bf16, 0, Dynamic::none},
    {"f16", DType::f16, DType::f16, 0, Dynamic::none},
    {"f32_bf16", DType::f32, DType::bf16, 0, Dynamic::none},
    {"f32_f16", DType::f32, DType::f16, 0, Dynamic::none},
    {"u8_i8", DType::u8, DType::i8, 0, Dynamic::none},
    {"i8_i8", DType::i8, DType::i8, 0, Dynamic::none},
    {"i8_u8", DType::i8, DType::u8, 0, Dynamic::none},
    {"f32_w8", DType::f32, DType::i8, 0, Dynamic::none},
    {"bf16_w8", DType::bf16, DType::i8, 0, Dynamic::none},
    {"f32_w4", DType::f32, DType::u8, 4, Dynamic::none},
    {"bf16_w4", DType::bf16, DType::u8, 4, Dynamic::none},
    {"f32_i8_tensor_asymmetric", DType::f32, DType::i8, 0, Dynamic::tensor_asymmetric},
    {"f32_i8_tensor_symmetric", DType::f32, DType::i8, 0, Dynamic::tensor_symmetric},
    {"f32_i8_token_asymmetric", DType::f32, DType::i8, 0, Dynamic::token_asymmetric},
    {"f32_i8_token_symmetric", DType::f32, DType::i8, 0, Dynamic::token_symmetric},
    {"bf16_i8_token_symmetric", DType::bf16, DType::i8, 0, Dynamic::token_symmetric},
    {"f32_u8_token_asymmetric", DType::f32, DType::u8, 0, Dynamic::token_asymmetric},
    {"f32_w4_token_symmetric", DType::f32, DType::u8, 4, Dynamic::token_symmetric},
    {"bf16_w4_tensor_symmetric", DType::bf16, DType::u8, 4, Dynamic::tensor_symmetric},
};

struct Largest {
  std::size_t m = 40, n = 150, k = 300;
};

Sample sample(const Kind& kind, TestRandom& random, std::size_t choice, const Largest& largest = {}) {
  Sample s;
  s.m = choice % 4 == 0 ? random.size(1, 4) : random.size(1, largest.m);
  s.n = random.size(1, largest.n);
  s.k = random.size(1, largest.k);
  LinearDescriptor& d = s.d;
  d.k = static_cast<std::int64_t>(s.k);
  d.n = static_cast<std::int64_t>(s.n);
  d.input = kind.input;
  d.weight = kind.weight;
  d.weight_bits = kind.bits;
  d.dynamic = kind.dynamic;
  d.weight_scale = d.codes();
  d.weight_zero = d.codes() && choice % 2 == 1;
  if (d.grouped()) d.group = choice % 3 == 0 ? 0 : std::int64_t{32} << choice % 3;
  if (d.integer_input()) {
    d.input_scale = true;
    d.input_zero = choice % 3 != 0;
  }
  d.bias = choice % 3 != 1;
  d.activation = choice % 5 == 0 ? Activation::gelu_erf : choice % 5 == 1 ? Activation::relu : Activation::none;
  constexpr DType kResiduals[] = {DType::f32, DType::bf16, DType::f16, DType::i8, DType::u8};
  d.residual = choice % 4 == 2;
  d.residual_type = kResiduals[choice / 4 % 5];
  d.residual_multiply = choice % 8 == 6;
  d.residual_scale = 0.03;
  d.residual_zero = 7;
  constexpr DType kOutputs[] = {DType::f32, DType::bf16, DType::f16, DType::i8, DType::u8};
  d.output = kOutputs[choice % 5];
  d.output_scale = 0.21;
  d.output_zero = d.output == DType::u8 ? 131 : -5;
  d.row_max = choice % 3 == 0;
  s.make_weight(random);
  s.make_input(random);
  s.make_rest(random);
  return s;
}

class LinearTypes : public testing::TestWithParam<Kind> {};

TEST_P(LinearTypes, EqualTheDefinition) {
  TestRandom random(11);
  for (const Target& target : test_targets()) {
    for (std::size_t choice = 0; choice < 15; ++choice) {
      const Sample s = sample(GetParam(), random, choice);
      SCOPED_TRACE(testing::Message() << to_string(target.isa) << " choice " << choice << " m=" << s.m << " "
                                      << to_string(s.d));
      const auto y = s.run(target, 1);
      ASSERT_TRUE(y) << y.error().to_string();
      s.check(*y);
      if (HasFatalFailure()) return;
      for (const int threads : {2, 3, 7}) {
        const auto again = s.run(target, threads);
        ASSERT_TRUE(again);
        for (std::size_t o = 0; o < y->size(); ++o)
          ASSERT_EQ((*again)[o].bytes, (*y)[o].bytes) << threads << " threads";
      }
    }
  }
}

// Levels that this CPU lacks, by tests/emulation: a few small samples, for every instruction costs a signal.
TEST_P(LinearTypes, EqualTheDefinitionOnEmulatedLevels) {
  const std::vector<Target> targets = emulated_targets();
  if (targets.empty()) GTEST_SKIP() << "no level is emulated here: the CPU has them all, or too little for any";
  TestRandom random(15);
  for (const Target& target : targets) {
    const std::uint64_t before = emulation::executed();
    for (const std::size_t choice : {0u, 3u, 6u}) {  // few rows; 8-bit output; a factor and 16-bit output
      const Sample s = sample(GetParam(), random, choice, {20, 40, 140});
      SCOPED_TRACE(testing::Message() << to_string(target.isa) << " choice " << choice << " m=" << s.m << " "
                                      << to_string(s.d));
      const auto y = s.run(target, 1), again = s.run(target, 3);
      ASSERT_TRUE(y && again) << (y ? again : y).error().to_string();
      s.check(*y);
      if (HasFatalFailure()) return;
      for (std::size_t o = 0; o < y->size(); ++o) ASSERT_EQ((*again)[o].bytes, (*y)[o].bytes);
    }
    const std::string_view kind = GetParam().name;
    const bool own_kernel = (kind == "u8_i8" && contains(target.isa, Isa::avx_vnni)) ||
                            (kind == "f16" && contains(target.isa, Isa::avx512_fp16));
    if (own_kernel) {
      EXPECT_GT(emulation::executed(), before) << to_string(target.isa);
    }
  }
}

TEST_P(LinearTypes, RealThreadsGiveTheSameBits) {
  TestRandom random(12);
  const Target target = test_targets().back();
  const Sample s = sample(GetParam(), random, 3);
  const auto y = s.run(target, 1), again = s.run(target, 3, true);
  ASSERT_TRUE(y && again);
  EXPECT_EQ((*again)[0].bytes, (*y)[0].bytes);
}

INSTANTIATE_TEST_SUITE_P(Kinds, LinearTypes, testing::ValuesIn(kKinds),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(LinearTypes, ScalesThatAreNotFiniteAreNamed) {
  TestRandom random(13);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Sample s = sample(kKinds[14], random, 0);
    auto scales = s.constants[2].values<float>();
    scales.back() = bad;
    s.constants[2] = TestTensor::of(s.constants[2].type.shape, scales);
    const auto y = s.run(test_targets().front(), 1);
    ASSERT_FALSE(y);
    EXPECT_THAT(y.error().message, testing::HasSubstr("weight_scale["));
  }
}

TEST(LinearTypes, ConstantsOfTheWrongLengthAreNamed) {
  TestRandom random(14);
  for (const std::size_t which : {0u, 1u, 2u, 3u}) {
    Sample s = sample(kKinds[17], random, 5);  // 4-bit codes with zeros, scales and bias
    ASSERT_TRUE(s.d.weight_zero && s.d.bias);
    TestTensor& t = s.constants[which];
    t.type.shape.back() += 1;
    t.bytes.resize(t.bytes.size() + t.bytes.size() / static_cast<std::size_t>(t.type.shape.back() - 1));
    const auto y = s.run(test_targets().front(), 1);
    EXPECT_FALSE(y) << which;
  }
}

// The row maxima of one linear serve the next: the same bits as without them.
TEST(LinearTypes, RowMaximaOfTheProducerSaveAPass) {
  TestRandom random(15);
  for (const Target& target : test_targets()) {
    Sample first = sample(kKinds[14], random, 0), second = sample(kKinds[14], random, 1);
    second.k = first.n;
    second.d.k = static_cast<std::int64_t>(second.k);
    second.m = first.m;
    first.d.output = DType::f32;
    first.d.row_max = true;
    second.d.residual = false;
    second.inputs.clear();
    second.make_weight(random);
    second.make_rest(random);
    const auto y = first.run(target, 2);
    ASSERT_TRUE(y) << y.error().to_string();
    second.inputs = {(*y)[0]};
    const auto plain = second.run(target, 1);
    ASSERT_TRUE(plain) << plain.error().to_string();
    second.d.input_max = true;
    second.inputs.push_back((*y)[1]);
    const auto given = second.run(target, 3);
    ASSERT_TRUE(given) << given.error().to_string();
    EXPECT_EQ((*given)[0].bytes, (*plain)[0].bytes);
  }
}

// No rows, no columns, no K: empty outputs, or the epilogue of 0.
TEST_P(LinearTypes, ZeroLengthDims) {
  TestRandom random(16);
  for (const Target& target : {test_targets().front(), test_targets().back()}) {
    for (const int which : {0, 1, 2}) {
      Sample s = sample(GetParam(), random, 3);
      s.d.residual = s.d.row_max = false;
      (which == 0 ? s.m : which == 1 ? s.n : s.k) = 0;
      s.d.n = static_cast<std::int64_t>(s.n);
      s.d.k = static_cast<std::int64_t>(s.k);
      s.inputs.clear();
      s.bias.clear();
      s.make_weight(random);
      s.x.clear();
      s.make_input(random);
      s.make_rest(random);
      for (TestTensor& t : s.inputs) t.bytes.reserve(1);
      const auto y = s.run(target, 2);
      ASSERT_TRUE(y) << which << ": " << y.error().to_string();
      if (which == 2) s.check(*y);
    }
  }
}

// Where K takes several ranges, a thread's share of rows or columns must not decide how sums of floats are joined.
TEST_P(LinearTypes, SeveralKRangesGiveTheSameBitsForAllThreads) {
  TestRandom random(17);
  std::vector<Target> targets = emulated_targets();
  targets.push_back(test_targets().back());
  for (Target& target : targets) {
    target.l1_bytes = 8192;  // about 64 k a range
    target.l2_bytes = 65536;
    Sample s = sample(GetParam(), random, 4);
    s.m = 48;
    s.n = 40;
    s.k = 200;
    s.d.n = static_cast<std::int64_t>(s.n);
    s.d.k = static_cast<std::int64_t>(s.k);
    s.inputs.clear();
    s.x.clear();
    s.bias.clear();
    s.residual.clear();
    s.make_weight(random);
    s.make_input(random);
    s.make_rest(random);
    const auto y = s.run(target, 1);
    ASSERT_TRUE(y) << y.error().to_string();
    s.check(*y);
    for (const int threads : {2, 3}) {
      const auto again = s.run(target, threads);
      ASSERT_TRUE(again);
      ASSERT_EQ((*again)[0].bytes, (*y)[0].bytes) << threads << " threads, " << to_string(target.isa);
    }
  }
}

TEST(LinearTypes, HugeEmptyShapesAndGroupsAreRefused) {
  LinearDescriptor d;
  d.weight = DType::i8;
  d.weight_scale = true;
  d.dynamic = Dynamic::token_symmetric;
  Sample s;
  s.d = d;
  s.constants = {TestTensor::of(Shape{0, 0}, std::vector<std::int8_t>{}), TestTensor{},
                 TestTensor::of(Shape{0}, std::vector<float>{}), TestTensor{}};
  std::vector<Constant> views;
  for (const TestTensor& t : s.constants) views.push_back(t.type.shape.empty() ? Constant{} : t.constant());
  const Target target = test_targets().front();
  auto blobs = candidate().pack(d, views, target);
  ASSERT_TRUE(blobs) << blobs.error().to_string();
  const auto op = candidate().prepare(d, std::move(*blobs), target);
  ASSERT_TRUE(op);
  const std::int64_t many = std::int64_t{1} << 62;
  const Operand x{DType::f32, {many, 0}}, y{DType::f32, {many, 0}};
  BindRequest request;
  request.inputs = std::span(&x, 1);
  request.outputs = std::span(&y, 1);
  EXPECT_FALSE((*op)->bind(request));

  d = {};
  d.k = 1200000;
  d.n = 1;
  d.weight = DType::u8;
  d.weight_bits = 4;
  d.weight_scale = true;
  d.dynamic = Dynamic::token_symmetric;
  EXPECT_THAT(candidate().refuses(d, target).value_or("accepted"), testing::HasSubstr("in a group"));
  d.group = 128;
  EXPECT_EQ(candidate().refuses(d, target).value_or("accepted"), "accepted");
}

// A NaN counts as 0 when a row is quantised; an infinity makes its row NaN and leaves the others alone.
TEST(LinearTypes, NanAndInfinityInDynamicRows) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  LinearDescriptor d;
  d.k = 4;
  d.n = 1;
  d.weight = DType::i8;
  d.weight_scale = true;
  d.dynamic = Dynamic::token_symmetric;
  Sample s;
  s.d = d;
  s.m = 3;
  s.n = 1;
  s.constants = {TestTensor::of(Shape{1, 4}, std::vector<std::int8_t>{1, 1, 1, 1}), TestTensor{},
                 TestTensor::of(Shape{1}, std::vector<float>{1.0f}), TestTensor{}};
  s.inputs = {TestTensor::of(Shape{3, 4}, std::vector<float>{1, nan, 1, 1, 1, inf, 1, 1, 1, 1, 1, 1})};
  for (const Target& target : test_targets()) {
    const auto y = s.run(target, 1);
    ASSERT_TRUE(y);
    const auto values = (*y)[0].values<float>();
    EXPECT_FLOAT_EQ(values[0], 3.0f);
    EXPECT_TRUE(std::isnan(values[1]));
    EXPECT_FLOAT_EQ(values[2], 4.0f);
  }
}

}  // namespace
}  // namespace intaglio::ops
