// Problems of attention and what they should give, for its tests: float64, with the roundings of the 16- and 8-bit
// forms.
#pragma once

#include <gmock/gmock.h>

#include <cmath>

#include <fmt/format.h>

#include "base/half.h"
#include "ops/attention.h"
#include "ops/linear_test_util.h"

namespace intaglio::ops {
namespace {

// The type of q, k, v and y, and how products are computed.
struct Form {
  DType dtype = DType::f32;
  AttentionCompute compute = AttentionCompute::plain;
};

constexpr AttentionBlind kBlind[] = {AttentionBlind::zero, AttentionBlind::nan, AttentionBlind::mean};

struct Case {
  std::int64_t batch = 1, heads = 1, kv_heads = 1, queries = 1, keys = 1, depth = 16, value_depth = 16;
  bool causal = false;
  AttentionBlind blind = AttentionBlind::zero;
  AttentionMask mask = AttentionMask::none;
  Shape mask_shape = {};
  AttentionLayout layout = AttentionLayout::bhsd;
  Form form = {};
};

std::string describe(const Case& c) {
  return fmt::format("B{} H{}/{} Sq{} Sk{} D{}/{} causal={} mask={} {} layout={} {}{}", c.batch, c.heads, c.kv_heads,
                     c.queries, c.keys, c.depth, c.value_depth, c.causal, static_cast<int>(c.mask),
                     to_string(c.mask_shape), static_cast<int>(c.layout), name_of(c.form.dtype),
                     c.form.compute == AttentionCompute::int8 ? " int8" : "");
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
    TestTensor rows{{c.form.dtype, {c.batch, c.queries, (c.heads + 2 * c.kv_heads) * c.depth}}, {}};
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
    if (c.layout != AttentionLayout::packed) return {c.form.dtype, output_rows()};
    return {c.form.dtype, {c.batch, c.queries, c.heads * c.value_depth}};
  }
  AttentionDescriptor descriptor() const {
    AttentionDescriptor d;
    d.dtype = c.form.dtype;
    d.compute = c.form.compute;
    d.layout = c.layout;
    if (c.layout == AttentionLayout::packed) {
      d.heads = c.heads;
      d.kv_heads = c.kv_heads;
    }
    d.mask = c.mask;
    d.scale = scale;
    d.causal = c.causal;
    d.blind = c.blind;
    return d;
  }
};

std::vector<float> floats_of(const TestTensor& tensor) {
  if (tensor.type.dtype == DType::f32) return tensor.values<float>();
  std::vector<float> out;
  for (const BFloat16 x : tensor.values<BFloat16>()) out.push_back(to_float(x));
  return out;
}
TestTensor tensor_of(DType dtype, const Shape& shape, const std::vector<float>& values) {
  if (dtype == DType::f32) return TestTensor::of(shape, values);
  std::vector<BFloat16> narrow;
  for (const float x : values) narrow.push_back(to_bfloat16(x));
  TestTensor out{{dtype, shape}, {}};
  out.bytes.resize(narrow.size() * sizeof(BFloat16));
  if (!narrow.empty()) std::memcpy(out.bytes.data(), narrow.data(), out.bytes.size());
  return out;
}

Problem random_problem(const Case& c, TestRandom& random) {
  Problem p;
  p.c = c;
  const auto tensor = [&](const Shape& shape) {
    return tensor_of(c.form.dtype, shape, random.floats(static_cast<std::size_t>(*element_count(shape)), -2, 2));
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

// `at` of count values as 8-bit codes and back: by `max / 127`.
template <class At>
void quantise(std::int64_t count, At&& at) {
  float max = 0;
  for (std::int64_t i = 0; i < count; ++i) max = std::max(max, std::abs(at(i)));
  const float scale = max == 0 ? 1.0f : max / 127.0f;
  for (std::int64_t i = 0; i < count; ++i) at(i) = std::nearbyint(at(i) / scale) * scale;
}

// The keys from the first to the last that a query of the heads that share a key head sees: all that there is of v. A
// row of which finite numbers hide everything sees all.
std::pair<std::int64_t, std::int64_t> seen_keys(const Problem& p, std::int64_t b, std::int64_t kv_head) {
  const std::int64_t group = p.c.heads / p.c.kv_heads;
  std::int64_t begin = p.c.keys, end = 0;
  for (std::int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
    for (std::int64_t i = 0; i < p.c.queries; ++i) {
      bool blind = true;
      for (const double least : {-1e37, -HUGE_VAL}) {
        for (std::int64_t j = 0; j < p.c.keys && blind; ++j) {
          if (mask_at(p, b, h, i, j) <= least) continue;
          begin = std::min(begin, least == -1e37 ? j : 0);
          for (std::int64_t l = j; l < p.c.keys; ++l) end = mask_at(p, b, h, i, l) > least ? std::max(end, l + 1) : end;
          blind = false;
        }
      }
    }
  }
  return {begin, std::max(begin, end)};
}

// q and k by row, v by column, of every head.
void quantise_operands(const Problem& p, std::vector<float>& q, std::vector<float>& k, std::vector<float>& v) {
  const Case& c = p.c;
  for (std::int64_t b = 0; b < c.batch; ++b) {
    for (std::int64_t h = 0; h < c.heads; ++h) {
      for (std::int64_t i = 0; i < c.queries; ++i)
        quantise(c.depth, [&](auto d) -> float& { return q[index_of(p.q.type.shape, c.layout, b, h, i, d)]; });
    }
    for (std::int64_t h = 0; h < c.kv_heads; ++h) {
      for (std::int64_t j = 0; j < c.keys; ++j)
        quantise(c.depth, [&](auto d) -> float& { return k[index_of(p.k.type.shape, c.layout, b, h, j, d)]; });
      const auto [begin, end] = seen_keys(p, b, h);
      for (std::int64_t d = 0; d < c.value_depth; ++d) {
        quantise(end - begin,
                 [&](auto j) -> float& { return v[index_of(p.v.type.shape, c.layout, b, h, begin + j, d)]; });
      }
    }
  }
}

// What column d of a row without a visible key is.
double blind_value(const Problem& p, std::int64_t b, std::int64_t kv_head, std::int64_t d) {
  if (p.c.blind == AttentionBlind::nan) return NAN;
  if (p.c.blind == AttentionBlind::zero || p.c.keys == 0) return 0;
  const std::vector<float> v = floats_of(p.v);
  double sum = 0;
  for (std::int64_t j = 0; j < p.c.keys; ++j) sum += v[index_of(p.v.type.shape, p.c.layout, b, kv_head, j, d)];
  return sum / static_cast<double>(p.c.keys);
}

struct Expected {
  std::vector<double> y, allowed;
};

// How far off a result may be, |v| <= 2. f32: scores within 2 D eps sum |q||k|. bf16: probabilities and the result are
// rounded to 8 bits, exponentials within 2e-4. int8, beside a reference that rounds alike: a tenth of the rows' bytes,
// and three of the large ones, fall to the other side of a tie.
double allowed_error(const Case& c, double y, double sum) {
  if (c.form.compute == AttentionCompute::int8) {
    const double flips = 2 * (3 + 0.1 * static_cast<double>(c.keys)) / std::max(sum, 1.0);
    return flips + (c.form.dtype == DType::bf16 ? std::abs(y) * 0x1p-8 : 0) + 1e-5;
  }
  return c.form.dtype == DType::bf16 ? 2 * (0x1p-8 + 2e-4) + std::abs(y) * 0x1p-8 : 4e-6;
}

Expected reference(const Problem& p) {
  const Case& c = p.c;
  Expected expected;
  if (*element_count(p.output().shape) == 0) return expected;
  auto q = floats_of(p.q), k = floats_of(p.k), v = floats_of(p.v);
  const bool int8 = c.form.compute == AttentionCompute::int8;
  if (int8) quantise_operands(p, q, k, v);
  const Shape ys = p.output_rows();
  std::vector<double>& y = expected.y;
  y.resize(static_cast<std::size_t>(*element_count(ys)));
  expected.allowed.resize(y.size());
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
          // In f32 the score is lost beside a mask of the lowest finite number.
          const double added = mask_at(p, b, h, i, j);
          w[static_cast<std::size_t>(j)] = added < -1e30 ? added : dot * p.scale + added;
          max = std::max(max, w[static_cast<std::size_t>(j)]);
        }
        for (double& x : w) {
          x = max == -INFINITY ? 0 : std::exp(x - max);
          if (int8) x = std::nearbyint(255 * x);
          sum += x;
        }
        for (std::int64_t d = 0; d < c.value_depth; ++d) {
          double out = 0;
          for (std::int64_t j = 0; j < c.keys; ++j)
            out += w[static_cast<std::size_t>(j)] * v[index_of(p.v.type.shape, c.layout, b, kh, j, d)];
          const std::size_t at = index_of(ys, c.layout, b, h, i, d);
          y[at] = sum != 0 ? out / sum : blind_value(p, b, kh, d);
          expected.allowed[at] = sum != 0                      ? allowed_error(c, y[at], sum)
                                 : c.form.dtype == DType::bf16 ? std::abs(y[at]) * 0x1p-8
                                                               : 4e-6;
        }
      }
    }
  }
  return expected;
}

