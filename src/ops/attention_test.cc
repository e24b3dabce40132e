// Attention against float64, in every layout, mask and blocking; bits independent of the thread count.
#include "ops/attention_test_util.h"

namespace intaglio::ops {
namespace {

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
        for (const auto blind : kBlind) {
          Case c = base;
          c.mask = mask;
          c.mask_shape = shape;
          c.causal = causal;
          c.blind = blind;
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
      for (const auto blind : kBlind) {
        Problem p = random_problem({.heads = 2,
                                    .kv_heads = 2,
                                    .queries = 9,
                                    .keys = keys,
                                    .blind = blind,
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
        check(p);
      }
    }
  }
}

TEST(Attention, NanReachesItsRowOnly) {
  TestRandom random(7);
  Problem p = random_problem({.heads = 1, .kv_heads = 1, .queries = 30, .keys = 30}, random);
  const Expected expected = reference(p);
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
        EXPECT_NEAR(got[i], expected.y[i], 4e-6) << i;
    }
  }
}

TEST(Attention, EmptyDimensions) {
  TestRandom random(8);
  for (const auto blind : kBlind)
    check(random_problem({.heads = 2, .kv_heads = 1, .queries = 3, .keys = 0, .blind = blind}, random));
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
  const Candidate* candidate = find_candidate("intaglio.attention", own_candidates());
  EXPECT_EQ(candidate->refuses(half, test_targets().back()), "f32 and bf16 only, not f16");
}

}  // namespace
}  // namespace intaglio::ops
