// Attention in bf16 and with 8-bit products: every layout, depth, mask and blocking; bits independent of the threads.
#include "ops/attention_test_util.h"

namespace intaglio::ops {
namespace {

constexpr Form kForms[] = {{DType::bf16, AttentionCompute::plain},
                           {DType::f32, AttentionCompute::int8},
                           {DType::bf16, AttentionCompute::int8}};

class NarrowAttention : public testing::TestWithParam<Form> {};

TEST_P(NarrowAttention, DepthsAndLengths) {
  TestRandom random(1);
  for (const std::int64_t depth : {1, 32, 37, 64, 80, 128, 256}) {
    for (const std::int64_t length : {1, 3, 16, 49, 100}) {
      check(random_problem({.batch = 2,
                            .heads = 2,
                            .kv_heads = 2,
                            .queries = length,
                            .keys = length,
                            .depth = depth,
                            .value_depth = depth,
                            .form = GetParam()},
                           random));
    }
  }
}

TEST_P(NarrowAttention, LayoutsAndGroups) {
  TestRandom random(2);
  for (const auto layout : {AttentionLayout::bhsd, AttentionLayout::bshd, AttentionLayout::packed}) {
    for (const std::int64_t kv_heads : {1, 2, 6}) {
      for (const std::int64_t length : {5, 65}) {
        for (const bool causal : {false, true}) {
          check(random_problem({.batch = 2,
                                .heads = 6,
                                .kv_heads = kv_heads,
                                .queries = length,
                                .keys = length,
                                .depth = 24,
                                .value_depth = 24,
                                .causal = causal,
                                .layout = layout,
                                .form = GetParam()},
                               random));
        }
      }
    }
  }
}

TEST_P(NarrowAttention, MasksOfRows) {
  TestRandom random(3);
  for (const auto mask : {AttentionMask::kept, AttentionMask::added}) {
    for (const bool causal : {false, true}) {
      for (const auto blind : kBlind) {
        check(random_problem({.batch = 2,
                              .heads = 4,
                              .kv_heads = 2,
                              .queries = 21,
                              .keys = 35,
                              .causal = causal,
                              .blind = blind,
                              .mask = mask,
                              .mask_shape = {2, 4, 21, 35},
                              .form = GetParam()},
                             random));
      }
    }
  }
}

TEST_P(NarrowAttention, WhollyHiddenRows) {
  TestRandom random(4);
  for (const auto blind : kBlind) {
    Problem p = random_problem({.heads = 2,
                                .kv_heads = 1,
                                .queries = 5,
                                .keys = 20,
                                .blind = blind,
                                .mask = AttentionMask::kept,
                                .mask_shape = {1, 1, 1, 20},
                                .form = GetParam()},
                               random);
    std::fill(p.mask.bytes.begin(), p.mask.bytes.end(), std::byte{0});
    check(p);
  }
}

// With running maxima the bytes of a block are those of its own maximum: only f32 is a simple reference then.
TEST_P(NarrowAttention, RunningMaximaBeyond512Keys) {
  TestRandom random(5);
  for (const std::int64_t keys : {513, 1100}) {
    for (const bool causal : {false, true}) {
      Problem p = random_problem(
          {.heads = 2, .kv_heads = 1, .queries = 53, .keys = keys, .causal = causal, .form = GetParam()}, random);
      Problem plain = p;
      plain.c.form.compute = AttentionCompute::plain;
      const Expected expected = reference(plain);
      for (const Target& target : test_targets()) {
        const auto op = prepare(p.descriptor(), target);
        const auto one = run_op(*op, p.inputs(), {p.output()}, 1), three = run_op(*op, p.inputs(), {p.output()}, 3);
        ASSERT_TRUE(one && three);
        ASSERT_EQ((*one)[0].bytes, (*three)[0].bytes);
        const auto got = floats_of((*one)[0]);
        for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected.y[i], 0.1) << i;
      }
    }
  }
}

TEST_P(NarrowAttention, EmptyDimensions) {
  TestRandom random(7);
  for (const auto blind : kBlind) {
    check(random_problem({.heads = 2, .kv_heads = 1, .queries = 3, .keys = 0, .blind = blind, .form = GetParam()},
                         random));
  }
  check(random_problem({.queries = 0, .keys = 5, .form = GetParam()}, random));
  check(random_problem({.batch = 0, .queries = 4, .keys = 5, .form = GetParam()}, random));
  check(random_problem({.queries = 6, .keys = 5, .depth = 0, .form = GetParam()}, random));
  check(random_problem({.queries = 6, .keys = 5, .value_depth = 0, .form = GetParam()}, random));
}

// The memory of callers: aligned to an element, not to what a kernel would like. Under the sanitizers.
TEST_P(NarrowAttention, MemoryAlignedToElements) {
  TestRandom random(8);
  const Problem p = random_problem(
      {.heads = 2, .kv_heads = 1, .queries = 7, .keys = 20, .depth = 64, .value_depth = 64, .form = GetParam()},
      random);
  const std::size_t skip = size_of(GetParam().dtype);
  const std::vector<TestTensor> given = p.inputs();
  std::vector<Operand> types;
  std::vector<Buffer> memory;
  std::vector<const void*> in;
  for (const TestTensor& each : given) {
    types.push_back(each.type);
    memory.push_back(*Buffer::allocate(each.bytes.size() + skip));
    std::memcpy(memory.back().data() + skip, each.bytes.data(), each.bytes.size());
    in.push_back(memory.back().data() + skip);
  }
  const std::vector<Operand> outputs{p.output()};
  for (const Target& target : test_targets()) {
    const auto op = prepare(p.descriptor(), target);
    const auto aligned = run_op(*op, given, outputs);
    const auto binding = op->bind({types, outputs, {}, 1});
    ASSERT_TRUE(aligned && binding);
    const std::size_t bytes = (*aligned)[0].bytes.size();
    const Buffer scratch = *Buffer::allocate((*binding)->thread_scratch_bytes);
    const Buffer y = *Buffer::allocate(bytes + skip);
    void* const out[] = {y.data() + skip};
    op->run(**binding, {in.data(), out, scratch.data(), nullptr}, {});
    EXPECT_EQ(std::memcmp(out[0], (*aligned)[0].bytes.data(), bytes), 0) << op->facts().kernel;
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, NarrowAttention, testing::ValuesIn(kForms), [](const auto& each) {
  return std::string(name_of(each.param.dtype)) + (each.param.compute == AttentionCompute::int8 ? "_int8" : "");
});

}  // namespace
}  // namespace intaglio::ops
