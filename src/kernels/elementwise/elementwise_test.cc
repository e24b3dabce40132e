// Every row of the table against the scalar row: all ops, all counts near the vector lengths, uniform sources, guard
// pages, bits independent of the position.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/elementwise/table.h"
#include "kernels/gemm/gemm_test_util.h"

namespace intaglio::kernels::elementwise {
namespace {

using gemm::Edge;
using gemm::Guarded;

constexpr float kInf = std::numeric_limits<float>::infinity();

class Rows : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!gemm::machine_has(row().isa)) GTEST_SKIP() << row().name << ": this machine has no " << row().isa;
  }
  const KernelRow& row() const { return kKernels[GetParam()]; }
};

class ApplyRows : public Rows {};
class ConvertRows : public Rows {};

std::vector<std::size_t> rows_of(Group group) {
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < kKernelCount; ++i) {
    if (kKernels[i].group == group) rows.push_back(i);
  }
  return rows;
}

float random_value() {
  const float specials[] = {0.0f, -0.0f, 1.0f, -1.0f, kInf, -kInf, std::nanf(""), 0.5f, -2.5f, 3e38f, 1e-40f};
  const std::size_t pick = gemm::random_size(0, 43);
  return pick < 11 ? specials[pick] : gemm::random_float(-6.0f, 6.0f);
}

// Equal, both NaN, or within 6 ulp plus 6 eps |first source| for the approximated functions.
bool close(float got, float expected, float x) {
  if (got == expected || (std::isnan(got) && std::isnan(expected))) return true;
  return std::fabs(got - expected) <= 7e-7f * (std::fabs(expected) + std::min(std::fabs(x), 10.0f)) + 1e-44f;
}

TEST_P(ApplyRows, AsTheScalarRow) {
  for (std::size_t o = 0; o < kOpCount; ++o) {
    const OpFacts& facts = kOps[o];
    if (!facts.vector) continue;
    for (std::size_t count = 0; count < 70; count += count < 18 ? 1 : 7) {
      for (int uniform = 0; uniform < 1 << facts.sources; ++uniform) {
        const Edge edge = (count + static_cast<std::size_t>(uniform)) % 2 == 0 ? Edge::back : Edge::front;
        const std::size_t sizes[3] = {(uniform & 1) != 0 ? 1 : count, (uniform & 2) != 0 ? 1 : count,
                                      (uniform & 4) != 0 ? 1 : count};
        const bool chooses = facts.result == ResultRule::chosen;
        Guarded<float> a(sizes[0], edge), b(sizes[1], edge), c(sizes[2], edge);
        Guarded<std::uint8_t> condition(sizes[0], edge);
        for (Guarded<float>* each : {&a, &b, &c}) {
          for (std::size_t i = 0; i < each->size(); ++i) (*each)[i] = random_value();
        }
        for (std::size_t i = 0; i < condition.size(); ++i)
          condition[i] = static_cast<std::uint8_t>(gemm::random_size(0, 2));
        const bool truth = facts.result == ResultRule::truth;
        Guarded<float> y(truth ? 0 : count, edge);
        Guarded<std::uint8_t> t(truth ? count : 0, edge);
        Args args;
        args.op = static_cast<Op>(o);
        args.source[0] = chooses ? static_cast<const void*>(condition.data()) : a.data();
        args.source[1] = b.data();
        args.source[2] = c.data();
        for (int s = 0; s < 3; ++s) args.uniform[s] = (uniform >> s & 1) != 0;
        args.alpha = -0.75;
        args.beta = 1.5;
        args.count = count;
        args.out = truth ? static_cast<void*>(t.data()) : y.data();
        row().kernel(args);
        std::vector<float> expected(count);
        std::vector<std::uint8_t> expected_truth(count);
        args.out = truth ? static_cast<void*>(expected_truth.data()) : expected.data();
        apply_any_1x1_1x1_scalar(args);
        ASSERT_TRUE(y.surroundings_intact() && t.surroundings_intact()) << facts.name << " " << count;
        for (std::size_t i = 0; i < count; ++i) {
          const float x = a.size() > 1 || count == 1 ? a[std::min(i, a.size() - 1)] : a.size() == 1 ? a[0] : 0;
          if (truth)
            ASSERT_EQ(t[i], expected_truth[i]) << facts.name << " of " << x;
          else
            ASSERT_TRUE(close(y[i], expected[i], x))
                << facts.name << " of " << x << ": " << y[i] << ", expected " << expected[i];
        }
      }
    }
  }
}

