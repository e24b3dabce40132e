// Keys that a mask hides: before, behind and between those that are seen, with and without causal, in every dtype. What
// is hidden from all rows is as good as absent, to the bit; shares of the threads follow what is seen.
#include "ops/attention_test_util.h"
#include "ops/attention_visible.h"

namespace intaglio::ops {
namespace {

constexpr float kLowest = std::numeric_limits<float>::lowest(), kNever = -std::numeric_limits<float>::infinity();

// How keys are hidden: by a bool mask, or by what is added.
struct Hiding {
  AttentionMask mask = AttentionMask::kept;
  float hidden = 0;
};
constexpr Hiding kHidings[] = {
    {AttentionMask::kept, 0}, {AttentionMask::added, kNever}, {AttentionMask::added, kLowest}};

// The mask of p, of its mask_shape, by a function of (batch, query, key) that tells what is seen.
template <class Sees>
void hide(Problem& p, const Hiding& hiding, Sees&& sees) {
  const Shape& s = p.c.mask_shape;
  std::vector<float> added;
  std::vector<std::uint8_t> kept;
  for (std::int64_t at = 0; at < *element_count(s); ++at) {
    const bool seen = sees(at / (s[1] * s[2] * s[3]), at / s[3] % s[2], at % s[3]);
    kept.push_back(seen ? 1 : 0);
    added.push_back(seen ? static_cast<float>(at % 7) * 0.25f : hiding.hidden);
  }
  p.mask = hiding.mask == AttentionMask::added ? TestTensor::of(s, added) : TestTensor::of(s, kept);
  if (hiding.mask == AttentionMask::kept) p.mask.type.dtype = DType::boolean;
}

class PaddedAttention : public testing::TestWithParam<Form> {};

// Of p, keys begin .. end - 1 only, without mask.
Problem cut(const Problem& p, std::int64_t begin, std::int64_t end) {
  Problem out = p;
  out.c.keys = end - begin;
  out.c.mask = AttentionMask::none;
  for (TestTensor* each : {&out.k, &out.v}) {
    const auto all = floats_of(*each);
    const std::int64_t row = each->type.shape[3];
    std::vector<float> kept;
    for (std::int64_t h = 0; h < p.c.batch * p.c.kv_heads; ++h) {
      kept.insert(kept.end(), all.begin() + (h * p.c.keys + begin) * row, all.begin() + (h * p.c.keys + end) * row);
    }
    *each = tensor_of(p.c.form.dtype, {p.c.batch, p.c.kv_heads, end - begin, row}, kept);
  }
  return out;
}

// Puts NaN where nothing may be read.
void poison(Problem& p, std::int64_t begin, std::int64_t end) {
  for (TestTensor* each : {&p.k, &p.v}) {
    auto values = floats_of(*each);
    const auto row = static_cast<std::size_t>(each->type.shape[3]);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto key = static_cast<std::int64_t>(i / row) % p.c.keys;
      if (key < begin || key >= end) values[i] = NAN;
    }
    *each = tensor_of(p.c.form.dtype, each->type.shape, values);
  }
}

TEST_P(PaddedAttention, IsAbsentToTheBit) {
  TestRandom random(1);
  struct {
    std::int64_t queries, keys, begin, end;
  } const cases[] = {{20, 50, 0, 33},     {20, 50, 17, 50},     {1, 90, 41, 90},    {3, 90, 41, 42},
                     {50, 700, 131, 700}, {50, 1100, 130, 771}, {4, 1100, 130, 771}};
  for (const auto& each : cases) {
    for (const Hiding& hiding : kHidings) {
      for (const std::int64_t mask_rows : {std::int64_t{1}, each.queries}) {
        Case c{.heads = 4, .kv_heads = 2, .queries = each.queries, .keys = each.keys, .form = GetParam()};
        c.mask = hiding.mask;
        c.mask_shape = {1, 1, mask_rows, each.keys};
        SCOPED_TRACE(describe(c));
        Problem padded = random_problem(c, random);
        hide(padded, hiding, [&](auto, auto, auto j) { return j >= each.begin && j < each.end; });
        poison(padded, each.begin, each.end);
        Problem alone = cut(padded, each.begin, each.end);
        if (hiding.mask == AttentionMask::added) {
          alone.c.mask = AttentionMask::added;
          alone.c.mask_shape = {1, 1, mask_rows, each.end - each.begin};
          const std::vector<float> all = floats_of(padded.mask);
          std::vector<float> kept;
          for (std::int64_t row = 0; row < mask_rows; ++row)
            kept.insert(kept.end(), all.begin() + row * each.keys + each.begin,
                        all.begin() + row * each.keys + each.end);
          alone.mask = TestTensor::of(alone.c.mask_shape, kept);
        }
        for (const Target& target : test_targets()) {
          const auto without = run_op(*prepare(alone.descriptor(), target), alone.inputs(), {alone.output()});
          ASSERT_TRUE(without);
          for (const int threads : {1, 2, 3}) {
            const auto with =
                run_op(*prepare(padded.descriptor(), target), padded.inputs(), {padded.output()}, threads);
            ASSERT_TRUE(with);
            ASSERT_EQ((*with)[0].bytes, (*without)[0].bytes) << threads << " threads";
          }
        }
      }
    }
  }
}

// Sequences of several lengths, padded before or behind, causal or not; rows of padding see nothing, or, hidden by
// finite numbers, the mean.
TEST_P(PaddedAttention, SequencesOfABatch) {
  TestRandom random(2);
  const std::int64_t length = 110, lengths[] = {110, 61, 3, 0};
  for (const Hiding& hiding : kHidings) {
    for (const unsigned bits : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}) {
      const bool causal = (bits & 1) != 0, left = (bits & 2) != 0, rows = (bits & 4) != 0;
      Case c{.batch = 4, .heads = 2, .kv_heads = 1, .queries = length, .keys = length, .causal = causal};
      c.blind = kBlind[(bits + static_cast<unsigned>(hiding.mask)) % 3];
      c.mask = hiding.mask;
      c.mask_shape = {4, 1, rows ? length : 1, length};
      c.form = GetParam();
      Problem p = random_problem(c, random);
      hide(p, hiding, [&](auto b, auto, auto j) { return left ? j >= length - lengths[b] : j < lengths[b]; });
      check(p);
    }
  }
}