std::unique_ptr<PreparedOp> prepare(const AttentionDescriptor& descriptor, const Target& target) {
  const Candidate* candidate = find_candidate("intaglio.attention", own_candidates());
  auto op = candidate->prepare(descriptor, {}, target);
  EXPECT_TRUE(op) << op.error().to_string();
  return std::move(*op);
}

void check(const Problem& p) {
  SCOPED_TRACE(describe(p.c));
  const Expected expected = reference(p);
  for (const Target& target : test_targets()) {
    const auto op = prepare(p.descriptor(), target);
    std::vector<std::byte> first;
    for (const int threads : {1, 2, 3, 7}) {
      const auto result = run_op(*op, p.inputs(), {p.output()}, threads);
      ASSERT_TRUE(result) << result.error().to_string();
      if (threads == 1) first = (*result)[0].bytes;
      ASSERT_EQ((*result)[0].bytes, first) << threads << " threads, " << op->facts().kernel;
    }
    const auto got = floats_of(TestTensor{p.output(), first});
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (std::isnan(expected.y[i])) {
        ASSERT_TRUE(std::isnan(got[i])) << i;
      } else {
        ASSERT_NEAR(got[i], expected.y[i], expected.allowed[i]) << i << " " << op->facts().kernel;
      }
    }
  }
}

}  // namespace
}  // namespace intaglio::ops
