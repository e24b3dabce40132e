// Every row of the tables against the scalar rows, between guard pages.
#include "kernels/attention/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

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
              rescale.surroundings_intact());
  for (std::size_t r = 0; r < rows; ++r) {
    // fused and separate roundings of scale and mask differ by an ulp of the score
    ASSERT_TRUE(max[r] == m[r] || std::abs(max[r] - m[r]) < 2e-6f) << max[r] << " " << m[r];
    ASSERT_NEAR(sum[r], t[r], 1e-5f * t[r]) << keys;
    ASSERT_NEAR(rescale[r], f[r], 1e-5f);
    for (std::size_t j = 0; j < keys; ++j) ASSERT_NEAR(scores[r * pitch + j], s[r * pitch + j], 1e-5f) << r << " " << j;
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
    SoftmaxArgs args;
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

INSTANTIATE_TEST_SUITE_P(Table, AttentionSoftmax, testing::Range(std::size_t{0}, kSoftmaxKernelCount),
                         [](const auto& each) { return std::string(kSoftmaxKernels[each.param].name); });

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
