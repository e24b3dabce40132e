// Vector registers in a made-up XSAVE area: a component that is not marked as in use is zeros, whatever its bytes say.
#include "tests/emulation/frame.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/emulation/machine.h"

namespace intaglio::emulation {
namespace {

class EmulatedFrame : public testing::Test {
 protected:
  void SetUp() override {
    if (runs("avx512") == Runs::none) GTEST_SKIP() << "this machine has no avx512, its frames have no such registers";
    learn_frame_layout();
    const std::uint32_t mark = 0x46505853;
    std::memcpy(&area_[464], &mark, sizeof(mark));
    set_in_use(0);
    context_.uc_mcontext.fpregs = reinterpret_cast<fpregset_t>(area_.data());
  }
  std::uint64_t in_use() const {
    std::uint64_t marks;
    std::memcpy(&marks, &area_[512], sizeof(marks));
    return marks;
  }
  void set_in_use(std::uint64_t marks) { std::memcpy(&area_[512], &marks, sizeof(marks)); }

  std::vector<std::uint8_t> area_ = std::vector<std::uint8_t>(16384, 0xA5);
  ucontext_t context_ = {};
};

Vector filled(int from, int to) {
  Vector v{};
  for (int i = from; i < to; ++i) v[i] = static_cast<std::uint8_t>(i + 1);
  return v;
}

TEST_F(EmulatedFrame, UnusedComponentsAreZerosAndComeToLifeAsZeros) {
  Frame frame(context_);
  ASSERT_TRUE(frame.has_vectors());
  for (int i = 0; i < 32; ++i) ASSERT_EQ(frame.vector(i), Vector{}) << i;
  for (int i = 0; i < 8; ++i) ASSERT_EQ(frame.mask(i), 0u);
  frame.set_vector(3, Vector{});
  EXPECT_EQ(in_use(), 0u);
  frame.set_vector(3, filled(0, 16));
  EXPECT_EQ(in_use(), 0x2u);
  frame.set_vector(4, filled(0, 32));
  EXPECT_EQ(in_use(), 0x6u);
  frame.set_vector(5, filled(0, 64));
  EXPECT_EQ(in_use(), 0x46u);
  frame.set_vector(20, filled(0, 64));
  EXPECT_EQ(in_use(), 0xC6u);
  for (int i = 0; i < 32; ++i) {
    const int bytes = i == 3 ? 16 : i == 4 ? 32 : i == 5 || i == 20 ? 64 : 0;
    EXPECT_EQ(frame.vector(i), filled(0, bytes)) << i;
  }
  frame.set_vector(5, filled(0, 16));
  EXPECT_EQ(frame.vector(5), filled(0, 16));
}

TEST_F(EmulatedFrame, WithoutAnXsaveAreaThereAreNoVectors) {
  area_[464] = 0;
  EXPECT_FALSE(Frame(context_).has_vectors());
  context_.uc_mcontext.fpregs = nullptr;
  EXPECT_FALSE(Frame(context_).has_vectors());
}

}  // namespace
}  // namespace intaglio::emulation
