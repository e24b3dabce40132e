// Attention against float64, in every layout, mask and blocking; bits independent of the thread count.
#include "ops/attention.h"

#include <gmock/gmock.h>

#include <cmath>

#include <fmt/format.h>

#include "ops/linear_test_util.h"

namespace intaglio::ops {
namespace {

struct Case {
  std::int64_t batch = 1, heads = 1, kv_heads = 1, queries = 1, keys = 1, depth = 16, value_depth = 16;
  bool causal = false, safe = true;
  AttentionMask mask = AttentionMask::none;
  Shape mask_shape = {};
  AttentionLayout layout = AttentionLayout::bhsd;
};

std::string describe(const Case& c) {
  return fmt::format("B{} H{}/{} Sq{} Sk{} D{}/{} causal={} mask={} {} layout={}", c.batch, c.heads, c.kv_heads,
                     c.queries, c.keys, c.depth, c.value_depth, c.causal, static_cast<int>(c.mask),
                     to_string(c.mask_shape), static_cast<int>(c.layout));
}

Shape shape_of(const Case& c, std::int64_t heads, std::int64_t length, std::int64_t depth) {
  if (c.layout == AttentionLayout::bhsd) return {c.batch, heads, length, depth};
  return {c.batch, length, heads, depth};
}
std::size_t index_of(const Shape& shape, AttentionLayout layout, std::int64_t b, std::int64_t h, std::int64_t s,
                     std::int64_t d) {
  const std::int64_t middle = layout == AttentionLayout::bhsd ? h * shape[2] + s : s * shape[2] + h;
  return static_cast<std::size_t>((b * shape[1] * shape[2] + middle) * shape[3] + d);
}

struct Problem {
  Case c;
  double scale = 0.125;
  TestTensor q, k, v, mask;
  std::vector<TestTensor> inputs() const {
    std::vector<TestTensor> all{q, k, v};
    if (c.layout == AttentionLayout::packed) all = {packed_rows()};
    if (c.mask != AttentionMask::none) all.push_back(mask);
    return all;
  }
  TestTensor packed_rows() const {
    TestTensor rows{{DType::f32, {c.batch, c.queries, (c.heads + 2 * c.kv_heads) * c.depth}}, {}};
    const std::int64_t positions = c.batch * c.queries;
    for (std::int64_t i = 0; i < positions; ++i) {
      for (const TestTensor* each : {&q, &k, &v}) {
        const auto width = static_cast<std::ptrdiff_t>(each->bytes.size()) / positions;
        rows.bytes.insert(rows.bytes.end(), each->bytes.begin() + i * width, each->bytes.begin() + (i + 1) * width);
      }
    }
    return rows;
  }
  Shape output_rows() const { return shape_of(c, c.heads, c.queries, c.value_depth); }
  Operand output() const {
    if (c.layout != AttentionLayout::packed) return {DType::f32, output_rows()};
    return {DType::f32, {c.batch, c.queries, c.heads * c.value_depth}};
  }
  AttentionDescriptor descriptor() const {
    AttentionDescriptor d;
    d.layout = c.layout;
    if (c.layout == AttentionLayout::packed) {
      d.heads = c.heads;
      d.kv_heads = c.kv_heads;
    }
    d.mask = c.mask;
    d.scale = scale;
    d.causal = c.causal;
    d.safe = c.safe;
    return d;
  }
};

Problem random_problem(const Case& c, TestRandom& random) {
  Problem p;
  p.c = c;
  const auto tensor = [&](const Shape& shape) {
    return TestTensor::of(shape, random.floats(static_cast<std::size_t>(*element_count(shape)), -2, 2));
  };
  p.q = tensor(shape_of(c, c.heads, c.queries, c.depth));
  p.k = tensor(shape_of(c, c.kv_heads, c.keys, c.depth));
  p.v = tensor(shape_of(c, c.kv_heads, c.keys, c.value_depth));
  const auto count = static_cast<std::size_t>(*element_count(c.mask_shape));
  if (c.mask == AttentionMask::added) p.mask = TestTensor::of(c.mask_shape, random.floats(count, -3, 3));
  if (c.mask == AttentionMask::kept) {
    p.mask = TestTensor::of(c.mask_shape, random.integers<std::uint8_t>(count, 0, 1));
    p.mask.type.dtype = DType::boolean;
  }
  return p;
}

// What the mask adds to one score.
double mask_at(const Problem& p, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) {
  if (p.c.causal && j > i) return -INFINITY;
  if (p.c.mask == AttentionMask::none) return 0;
  const std::int64_t index[4] = {b, h, i, j};
  std::int64_t at = 0;
  const Shape& s = p.c.mask_shape;
  for (std::size_t d = 0; d < s.size(); ++d) at = at * s[d] + (s[d] == 1 ? 0 : index[4 - s.size() + d]);
  const auto where = static_cast<std::size_t>(at);
  if (p.c.mask == AttentionMask::added) return reinterpret_cast<const float*>(p.mask.bytes.data())[where];
  return p.mask.bytes[where] != std::byte{0} ? 0 : -INFINITY;
}

std::vector<double> reference(const Problem& p) {
  const Case& c = p.c;
  if (*element_count(p.output().shape) == 0) return {};
  const auto q = p.q.values<float>(), k = p.k.values<float>(), v = p.v.values<float>();
  const Shape ys = p.output_rows();
  std::vector<double> y(static_cast<std::size_t>(*element_count(ys)));
  for (std::int64_t b = 0; b < c.batch; ++b) {
    for (std::int64_t h = 0; h < c.heads; ++h) {
      const std::int64_t kh = h / (c.heads / c.kv_heads);
      for (std::int64_t i = 0; i < c.queries; ++i) {
        std::vector<double> w(static_cast<std::size_t>(c.keys));
        double max = -INFINITY, sum = 0;
        for (std::int64_t j = 0; j < c.keys; ++j) {
          double dot = 0;
          for (std::int64_t d = 0; d < c.depth; ++d) {
            dot += static_cast<double>(q[index_of(p.q.type.shape, c.layout, b, h, i, d)]) *
                   k[index_of(p.k.type.shape, c.layout, b, kh, j, d)];
          }
          w[static_cast<std::size_t>(j)] = dot * p.scale + mask_at(p, b, h, i, j);
          max = std::max(max, w[static_cast<std::size_t>(j)]);
        }
        for (double& x : w) sum += x = max == -INFINITY ? 0 : std::exp(x - max);
        for (std::int64_t d = 0; d < c.value_depth; ++d) {
          double out = 0;
          for (std::int64_t j = 0; j < c.keys; ++j)
            out += w[static_cast<std::size_t>(j)] * v[index_of(p.v.type.shape, c.layout, b, kh, j, d)];
          y[index_of(ys, c.layout, b, h, i, d)] = sum != 0 ? out / sum : c.safe ? 0 : NAN;
        }
      }
    }
  }
  return y;
}

std::unique_ptr<PreparedOp> prepare(const AttentionDescriptor& descriptor, const Target& target) {
  const Candidate* candidate = find_candidate("intaglio.attention_f32", own_candidates());
  auto op = candidate->prepare(descriptor, {}, target);
  EXPECT_TRUE(op) << op.error().to_string();
  return std::move(*op);
}

void check(const Problem& p) {
  SCOPED_TRACE(describe(p.c));
  const std::vector<double> expected = reference(p);
  for (const Target& target : test_targets()) {
    const auto op = prepare(p.descriptor(), target);
    std::vector<std::byte> first;
    for (const int threads : {1, 2, 3, 7}) {
      const auto result = run_op(*op, p.inputs(), {p.output()}, threads);
      ASSERT_TRUE(result) << result.error().to_string();
      if (threads == 1) first = (*result)[0].bytes;
      ASSERT_EQ((*result)[0].bytes, first) << threads << " threads, " << op->facts().kernel;
    }
    const auto got = TestTensor{p.output(), first}.values<float>();
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (std::isnan(expected[i])) {
        ASSERT_TRUE(std::isnan(got[i])) << i;
      } else {
        // Scores of depth products within 2 D eps sum |q||k|; averages of values in [-2, 2].
        ASSERT_NEAR(got[i], expected[i], 4e-6) << i << " " << op->facts().kernel;
      }
    }
  }
}

TEST(Attention, PlainShapes) {
  TestRandom random(1);
  for (const std::int64_t depth : {1, 32, 64, 80, 128, 37}) {
    for (const std::int64_t length : {1, 2, 5, 16, 17, 49, 100}) {
      check(random_problem({.batch = 2,
                            .heads = 3,
                            .kv_heads = 3,
                            .queries = length,
                            .keys = length,
                            .depth = depth,
                            .value_depth = depth},
                           random));
    }
  }
  check(random_problem({.heads = 1, .queries = 7, .keys = 33, .depth = 256, .value_depth = 17}, random));
}

TEST(Attention, LayoutsGroupsAndDecode) {
  TestRandom random(2);
  for (const auto layout : {AttentionLayout::bhsd, AttentionLayout::bshd}) {
    for (const std::int64_t queries : {1, 3, 60}) {
      for (const std::int64_t keys : {1, 31, 130}) {
        for (const std::int64_t kv_heads : {1, 2, 6}) {
          check(random_problem({.batch = 2,
                                .heads = 6,
                                .kv_heads = kv_heads,
                                .queries = queries,
                                .keys = keys,
                                .depth = 24,
                                .value_depth = 40,
                                .layout = layout},
                               random));
        }
      }
    }
  }
}

TEST(Attention, PackedRows) {
  TestRandom random(10);
  for (const std::int64_t length : {1, 4, 19, 65}) {
    for (const std::int64_t kv_heads : {1, 3, 6}) {
      for (const bool causal : {false, true}) {
        check(random_problem({.batch = 2,
                              .heads = 6,
                              .kv_heads = kv_heads,
                              .queries = length,
                              .keys = length,
                              .depth = 24,
                              .value_depth = 24,
                              .causal = causal,
                              .mask = AttentionMask::added,
                              .mask_shape = {2, 1, 1, length},
                              .layout = AttentionLayout::packed},
                             random));
      }
    }
  }
}

TEST(Attention, RunningMaximaBeyond512Keys) {
  TestRandom random(3);
  for (const std::int64_t keys : {512, 513, 600, 1100}) {
    for (const bool causal : {false, true}) {
      for (const std::int64_t queries : {std::int64_t{2}, std::int64_t{53}, keys}) {
        if (queries == keys && keys > 600) continue;
        check(random_problem({.heads = 2,
                              .kv_heads = 1,
                              .queries = queries,
                              .keys = keys,
                              .depth = 16,
                              .value_depth = 16,
                              .causal = causal},
                             random));
      }
    }
  }
}

TEST(Attention, MasksBroadcast) {
  TestRandom random(4);
  const Case base{.batch = 2, .heads = 4, .kv_heads = 2, .queries = 21, .keys = 35};
  const Shape shapes[] = {{2, 4, 21, 35}, {2, 1, 1, 35}, {1, 1, 21, 35}, {21, 35}, {35}, {1}, {},
                          {4, 1, 1},      {2, 1, 21, 1}, {1, 4, 21, 35}};
  for (const Shape& shape : shapes) {
    for (const auto mask : {AttentionMask::kept, AttentionMask::added}) {
      for (const bool causal : {false, true}) {
        for (const bool safe : {false, true}) {
          Case c = base;
          c.mask = mask;
          c.mask_shape = shape;
          c.causal = causal;
          c.safe = safe;
          check(random_problem(c, random));
        }
      }
    }
  }
  Case longer{
      .heads = 2, .kv_heads = 2, .queries = 5, .keys = 700, .mask = AttentionMask::kept, .mask_shape = {5, 700}};
  check(random_problem(longer, random));
}

TEST(Attention, CausalWithOtherLengths) {
  TestRandom random(5);
  for (const auto& [queries, keys] : {std::pair{70, 20}, std::pair{20, 70}, std::pair{1, 9}, std::pair{100, 100}}) {
    check(random_problem({.heads = 2, .kv_heads = 2, .queries = queries, .keys = keys, .causal = true}, random));
  }
}

// A row hidden by -inf gives 0 or NaN; one hidden by the lowest finite number gives the mean of all values.
TEST(Attention, WhollyHiddenRows) {
  TestRandom random(6);
  for (const std::int64_t keys : {20, 530}) {
    for (const float hidden : {-INFINITY, std::numeric_limits<float>::lowest()}) {
      for (const bool safe : {true, false}) {
        Problem p = random_problem({.heads = 2,
                                    .kv_heads = 2,
                                    .queries = 9,
                                    .keys = keys,
                                    .safe = safe,
                                    .mask = AttentionMask::added,
                                    .mask_shape = {9, keys}},
                                   random);
        std::vector<float> mask(static_cast<std::size_t>(9 * keys), 0.0f);
        for (std::int64_t j = 0; j < keys; ++j) {
          mask[static_cast<std::size_t>(4 * keys + j)] = hidden;                    // all of row 4
          if (j >= 3) mask[static_cast<std::size_t>(6 * keys + j)] = hidden;        // all but three keys
          if (j < keys - 2) mask[static_cast<std::size_t>(7 * keys + j)] = hidden;  // the first key block wholly
        }
        p.mask = TestTensor::of({9, keys}, mask);
        if (!std::isinf(hidden)) {  // the scores are lost against 3.4e38: their mean, as the formula in f32 gives
          std::vector<float> zeros(p.q.bytes.size() / sizeof(float), 0.0f);
          p.q = TestTensor::of(p.q.type.shape, zeros);
        }
        check(p);
      }
    }
  }
}

TEST(Attention, NanReachesItsRowOnly) {
  TestRandom random(7);
  Problem p = random_problem({.heads = 1, .kv_heads = 1, .queries = 30, .keys = 30}, random);
  const std::vector<double> expected = reference(p);
  auto q = p.q.values<float>();
  q[5 * 16 + 3] = NAN;
  p.q = TestTensor::of(p.q.type.shape, q);
  for (const Target& target : test_targets()) {
    const auto op = prepare(p.descriptor(), target);
    const auto result = run_op(*op, p.inputs(), {p.output()});
    ASSERT_TRUE(result);
    const auto got = (*result)[0].values<float>();
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (i / 16 == 5)
        EXPECT_TRUE(std::isnan(got[i])) << i;
      else
        EXPECT_NEAR(got[i], expected[i], 4e-6) << i;
    }
  }
}

