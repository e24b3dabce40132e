// The main() of test programs whose kernels may be of levels that this CPU lacks. A case that executed emulated
// instructions says how many in its report, as the property `emulated_instructions`.
#include <gtest/gtest.h>

#include <string>

#include "tests/emulation/emulator.h"

namespace {

class RecordEmulation : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override { before_ = intaglio::emulation::executed(); }
  void OnTestEnd(const testing::TestInfo&) override {
    const std::uint64_t count = intaglio::emulation::executed() - before_;
    if (count != 0) testing::Test::RecordProperty("emulated_instructions", std::to_string(count));
  }

  std::uint64_t before_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  intaglio::emulation::install();
  testing::UnitTest::GetInstance()->listeners().Append(new RecordEmulation);
  return RUN_ALL_TESTS();
}