TEST_P(ApplyRows, BitsDoNotDependOnThePosition) {
  std::vector<float> x(67);
  for (float& each : x) each = random_value();
  for (std::size_t o = 0; o < kOpCount; ++o) {
    if (!kOps[o].vector || kOps[o].sources != 1 || kOps[o].result != ResultRule::same) continue;
    Args args;
    args.op = static_cast<Op>(o);
    args.beta = 1.0;
    std::vector<float> whole(x.size());
    args.source[0] = x.data();
    args.out = whole.data();
    args.count = x.size();
    row().kernel(args);
    for (std::size_t i = 0; i < x.size(); ++i) {
      float alone = 0;
      args.source[0] = &x[i];
      args.out = &alone;
      args.count = 1;
      row().kernel(args);
      ASSERT_EQ(std::memcmp(&alone, &whole[i], sizeof alone), 0) << kOps[o].name << " " << x[i];
    }
  }
}

// Bytes of one element of every type holding a value; written out by the scalar conversion, which its own test judges.
TEST_P(ConvertRows, AsTheScalarRow) {
  constexpr std::size_t kSizes[] = {4, 8, 2, 2, 1, 1, 2, 2, 4, 4, 8, 8, 1};
  for (std::size_t from = 0; from < 13; ++from) {
    for (std::size_t to = 0; to < 13; ++to) {
      const auto source = static_cast<DType>(from), target = static_cast<DType>(to);
      if (std::string_view(row().isa) != "scalar" && !vector_converts(source, target)) continue;
      for (std::size_t count = 0; count < 40; ++count) {
        for (const bool uniform : {false, true}) {
          const Edge edge = count % 2 == 0 ? Edge::back : Edge::front;
          Guarded<std::uint8_t> x((uniform ? 1 : count) * kSizes[from], edge), y(count * kSizes[to], edge);
          for (std::size_t i = 0; i < x.size(); ++i) x[i] = gemm::random_byte();
          if (source == DType::f32 && x.size() >= 4) {
            for (std::size_t i = 0; i < x.size() / 4; ++i) {
              const float scales[] = {1.0f, 300.0f, 1e5f, 4e9f, 1e-3f, 1e-7f, 0.0f};
              const float value =
                  count % 3 == 0 ? random_value() * scales[i % 7] : gemm::random_float() * scales[i % 7];
              if (i % 5 != 4) std::memcpy(x.data() + i * 4, &value, 4);  // else random bits
            }
          }
          Args args;
          args.op = Op::cast;
          args.type = source;
          args.to = target;
          args.source[0] = x.data();
          args.uniform[0] = uniform;
          args.count = count;
          args.out = y.data();
          row().kernel(args);
          ASSERT_TRUE(y.surroundings_intact());
          std::vector<std::uint64_t> storage(count + 1);
          args.out = storage.data();
          convert_any_1x1_1x1_scalar(args);
          const auto* expected = reinterpret_cast<const std::uint8_t*>(storage.data());
          for (std::size_t i = 0; i < count; ++i) {
            const bool equal = std::memcmp(y.data() + i * kSizes[to], expected + i * kSizes[to], kSizes[to]) == 0;
            if (equal) continue;
            // NaN: payloads are not specified.
            std::uint16_t half = 0;
            std::memcpy(&half, y.data() + i * kSizes[to], 2 <= kSizes[to] ? 2 : 1);
            const bool nan16 = (target == DType::f16 && (half & 0x7fff) > 0x7c00) ||
                               (target == DType::bf16 && (half & 0x7fff) > 0x7f80);
            float wide = 0;
            if (target == DType::f32) std::memcpy(&wide, y.data() + i * 4, 4);
            ASSERT_TRUE(nan16 || std::isnan(wide)) << from << " -> " << to << " element " << i << " of " << count;
          }
        }
      }
    }
  }
}

std::string name_of(const testing::TestParamInfo<std::size_t>& each) {
  return kKernels[each.param].name;
}
INSTANTIATE_TEST_SUITE_P(Table, ApplyRows, testing::ValuesIn(rows_of(Group::apply)), name_of);
INSTANTIATE_TEST_SUITE_P(Table, ConvertRows, testing::ValuesIn(rows_of(Group::convert)), name_of);

}  // namespace
}  // namespace intaglio::kernels::elementwise
