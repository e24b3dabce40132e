// Normalisations against float64 over shapes, types, optional operands; bits independent of the thread count.
#include "ops/norm.h"

#include <gmock/gmock.h>

#include <cmath>

#include "ops/generic_test_util.h"

namespace intaglio::ops {
namespace {

struct Problem {
  NormDescriptor d;
  Shape shape, vector_shape;
  std::vector<float> x, residual, gamma, beta;
};

std::vector<double> reference(const Problem& p) {
  std::int64_t n = 1;
  for (std::size_t i = static_cast<std::size_t>(p.d.axis); i < p.shape.size(); ++i) n *= p.shape[i];
  std::vector<double> y(p.x.size());
  for (std::size_t row = 0; n != 0 && row < p.x.size(); row += static_cast<std::size_t>(n)) {
    double mean = 0, squares = 0;
    const auto at = [&](std::int64_t i) {
      const std::size_t k = row + static_cast<std::size_t>(i);
      return static_cast<double>(p.x[k]) + (p.d.residual ? p.residual[k] : 0.0f);
    };
    for (std::int64_t i = 0; i < n; ++i) mean += at(i) / static_cast<double>(n);
    if (p.d.kind == NormKind::rms) mean = 0;
    for (std::int64_t i = 0; i < n; ++i) squares += (at(i) - mean) * (at(i) - mean) / static_cast<double>(n);
    for (std::int64_t i = 0; i < n; ++i) {
      double v = (at(i) - mean) / std::sqrt(squares + p.d.epsilon);
      if (p.d.gamma) v *= p.gamma[static_cast<std::size_t>(i) % p.gamma.size()];
      if (p.d.beta) v += p.beta[static_cast<std::size_t>(i) % p.beta.size()];
      y[row + static_cast<std::size_t>(i)] = v;
    }
  }
  return y;
}

void check(const Problem& p, double tolerance) {
  const std::vector<double> expected = reference(p);
  std::vector<TestTensor> inputs{typed(p.d.dtype, p.shape, p.x)};
  if (p.d.residual) inputs.push_back(typed(p.d.dtype, p.shape, p.residual));
  if (p.d.gamma) inputs.push_back(typed(p.d.dtype, p.vector_shape, p.gamma));
  if (p.d.beta) inputs.push_back(typed(p.d.dtype, p.vector_shape, p.beta));
  const Candidate* candidate = find_candidate("intaglio.norm", own_candidates());
  for (const Target& target : test_targets()) {
    const auto op = candidate->prepare(p.d, {}, target);
    ASSERT_TRUE(op) << op.error().to_string();
    std::vector<std::byte> first;
    for (const int threads : {1, 2, 3, 7}) {
      const auto result = run_op(**op, inputs, {{p.d.dtype, p.shape}}, threads);
      ASSERT_TRUE(result) << result.error().to_string();
      if (threads == 1) first = (*result)[0].bytes;
      ASSERT_EQ((*result)[0].bytes, first) << threads;
    }
    const TestTensor got{{p.d.dtype, p.shape}, first};
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(value_at(got, i), expected[i], tolerance * std::max(1.0, std::abs(expected[i])))
          << i << " n=" << p.shape.back() << " " << (*op)->facts().kernel << " " << name_of(p.d.dtype);
    }
  }
}

Problem random_problem(NormDescriptor d, Shape shape, Shape vector_shape, TestRandom& random, float offset = 0.0f) {
  Problem p{d, std::move(shape), std::move(vector_shape), {}, {}, {}, {}};
  const auto total = static_cast<std::size_t>(*element_count(p.shape)),
             n = static_cast<std::size_t>(*element_count(p.vector_shape));
  // Values that every 16-bit type holds exactly: multiples of 1/16 below 8.
  const auto grid = [&](std::size_t count, float shift) {
    std::vector<float> v = random.floats(count, -4, 4);
    for (float& x : v) x = std::round(x * 16) / 16 + shift;
    return v;
  };
  p.x = grid(total, offset);
  p.residual = grid(total, 0);
  p.gamma = grid(n, 0);
  p.beta = grid(n, 0);
  return p;
}

TEST(Norm, EveryLengthAndOptionalOperand) {
  TestRandom random(1);
  for (std::int64_t n = 1; n <= 140; n += n < 70 ? 1 : 13) {
    NormDescriptor d;
    d.axis = 1;
    d.kind = n % 2 == 0 ? NormKind::rms : NormKind::layer;
    d.residual = n % 3 == 0;
    d.gamma = n % 5 != 0;
    d.beta = d.kind == NormKind::layer && n % 7 != 0;
    check(random_problem(d, {5, n}, {n}, random), 3e-6);
  }
}

TEST(Norm, LongRowsFarFromZero) {
  TestRandom random(2);
  for (const float offset : {0.0f, 100.0f}) {
    NormDescriptor d;
    d.axis = 1;
    d.gamma = d.beta = true;
    check(random_problem(d, {3, 768}, {768}, random, offset), offset == 0 ? 3e-6 : 2e-5);
    check(random_problem(d, {2, 4096 + 5}, {4096 + 5}, random, offset), offset == 0 ? 3e-6 : 2e-5);
  }
}

TEST(Norm, SeveralAxesAndBroadcastVectors) {
  TestRandom random(3);
  NormDescriptor d;
  d.axis = 1;
  d.gamma = d.beta = true;
  check(random_problem(d, {2, 3, 20}, {3, 20}, random), 3e-6);
  check(random_problem(d, {2, 3, 20}, {20}, random), 3e-6);
  check(random_problem(d, {2, 3, 20}, {1}, random), 3e-6);
  d.axis = 0;
  check(random_problem(d, {2, 3, 20}, {1, 1, 20}, random), 3e-6);
}

TEST(Norm, OtherTypes) {
  TestRandom random(4);
  for (const auto& [type, tolerance] :
       {std::pair{DType::f64, 1e-12}, std::pair{DType::f16, 0x1p-10}, std::pair{DType::bf16, 0x1p-7}}) {
    for (const NormKind kind : {NormKind::layer, NormKind::rms}) {
      NormDescriptor d;
      d.kind = kind;
      d.dtype = type;
      d.axis = 1;
      d.gamma = d.residual = true;
      d.beta = kind == NormKind::layer;
      check(random_problem(d, {4, 75}, {75}, random), tolerance);
    }
  }
}

TEST(Norm, EmptyAndNan) {
  TestRandom random(5);
  NormDescriptor d;
  d.axis = 1;
  check(random_problem(d, {0, 8}, {8}, random), 0);
  check(random_problem(d, {3, 0}, {0}, random), 0);
  Problem p = random_problem(d, {3, 40}, {40}, random);
  p.x[41] = NAN;
  const Candidate* candidate = find_candidate("intaglio.norm", own_candidates());
  for (const Target& target : test_targets()) {
    const auto op = candidate->prepare(p.d, {}, target);
    const auto result = run_op(**op, {typed(DType::f32, p.shape, p.x)}, {{DType::f32, p.shape}});
    ASSERT_TRUE(result);
    for (std::size_t i = 0; i < 120; ++i) EXPECT_EQ(std::isnan(value_at((*result)[0], i)), i / 40 == 1) << i;
  }
}

// max |y| of each of `rows` rows.
std::vector<float> absmax_of(const TestTensor& y, std::size_t rows) {
  std::vector<float> absmax(rows, 0.0f);
  const std::size_t count = y.bytes.size() / size_of(y.type.dtype);
  for (std::size_t i = 0; i < count; ++i) {
    float& most = absmax[i / (count / rows)];
    most = std::fmax(most, std::fabs(static_cast<float>(value_at(y, i))));
  }
  return absmax;
}

// What the fused op gives is what norm gives, followed by quantize on its rows.
void check_quantized(const Problem& p, NormQuantize how, DType quantized, SymmetricRule rule) {
  Shape row_shape(p.shape.begin(), p.shape.begin() + p.d.axis);
  const std::int64_t rows = *element_count(row_shape), n = *element_count(p.vector_shape);
  std::vector<TestTensor> inputs{typed(p.d.dtype, p.shape, p.x)};
  if (p.d.residual) inputs.push_back(typed(p.d.dtype, p.shape, p.residual));
  if (p.d.gamma) inputs.push_back(typed(p.d.dtype, p.vector_shape, p.gamma));
  if (p.d.beta) inputs.push_back(typed(p.d.dtype, p.vector_shape, p.beta));
  const Operand y{p.d.dtype, p.shape}, q{quantized, p.shape}, scale{DType::f32, row_shape}, zero{DType::u8, row_shape};
  const bool asymmetric = how == NormQuantize::asymmetric;
  QuantizeDescriptor quantize;
  quantize.kind = asymmetric ? QuantizeKind::rows_asymmetric : QuantizeKind::rows_symmetric;
  quantize.input = p.d.dtype;
  quantize.output = quantized;
  quantize.rule = rule;
  const Candidate* norm = find_candidate("intaglio.norm", own_candidates());
  const Candidate* apart = find_candidate("intaglio.quantize", own_candidates());
  for (const Target& target : test_targets()) {
    const auto plain = run_op(**norm->prepare(p.d, {}, target), inputs, {y});
    ASSERT_TRUE(plain);
    std::vector<Operand> flat{{quantized, {rows, n}}, scale};
    if (asymmetric) flat.push_back(zero);
    const TestTensor as_rows{{p.d.dtype, {rows, n}}, (*plain)[0].bytes};
    const auto expected = run_op(**apart->prepare(quantize, {}, target), {as_rows}, flat);
    ASSERT_TRUE(expected) << expected.error().to_string();
    const std::vector<float> absmax = absmax_of((*plain)[0], static_cast<std::size_t>(rows));
    for (const bool keep : {true, false}) {
      for (const bool with_absmax : {true, false}) {
        NormDescriptor d = p.d;
        d.quantize = how;
        d.quantized = quantized;
        d.rule = rule;
        d.keep_float = keep;
        d.absmax = with_absmax;
        std::vector<Operand> outputs;
        if (keep) outputs.push_back(y);
        outputs.insert(outputs.end(), {q, scale});
        if (asymmetric) outputs.push_back(zero);
        if (with_absmax) outputs.push_back(scale);
        const auto op = norm->prepare(d, {}, target);
        ASSERT_TRUE(op) << op.error().to_string();
        EXPECT_EQ((*op)->may_run_in_place(0), keep);
        for (const int threads : {1, 2, 3, 7}) {
          const auto got = run_op(**op, inputs, outputs, threads);
          ASSERT_TRUE(got) << got.error().to_string();
          std::size_t next = 0;
          if (keep) {
            ASSERT_EQ((*got)[next++].bytes, (*plain)[0].bytes) << to_string(d);
          }
          for (const TestTensor& each : *expected) ASSERT_EQ((*got)[next++].bytes, each.bytes) << to_string(d);
          if (with_absmax) {
            ASSERT_EQ((*got)[next].values<float>(), absmax) << to_string(d);
          }
        }
      }
    }
  }
}

TEST(Norm, QuantizesItsRows) {
  TestRandom random(7);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const std::int64_t n : {0, 1, 31, 75, 256, 768}) {
      NormDescriptor d;
      d.dtype = dtype;
      d.axis = 1;
      d.kind = n % 2 == 0 ? NormKind::layer : NormKind::rms;
      d.gamma = n != 31;
      d.residual = n > 70;
      d.beta = d.kind == NormKind::layer;
      Problem p = random_problem(d, {9, n}, {n}, random);
      if (n == 75) p.x[80] = NAN;
      if (n == 256) std::fill(p.gamma.begin(), p.gamma.end(), 0.0f);
      check_quantized(p, NormQuantize::symmetric, DType::u8, {});
      check_quantized(p, NormQuantize::symmetric, DType::i8, {});
      check_quantized(p, NormQuantize::symmetric, DType::i8, {127.5, 1.1920929e-7, true});
      check_quantized(p, NormQuantize::asymmetric, DType::u8, {});
      if (HasFatalFailure()) return;
    }
  }
  NormDescriptor d;
  d.axis = 2;
  d.gamma = true;
  check_quantized(random_problem(d, {2, 3, 4, 5}, {4, 5}, random), NormQuantize::symmetric, DType::u8, {});
  d.axis = 0;
  check_quantized(random_problem(d, {6}, {6}, random), NormQuantize::asymmetric, DType::u8, {});
  d.axis = 1;
  check_quantized(random_problem(d, {0, 6}, {6}, random), NormQuantize::symmetric, DType::u8, {});
}

