// Every row of the tables against the scalar rows, between guard pages.
#include "kernels/attention/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/half.h"
#include "kernels/attention/table.h"
#include "kernels/gemm/gemm_test_util.h"

namespace intaglio::kernels::attention {
namespace {

using gemm::Edge;
using gemm::Guarded;
using gemm::random_float;
using gemm::random_size;

class AttentionSoftmax : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!gemm::machine_has(row().isa)) GTEST_SKIP() << row().name << ": this machine has no " << row().isa;
  }
  const SoftmaxRow& row() const { return kSoftmaxKernels[GetParam()]; }
};

// Element `at` of the probabilities, as a share of 1.
double probability(const SoftmaxRow& row, const SoftmaxArgs& args, std::size_t r, std::size_t j) {
  const std::size_t at = r * args.out_pitch + j;
  switch (row.type) {
    case Probabilities::f32:
      return args.scores[r * args.pitch + j];
    case Probabilities::bf16:
      return to_float(static_cast<const BFloat16*>(args.out)[at]);
    case Probabilities::u8:
      return static_cast<const std::uint8_t*>(args.out)[at] / 255.0;
  }
  return 0;
}

void check_softmax(const SoftmaxRow& row, std::size_t keys, Mask mask, std::size_t key_step, bool causal) {
  const std::size_t rows = random_size(1, 5), pitch = keys + random_size(0, 3);
  const Edge edge = keys % 2 == 0 ? Edge::back : Edge::front;
  const std::size_t mask_pitch = key_step == 0 ? 1 : keys + 2;
  const std::size_t mask_size = keys == 0 ? 0 : (rows - 1) * mask_pitch + (key_step == 0 ? 1 : keys);
  Guarded<float> scores(keys == 0 ? 0 : (rows - 1) * pitch + keys, edge),
      added(mask == Mask::added ? mask_size : 0, edge);
  Guarded<std::uint8_t> kept(mask == Mask::kept ? mask_size : 0, edge);
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = random_float(-30, 30);
  for (std::size_t i = 0; i < added.size(); ++i) added[i] = i % 7 == 3 ? -INFINITY : random_float(-2, 2);
  for (std::size_t i = 0; i < kept.size(); ++i) kept[i] = static_cast<std::uint8_t>(random_size(0, 2));
  Guarded<float> max(rows, edge), sum(rows, edge), rescale(rows, edge);
  for (std::size_t r = 0; r < rows; ++r) {
    const bool fresh = r % 2 == 0;
    max[r] = fresh ? -INFINITY : random_float(-4, 4);
    sum[r] = fresh ? 0.0f : random_float(1, 9);
  }
  const std::vector<float> before(sum.data(), sum.data() + rows);
  SoftmaxArgs args;
  args.scores = scores.data();
  args.pitch = pitch;
  args.rows = rows;
  args.keys = keys;
  args.visible = causal ? random_size(0, keys) : keys;
  args.visible_step = causal ? 1 : 0;
  args.scale = 0.125f;
  args.mask = mask;
  args.mask_data = mask == Mask::kept ? static_cast<const void*>(kept.data()) : added.data();
  args.mask_row_step = mask_pitch;
  args.mask_key_step = key_step;
  args.max = max.data();
  args.sum = sum.data();
  args.rescale = rescale.data();
  const std::size_t width = row.type == Probabilities::u8 ? 1 : 2;
  const std::size_t out_bytes = keys == 0 || row.type == Probabilities::f32 ? 0 : ((rows - 1) * pitch + keys) * width;
  Guarded<std::uint8_t> out(out_bytes, edge);
  args.out = out.data();
  args.out_pitch = pitch;
  std::vector<float> s(scores.data(), scores.data() + scores.size()), m(max.data(), max.data() + rows),
      t(sum.data(), sum.data() + rows), f(rows);
  SoftmaxArgs reference = args;
  reference.scores = s.data();
  reference.max = m.data();
  reference.sum = t.data();
  reference.rescale = f.data();
  row.kernel(args);
  softmax_f32_1x1_1x1_scalar(reference);
  ASSERT_TRUE(scores.surroundings_intact() && max.surroundings_intact() && sum.surroundings_intact() &&
              rescale.surroundings_intact() && out.surroundings_intact());
  // Rounding to a byte and to 8 bits of mantissa, and the short exponentials.
  const bool bytes = row.type == Probabilities::u8, exact = row.type == Probabilities::f32;
  const double unit = exact ? 1 : bytes ? 255 : 1;
  const double off = exact ? 1e-5 : bytes ? 0.51 / 255 + 2e-4 : 2e-4, part = exact || bytes ? 0 : 0x1p-8;
  for (std::size_t r = 0; r < rows; ++r) {
    // fused and separate roundings of scale and mask differ by an ulp of the score
    ASSERT_TRUE(max[r] == m[r] || std::abs(max[r] - m[r]) < 2e-6f) << max[r] << " " << m[r];
    const double begun = m[r] == -INFINITY || t[r] == 0 ? 0 : before[r] * f[r];  // sums of bytes count in 255ths
    const double want = begun + (t[r] - begun) * unit;
    ASSERT_NEAR(sum[r], want, (exact ? 1e-5 * want : 2e-4 * want + (bytes ? 0.51 * static_cast<double>(keys) : 0)))
        << keys;
    ASSERT_NEAR(rescale[r], f[r], 1e-5f);
    for (std::size_t j = 0; j < keys; ++j) {
      const double p = s[r * pitch + j];
      ASSERT_NEAR(probability(row, args, r, j), p, off + part * p) << r << " " << j;
    }
  }
}

