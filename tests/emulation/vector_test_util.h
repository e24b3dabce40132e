// What the tests of vector instructions share.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

#include "tests/emulation/emulator.h"

namespace intaglio::emulation {

class EmulatedFp16 : public testing::Test {
 protected:
  void SetUp() override {
    if (runs("avx512_fp16") == Runs::none) GTEST_SKIP() << "this machine has no avx512_fp16 and no avx512";
  }
};

struct alignas(64) Block {
  std::uint8_t bytes[64];
};
inline Block random_block(std::mt19937& random) {
  Block block;
  for (std::uint8_t& byte : block.bytes) {
    byte = static_cast<std::uint8_t>(random() % 4 == 0 ? (random() % 2 == 0 ? 0x80 : 0xFF) : random() >> 5);
  }
  return block;
}

}  // namespace intaglio::emulation