// As exporters of decoders write it: causal and padding in one mask with rows.
TEST_P(PaddedAttention, CausalInsideTheMask) {
  TestRandom random(3);
  for (const Hiding& hiding : kHidings) {
    for (const std::int64_t window : {1000, 20}) {
      const std::int64_t length = 150, lengths[] = {150, 70};
      Case c{.batch = 2, .heads = 2, .kv_heads = 2, .queries = length, .keys = length, .mask = hiding.mask};
      c.mask_shape = {2, 1, length, length};
      c.form = GetParam();
      Problem p = random_problem(c, random);
      hide(p, hiding, [&](auto b, auto i, auto j) { return j >= length - lengths[b] && j <= i && j > i - window; });
      check(p);
    }
  }
}

// Keys between the seen ones, and rows of which some see nothing; masks of heads.
TEST_P(PaddedAttention, HolesAndHeads) {
  TestRandom random(4);
  for (const Hiding& hiding : kHidings) {
    for (const bool causal : {false, true}) {
      Case c{.batch = 2, .heads = 4, .kv_heads = 2, .queries = 100, .keys = 140, .causal = causal, .mask = hiding.mask};
      c.form = GetParam();
      c.mask_shape = {2, 1, 1, 140};
      Problem p = random_problem(c, random);
      hide(p, hiding, [](auto b, auto, auto j) { return j > 20 && (j < 40 || j > 101 + b); });
      check(p);
      c.mask_shape = {1, 4, 100, 140};
      Problem q = random_problem(c, random);
      std::int64_t at = 0;
      hide(q, hiding, [&](auto, auto i, auto j) {
        const std::int64_t head = at++ / (100 * 140);
        return i % 9 != 4 && (j * 7 + i + head * 13) % 31 < 9 && j >= head * 20;
      });
      check(q);
    }
  }
}