TEST(Attention, EmptyDimensions) {
  TestRandom random(8);
  for (const bool safe : {true, false})
    check(random_problem({.heads = 2, .kv_heads = 1, .queries = 3, .keys = 0, .safe = safe}, random));
  check(random_problem({.queries = 0, .keys = 5}, random));
  check(random_problem({.batch = 0, .queries = 4, .keys = 5}, random));
  check(random_problem({.queries = 6, .keys = 5, .depth = 0}, random));
  check(random_problem({.queries = 6, .keys = 5, .value_depth = 0}, random));
  check(random_problem({.batch = 0, .heads = 1ll << 40, .kv_heads = 1ll << 40, .queries = 1ll << 50, .keys = 1ll << 40},
                       random));
}

TEST(Attention, RefusesWhatDoesNotFit) {
  TestRandom random(9);
  Problem p = random_problem({.heads = 3, .kv_heads = 2, .queries = 4, .keys = 5}, random);
  const auto op = prepare(p.descriptor(), test_targets().back());
  const auto result = run_op(*op, p.inputs(), {p.output()});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, testing::HasSubstr("heads do not divide"));
  AttentionDescriptor half = p.descriptor();
  half.dtype = DType::f16;
  const Candidate* candidate = find_candidate("intaglio.attention_f32", own_candidates());
  EXPECT_EQ(candidate->refuses(half, test_targets().back()), "f32 only, not f16");
}

}  // namespace
}  // namespace intaglio::ops