TEST_P(AttentionSoftmax, AsTheScalarRow) {
  for (std::size_t keys = 0; keys < 150; keys += keys < 70 ? 1 : 13) {
    for (const Mask mask : {Mask::none, Mask::kept, Mask::added}) {
      for (const std::size_t key_step : {0, 1}) {
        for (const bool causal : {false, true}) check_softmax(row(), keys, mask, key_step, causal);
      }
    }
  }
}

TEST_P(AttentionSoftmax, NanIsNotLost) {
  for (const float hidden : {-INFINITY, 1.0f}) {
    float scores[] = {hidden, hidden, std::nanf(""), hidden, hidden}, max = -INFINITY, sum = 0, rescale = 0;
    float out[5];
    SoftmaxArgs args;
    args.out = out;
    args.scores = scores;
    args.rows = 1;
    args.keys = args.visible = 5;
    args.max = &max;
    args.sum = &sum;
    args.rescale = &rescale;
    row().kernel(args);
    EXPECT_TRUE(std::isnan(sum)) << hidden;
  }
}

// The instruction that rounds to bf16 loses denormals and quiets NaN by itself: nothing that matters here.
TEST(AttentionSoftmaxBits, OfBothAvx512RowsAreEqual) {
  if (!gemm::machine_has("avx512_bf16")) GTEST_SKIP() << "this machine has no avx512_bf16";
  constexpr std::size_t kKeys = 403;
  std::vector<float> scores(kKeys);
  for (std::size_t i = 0; i < kKeys; ++i) scores[i] = i < 300 ? -0.3f * static_cast<float>(i) : random_float(-30, 30);
  for (const float special : {0.0f, -INFINITY, std::nanf("0x123456"), -std::nanf("1"), INFINITY}) {
    scores[77] = special;
    std::vector<BFloat16> out[2];
    float sum[2] = {0, 0};
    for (const bool bf16 : {false, true}) {
      std::vector<float> copy = scores;
      float max = -INFINITY, rescale = 0;
      out[bf16].resize(kKeys);
      SoftmaxArgs args;
      args.scores = copy.data();
      args.rows = 1;
      args.keys = args.visible = kKeys;
      args.max = &max;
      args.sum = &sum[bf16];
      args.rescale = &rescale;
      args.out = out[bf16].data();
      (bf16 ? softmax_bf16_1x64_1x1_avx512_bf16 : softmax_bf16_1x64_1x1_avx512)(args);
    }
    ASSERT_EQ(std::memcmp(out[0].data(), out[1].data(), kKeys * sizeof(BFloat16)), 0) << special;
    ASSERT_EQ(std::memcmp(&sum[0], &sum[1], sizeof(float)), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Table, AttentionSoftmax, testing::Range(std::size_t{0}, kSoftmaxKernelCount),
                         [](const auto& each) { return std::string(kSoftmaxKernels[each.param].name); });

class AttentionValues : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!gemm::machine_has(row().isa)) GTEST_SKIP() << row().name << ": this machine has no " << row().isa;
  }
  const ValuesRow& row() const { return kValuesKernels[GetParam()]; }
};