// Beyond 512 keys blocks of different rows begin and end in different blocks of keys.
TEST_P(PaddedAttention, ManyKeys) {
  TestRandom random(5);
  for (const Hiding& hiding : kHidings) {
    Case c{.heads = 2, .kv_heads = 1, .queries = 130, .keys = 1300, .mask = hiding.mask};
    c.mask_shape = {1, 1, 130, 1300};
    c.form = GetParam();
    Problem p = random_problem(c, random);
    hide(p, hiding, [](auto, auto i, auto j) { return j >= 100 + 9 * i && j < 260 + 8 * i; });
    Problem plain = p;
    plain.c.form.compute = AttentionCompute::plain;  // see RunningMaximaBeyond512Keys
    const Expected expected = reference(plain);
    for (const Target& target : test_targets()) {
      const auto op = prepare(p.descriptor(), target);
      const auto one = run_op(*op, p.inputs(), {p.output()}, 1);
      ASSERT_TRUE(one);
      for (const int threads : {2, 3}) {
        const auto more = run_op(*op, p.inputs(), {p.output()}, threads, true);
        ASSERT_TRUE(more);
        ASSERT_EQ((*one)[0].bytes, (*more)[0].bytes);
      }
      const auto got = floats_of((*one)[0]);
      const bool int8 = c.form.compute == AttentionCompute::int8;
      for (std::size_t i = 0; i < got.size(); ++i)
        ASSERT_NEAR(got[i], expected.y[i], int8 ? 0.1 : expected.allowed[i]) << i << " " << op->facts().kernel;
    }
  }
}

// Shares of 1 to 16 threads: in order, of all items, and even in the pairs of a query and a key that it sees.
void check_shares(const Problem& p) {
  SCOPED_TRACE(describe(p.c));
  const std::vector<TestTensor> inputs = p.inputs();
  std::vector<Operand> types;
  std::vector<const void*> in;
  for (const TestTensor& input : inputs) {
    types.push_back(input.type);
    in.push_back(input.bytes.data());
  }
  const Operand result[] = {p.output()};
  const AttentionDescriptor d = p.descriptor();
  const auto binding = bind_attention(d, {types, result, {}, 1}, 6);
  ASSERT_TRUE(binding);
  (*binding)->reserve_scratch(0);
  const AttentionBinding& b = **binding;
  std::vector<KeyRange> table(static_cast<std::size_t>(b.visible.size()) + 1);
  const RunArgs args{in.data(), nullptr, reinterpret_cast<std::byte*>(table.data()), nullptr};
  const VisibleKeys visible(d, b, args);
  visible.fill({0, b.visible.size()});
  const auto pairs_of = [&](std::int64_t item) {
    const std::int64_t block = item % b.query_blocks, head = item / b.query_blocks;
    const KeyRange seen = visible.of(head / b.heads, head % b.heads, block);
    const std::int64_t rows = std::min(b.query_block, b.queries - block * b.query_block);
    return static_cast<double>(rows * (seen.end - seen.begin));
  };
  for (const int threads : {1, 2, 3, 5, 16}) {
    std::int64_t next = 0;
    double most = 0, all = 0, largest = 0;
    for (int index = 0; index < threads; ++index) {
      const Range share = visible.share({index, threads, 0});
      ASSERT_EQ(share.begin, next);
      next = share.end;
      double pairs = 0;
      for (std::int64_t item = share.begin; item < share.end; ++item) {
        largest = std::max(largest, pairs_of(item));
        pairs += pairs_of(item);
      }
      most = std::max(most, pairs);
      all += pairs;
    }
    ASSERT_EQ(next, b.split.total);
    EXPECT_LE(most, all / threads * 1.05 + 1.5 * largest) << threads << " threads";
  }
}

TEST(AttentionShares, FollowWhatIsSeen) {
  TestRandom random(6);
  for (const AttentionCompute compute : {AttentionCompute::plain, AttentionCompute::int8}) {
    for (const bool causal : {false, true}) {
      for (const Shape& mask_shape : {Shape{}, Shape{3, 1, 1, 900}, Shape{3, 1, 900, 900}, Shape{3, 4, 1, 900}}) {
        Case c{.batch = 3, .heads = 4, .kv_heads = 2, .queries = 900, .keys = 900, .causal = causal};
        c.form.compute = compute;
        c.mask = mask_shape.empty() ? AttentionMask::none : AttentionMask::kept;
        c.mask_shape = mask_shape;
        Problem p = random_problem(c, random);
        if (!mask_shape.empty()) hide(p, kHidings[0], [](auto b, auto, auto j) { return j >= b * 280; });
        check_shares(p);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Forms, PaddedAttention,
    testing::Values(Form{DType::f32, AttentionCompute::plain}, Form{DType::bf16, AttentionCompute::plain},
                    Form{DType::f32, AttentionCompute::int8}, Form{DType::bf16, AttentionCompute::int8}),
    [](const auto& each) {
      return std::string(name_of(each.param.dtype)) + (each.param.compute == AttentionCompute::int8 ? "_int8" : "");
    });

}  // namespace
}  // namespace intaglio::ops