TEST(Norm, DescriptorsReadBack) {
  NormDescriptor d;
  d.quantize = NormQuantize::symmetric;
  d.quantized = DType::i8;
  d.rule = {127.5, 1e-7, true};
  d.keep_float = false;
  d.absmax = true;
  expect_round_trip(d);
}

TEST(Norm, AbsMaxAlone) {
  TestRandom random(8);
  NormDescriptor d;
  d.axis = 1;
  d.absmax = true;
  const std::vector<TestTensor> x{TestTensor::of<float>({4, 50}, random.floats(200))};
  const Candidate* candidate = find_candidate("intaglio.norm", own_candidates());
  for (const Target& target : test_targets()) {
    const auto got = run_op(**candidate->prepare(d, {}, target), x, {{DType::f32, {4, 50}}, {DType::f32, {4}}}, 3);
    ASSERT_TRUE(got);
    for (std::size_t row = 0; row < 4; ++row) {
      float most = 0;
      for (std::size_t i = 0; i < 50; ++i) most = std::fmax(most, std::fabs((*got)[0].values<float>()[row * 50 + i]));
      EXPECT_EQ((*got)[1].values<float>()[row], most);
    }
  }
}

TEST(Norm, QuantizationRefusesWhatDoesNotFit) {
  NormDescriptor d;
  d.axis = 1;
  d.quantize = NormQuantize::symmetric;
  const auto bind = [&](const std::vector<Operand>& outputs) {
    const Candidate* candidate = find_candidate("intaglio.norm", own_candidates());
    const std::vector<Operand> inputs{{DType::f32, {4, 3}}};
    return (*candidate->prepare(d, {}, test_targets().back()))->bind({inputs, outputs, {}, 1}).has_value();
  };
  const Operand y{DType::f32, {4, 3}}, q{DType::u8, {4, 3}}, scale{DType::f32, {4, 1}};
  EXPECT_TRUE(bind({y, q, scale}));
  EXPECT_FALSE(bind({q, scale}));
  EXPECT_FALSE(bind({y, q}));
  EXPECT_FALSE(bind({y, {DType::i8, {4, 3}}, scale}));
  EXPECT_FALSE(bind({y, {DType::u8, {3, 4}}, scale}));
  EXPECT_FALSE(bind({y, q, {DType::f32, {3}}}));
  EXPECT_FALSE(bind({y, q, {DType::f64, {4}}}));
  EXPECT_FALSE(bind({{DType::bf16, {4, 3}}, q, scale}));
  const auto legal = [](auto change) {
    NormDescriptor each;
    change(each);
    return each.validate().has_value();
  };
  EXPECT_TRUE(legal([](NormDescriptor&) {}));
  EXPECT_FALSE(legal([](NormDescriptor& each) { each.keep_float = false; }));
  EXPECT_FALSE(legal([](NormDescriptor& each) { each.absmax = true, each.dtype = DType::f16; }));
  EXPECT_FALSE(legal([](NormDescriptor& each) { each.quantize = NormQuantize::symmetric, each.dtype = DType::f64; }));
  EXPECT_FALSE(legal([](NormDescriptor& each) { each.quantized = DType::i32; }));
  EXPECT_FALSE(
      legal([](NormDescriptor& each) { each.quantize = NormQuantize::asymmetric, each.quantized = DType::i8; }));
  EXPECT_FALSE(legal([](NormDescriptor& each) { each.rule.divisor = 0; }));
}

TEST(Norm, RefusesWhatDoesNotFit) {
  NormDescriptor d;
  d.dtype = DType::i32;
  const Candidate* candidate = find_candidate("intaglio.norm", own_candidates());
  EXPECT_EQ(candidate->refuses(d, test_targets().back()), "norm of i32");
  d.dtype = DType::f32;
  d.axis = 3;
  const auto op = candidate->prepare(d, {}, test_targets().back());
  TestRandom random(6);
  const auto result = run_op(**op, {TestTensor::of<float>({2, 2}, random.floats(4))}, {{DType::f32, {2, 2}}});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, testing::HasSubstr("axis 3"));
}

}  // namespace
}  // namespace intaglio::ops