TEST_P(AttentionValues, AsTheScalarRow) {
  const bool bytes = row().type == Values::s8;
  for (std::size_t keys = 0; keys < 140; keys += keys < 20 ? 1 : 17) {
    for (const std::size_t depth : {0, 1, 15, 16, 17, 32, 64, 80}) {
      const Edge edge = (keys + depth) % 2 == 0 ? Edge::back : Edge::front;
      const std::size_t pitch = depth + random_size(0, 4),
                        count = keys == 0 || depth == 0 ? 0 : (keys - 1) * pitch + depth;
      Guarded<float> floats(bytes ? count : 0, edge), scale(bytes ? depth : 0, edge);
      Guarded<BFloat16> halves(bytes ? 0 : count, edge);
      for (std::size_t i = 0; i < floats.size(); ++i) floats[i] = i % 5 == 1 ? 0.0f : random_float();
      for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = to_bfloat16(random_float());
      const std::size_t panel = bytes ? (keys + 63) / 64 * 1024 : (keys + 31) / 32 * 1024;
      std::vector<std::uint8_t> storage((depth + 15) / 16 * panel + 64), expected(storage.size());
      auto* out = reinterpret_cast<std::uint8_t*>((reinterpret_cast<std::uintptr_t>(storage.data()) + 63) / 64 * 64);
      std::vector<float> expected_scale(depth);
      ValuesArgs args{bytes ? static_cast<const void*>(floats.data()) : halves.data(),
                      pitch,
                      keys,
                      depth,
                      out,
                      panel,
                      scale.data()};
      row().kernel(args);
      ASSERT_TRUE(scale.surroundings_intact());
      args.out = expected.data();
      args.scale = expected_scale.data();
      (bytes ? pack_values_s8_4x1_1x1_scalar : pack_values_bf16_2x1_1x1_scalar)(args);
      for (std::size_t i = 0; i < (depth + 15) / 16 * panel; ++i) ASSERT_EQ(out[i], expected[i]) << i << " " << keys;
      for (std::size_t d = 0; d < scale.size(); ++d) ASSERT_EQ(scale[d], expected_scale[d]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, AttentionValues, testing::Range(std::size_t{0}, kValuesKernelCount),
                         [](const auto& each) { return std::string(kValuesKernels[each.param].name); });

class AttentionMove : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!gemm::machine_has(row().isa)) GTEST_SKIP() << row().name << ": this machine has no " << row().isa;
  }
  const MoveRow& row() const { return kMoveKernels[GetParam()]; }
};

TEST_P(AttentionMove, AsTheScalarRow) {
  const MoveKernel references[] = {pack_keys_f32_1x1_1x1_scalar, pack_values_f32_1x16_1x1_scalar,
                                   dot_f32_1x1_1x1_scalar, mix_f32_1x1_1x1_scalar};
  const Move move = row().move;
  for (std::size_t keys = 0; keys < 40; keys += keys < 20 ? 1 : 5) {
    for (const std::size_t depth : {0, 1, 7, 8, 15, 16, 17, 32, 63, 64, 80, 130}) {
      const Edge edge = (keys + depth) % 2 == 0 ? Edge::back : Edge::front;
      const std::size_t pitch = depth + random_size(0, 4);
      const std::size_t outs[] = {(keys + 15) / 16 * 16 * depth, (depth + 15) / 16 * 16 * keys, keys, depth};
      Guarded<float> source(keys == 0 || depth == 0 ? 0 : (keys - 1) * pitch + depth, edge);
      Guarded<float> weights(move == Move::dot   ? depth
                             : move == Move::mix ? keys
                                                 : 0,
                             edge),
          out(outs[static_cast<int>(move)], edge);
      for (Guarded<float>* each : {&source, &weights, &out}) {
        for (std::size_t i = 0; i < each->size(); ++i) (*each)[i] = random_float();
      }
      std::vector<float> expected(out.data(), out.data() + out.size());
      MoveArgs args{source.data(), pitch, keys, depth, weights.data(), keys % 2 == 0, out.data()};
      row().kernel(args);
      ASSERT_TRUE(out.surroundings_intact());
      args.out = expected.data();
      references[static_cast<int>(move)](args);
      const bool exact = move == Move::pack_keys || move == Move::pack_values;
      for (std::size_t i = 0; i < out.size(); ++i)
        ASSERT_NEAR(out[i], expected[i], exact ? 0.0f : 1e-5f) << i << " " << keys << " " << depth;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, AttentionMove, testing::Range(std::size_t{0}, kMoveKernelCount),
                         [](const auto& each) { return std::string(kMoveKernels[each.param].name); });

}  // namespace
}  // namespace intaglio::kernels::attention
