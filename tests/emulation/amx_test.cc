// AMX against plain loops. On a CPU that has AMX the same cases run natively and judge the loops.
#include <gtest/gtest.h>
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "tests/emulation/emulator.h"

#define TILES [[gnu::target("amx-tile,amx-int8,amx-bf16")]]

namespace intaglio::emulation {
namespace {

struct alignas(64) Config {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
  void set(int tile, int tile_rows, int tile_row_bytes) {
    rows[tile] = static_cast<std::uint8_t>(tile_rows);
    row_bytes[tile] = static_cast<std::uint16_t>(tile_row_bytes);
  }
  bool operator==(const Config& other) const { return std::memcmp(this, &other, sizeof(*this)) == 0; }
};
static_assert(sizeof(Config) == 64);

// GCC's intrinsics of tiles do not say that they read and write memory.
void memory_barrier() {
  asm volatile("" ::: "memory");
}

TILES void configure(const Config& config) {
  memory_barrier();
  _tile_loadconfig(&config);
}
TILES void release() {
  _tile_release();
}

class EmulatedAmx : public testing::Test {
 protected:
  void SetUp() override {
    if (runs("amx") == Runs::none) GTEST_SKIP() << "this machine has no amx and too little to emulate it on";
    before_ = executed();
  }
  void TearDown() override {
    if (runs("amx") != Runs::none) release();
    if (runs("amx") == Runs::emulated) {
      EXPECT_GT(executed(), before_);
    }
  }
  std::mt19937 random_{20260817};

 private:
  std::uint64_t before_ = 0;
};

// A matrix of bytes with a pitch; what lies between the rows is known.
struct Bytes {
  Bytes(int rows_, int columns_, int pitch_) : rows(rows_), columns(columns_), pitch(pitch_) {
    data.assign(static_cast<std::size_t>(rows) * static_cast<std::size_t>(pitch), 0x5A);
  }
  std::uint8_t* row(int i) { return data.data() + i * pitch; }
  const std::uint8_t* row(int i) const { return data.data() + i * pitch; }
  void fill(std::mt19937& random) {
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) row(i)[j] = static_cast<std::uint8_t>(random() >> 7);
    }
  }
  int rows, columns, pitch;
  std::vector<std::uint8_t> data;
};

enum class Op { ssd, sud, usd, uud, bf16 };
constexpr Op kOps[] = {Op::ssd, Op::sud, Op::usd, Op::uud, Op::bf16};

TILES void multiply(Op op) {
  switch (op) {
    case Op::ssd:
      _tile_dpbssd(0, 1, 2);
      break;
    case Op::sud:
      _tile_dpbsud(0, 1, 2);
      break;
    case Op::usd:
      _tile_dpbusd(0, 1, 2);
      break;
    case Op::uud:
      _tile_dpbuud(0, 1, 2);
      break;
    case Op::bf16:
      _tile_dpbf16ps(0, 1, 2);
      break;
  }
}

// c += a b by the instruction.
TILES void by_tiles(Op op, Bytes& c, const Bytes& a, const Bytes& b) {
  Config config;
  config.set(0, c.rows, c.columns);
  config.set(1, a.rows, a.columns);
  config.set(2, b.rows, b.columns);
  memory_barrier();
  _tile_loadconfig(&config);
  _tile_loadd(0, c.data.data(), c.pitch);
  _tile_stream_loadd(1, a.data.data(), a.pitch);
  _tile_loadd(2, b.data.data(), b.pitch);
  multiply(op);
  _tile_stored(0, c.data.data(), c.pitch);
  memory_barrier();
  _tile_release();
}

int widen(std::uint8_t byte, bool is_signed) {
  return is_signed ? static_cast<std::int8_t>(byte) : byte;
}

float flush(float x) {
  return std::fabs(x) < FLT_MIN ? std::copysign(0.0f, x) : x;
}
float bf16(const std::uint8_t* at) {
  const std::uint32_t bits = static_cast<std::uint32_t>(at[0] << 16) | static_cast<std::uint32_t>(at[1]) << 24;
  float value;
  std::memcpy(&value, &bits, 4);
  return flush(value);
}

// c += a b by plain loops.
void by_loops(Op op, Bytes& c, const Bytes& a, const Bytes& b) {
  for (int m = 0; m < c.rows; ++m) {
    for (int n = 0; n < c.columns / 4; ++n) {
      if (op == Op::bf16) {
        float sum, even = 0, odd = 0;
        std::memcpy(&sum, c.row(m) + 4 * n, 4);
        for (int k = 0; k < b.rows; ++k) {
          even = flush(std::fma(bf16(a.row(m) + 4 * k), bf16(b.row(k) + 4 * n), even));
          odd = flush(std::fma(bf16(a.row(m) + 4 * k + 2), bf16(b.row(k) + 4 * n + 2), odd));
        }
        sum = flush(flush(sum) + flush(even + odd));
        std::memcpy(c.row(m) + 4 * n, &sum, 4);
        continue;
      }
      const bool a_signed = op == Op::ssd || op == Op::sud, b_signed = op == Op::ssd || op == Op::usd;
      std::uint32_t sum;
      std::memcpy(&sum, c.row(m) + 4 * n, 4);
      for (int k = 0; k < 4 * b.rows; ++k) {
        sum += static_cast<std::uint32_t>(widen(a.row(m)[k], a_signed) * widen(b.row(k / 4)[4 * n + k % 4], b_signed));
      }
      std::memcpy(c.row(m) + 4 * n, &sum, 4);
    }
  }
}

// Finite values: bf16 of all exponents from denormal to where sixteen products stay far from infinity.
void fill_bf16(Bytes& bytes, std::mt19937& random) {
  for (int i = 0; i < bytes.rows; ++i) {
    for (int j = 0; j + 1 < bytes.columns; j += 2) {
      const unsigned kind = random() % 8, mantissa = random() & 0x7F, sign = random() & 0x8000;
      const unsigned exponent = kind == 0 ? 0 : kind == 1 ? 64 + random() % 4 : 120 + random() % 16;
      const unsigned bits = sign | exponent << 7 | mantissa;
      bytes.row(i)[j] = static_cast<std::uint8_t>(bits);
      bytes.row(i)[j + 1] = static_cast<std::uint8_t>(bits >> 8);
    }
  }
}
void fill_f32(Bytes& bytes, std::mt19937& random) {
  for (int i = 0; i < bytes.rows; ++i) {
    for (int j = 0; j < bytes.columns; j += 4) {
      const float value = random() % 4 == 0 ? 1e-39f : std::uniform_real_distribution<float>(-100, 100)(random);
      std::memcpy(bytes.row(i) + j, &value, 4);
    }
  }
}

void check_product(Op op, int m, int n, int k, std::mt19937& random) {
  Bytes a(m, 4 * k, 4 * k + static_cast<int>(random() % 70)), b(k, 4 * n, 4 * n + static_cast<int>(random() % 70));
  Bytes c(m, 4 * n, 4 * n + static_cast<int>(random() % 70));
  if (op == Op::bf16) {
    fill_bf16(a, random);
    fill_bf16(b, random);
    fill_f32(c, random);
  } else {
    a.fill(random);
    b.fill(random);
    c.fill(random);
  }
  Bytes expected = c;
  by_loops(op, expected, a, b);
  by_tiles(op, c, a, b);
  ASSERT_EQ(c.data, expected.data) << "op " << static_cast<int>(op) << ", m " << m << ", n " << n << ", k " << k;
}

TEST_F(EmulatedAmx, ProductsOfAllShapes) {
  for (const Op op : kOps) {
    for (int m = 1; m <= 16; m += m < 3 ? 1 : 13) {
      for (int n = 1; n <= 16; ++n) {
        for (int k = 1; k <= 16; ++k) ASSERT_NO_FATAL_FAILURE(check_product(op, m, n, k, random_));
      }
    }
    for (int m = 1; m <= 16; ++m) ASSERT_NO_FATAL_FAILURE(check_product(op, m, 16, 16, random_));
  }
}

TEST_F(EmulatedAmx, ExtremesWrapAround) {
  for (const Op op : {Op::ssd, Op::sud, Op::usd, Op::uud}) {
    for (const int left : {0x80, 0xFF, 0x7F}) {
      for (const int right : {0x80, 0xFF, 0x7F}) {
        Bytes a(16, 64, 64), b(16, 64, 64), c(16, 64, 64);
        std::fill(a.data.begin(), a.data.end(), static_cast<std::uint8_t>(left));
        std::fill(b.data.begin(), b.data.end(), static_cast<std::uint8_t>(right));
        for (std::size_t i = 0; i < c.data.size(); i += 4) {
          const std::uint32_t edge = i % 8 == 0 ? 0x7FFFFFFF : 0x80000000;
          std::memcpy(&c.data[i], &edge, 4);
        }
        Bytes expected = c;
        by_loops(op, expected, a, b);
        by_tiles(op, c, a, b);
        ASSERT_EQ(c.data, expected.data);
      }
    }
  }
}

// dest += left right for any three tiles, with every tile loaded: the others must stay as they are.
template <int dest, int left, int right>
TILES void check_tiles() {
  Config config;
  std::uint8_t before[8][16][16], after[8][16][16];  // 4 rows of 4 dwords would do; all 16 rows show the rest is zero
  for (int t = 0; t < 8; ++t) {
    config.set(t, 4, 16);
    for (int i = 0; i < 16; ++i) {
      for (int j = 0; j < 16; ++j) before[t][i][j] = static_cast<std::uint8_t>(t * 31 + i * 7 + j);
    }
  }
  memory_barrier();
  _tile_loadconfig(&config);
#define LOAD(t)  _tile_loadd(t, before[t], 16);
#define STORE(t) _tile_stored(t, after[t], 16);
  LOAD(0)
  LOAD(1)
  LOAD(2)
  LOAD(3)
  LOAD(4)
  LOAD(5) LOAD(6) LOAD(7) asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(dest), "i"(left), "i"(right));
  STORE(0) STORE(1) STORE(2) STORE(3) STORE(4) STORE(5) STORE(6) STORE(7) memory_barrier();
#undef LOAD
#undef STORE
  _tile_release();
  for (int t = 0; t < 8; ++t) {
    Bytes expected(4, 16, 16), a(4, 16, 16), b(4, 16, 16);
    std::memcpy(expected.data.data(), before[t], 64);
    std::memcpy(a.data.data(), before[left], 64);
    std::memcpy(b.data.data(), before[right], 64);
    if (t == dest) by_loops(Op::usd, expected, a, b);
    EXPECT_EQ(std::memcmp(after[t], expected.data.data(), 64), 0) << "tile " << t << " of " << dest << left << right;
  }
}

TEST_F(EmulatedAmx, AnyThreeTiles) {
  check_tiles<0, 1, 2>();
  check_tiles<7, 6, 5>();
  check_tiles<3, 7, 0>();
  check_tiles<5, 0, 4>();
  check_tiles<1, 2, 6>();
}

// Loads with base, index, scale and displacement as written, stores with others.
#define CHECK_ADDRESSING(base, index, scale, disp)                                                                 \
  do {                                                                                                             \
    std::memset(to, 0xEE, sizeof(to));                                                                             \
    const std::int64_t start = reinterpret_cast<std::int64_t>(from) - (disp),                                      \
                       end = reinterpret_cast<std::int64_t>(to) - (disp);                                          \
    asm volatile("mov %0, %%" base "\n\tmov %1, %%" index "\n\ttileloadd " #disp "(%%" base ",%%" index "," #scale \
                 "), %%tmm4\n\tmov %2, %%" base "\n\tmov $64, %%" index "\n\ttilestored %%tmm4, " #disp "(%%" base \
                 ",%%" index ",1)" ::"r"(start),                                                                   \
                 "r"(std::int64_t{80 / (scale)}), "r"(end)                                                         \
                 : base, index, "memory");                                                                         \
    for (int i = 0; i < 5; ++i) {                                                                                  \
      EXPECT_EQ(std::memcmp(to + 64 * i, from + 80 * i, 36), 0) << base " " index " " #scale " " #disp " " << i;   \
      EXPECT_EQ(to[64 * i + 36], 0xEE);                                                                            \
    }                                                                                                              \
  } while (false)

TEST_F(EmulatedAmx, Addressing) {
  std::uint8_t from[5 * 80], to[5 * 64];
  for (std::size_t i = 0; i < sizeof(from); ++i) from[i] = static_cast<std::uint8_t>(random_());
  Config config;
  config.set(4, 5, 36);
  configure(config);
  CHECK_ADDRESSING("rax", "r8", 1, 0);
  CHECK_ADDRESSING("rcx", "r9", 2, 64);
  CHECK_ADDRESSING("rdx", "r10", 4, -128);
  CHECK_ADDRESSING("rbx", "r11", 8, 4096);
  CHECK_ADDRESSING("rsi", "r12", 1, -4096);
  CHECK_ADDRESSING("rdi", "r13", 2, 0);
  CHECK_ADDRESSING("r12", "rcx", 4, 0);
  CHECK_ADDRESSING("r13", "rax", 8, 0);
  CHECK_ADDRESSING("r13", "r12", 1, 8);
  CHECK_ADDRESSING("r14", "rdx", 1, 100000);
  CHECK_ADDRESSING("r15", "rsi", 2, 4);
  CHECK_ADDRESSING("r8", "r15", 2, 127);
  CHECK_ADDRESSING("r9", "r14", 8, -1);
  CHECK_ADDRESSING("r10", "rdi", 1, 128);
  CHECK_ADDRESSING("r11", "rbx", 1, 0);
}

TEST_F(EmulatedAmx, StrideZeroAndNegative) {
  std::uint8_t from[16 * 64], to[16 * 64];
  for (std::size_t i = 0; i < sizeof(from); ++i) from[i] = static_cast<std::uint8_t>(random_());
  Config config;
  config.set(3, 16, 64);
  configure(config);
  asm volatile("tileloadd (%0), %%tmm3" ::"r"(from + 64) : "memory");
  asm volatile("tilestored %%tmm3, (%0,%1,1)" ::"r"(to), "r"(std::int64_t{64}) : "memory");
  for (int i = 0; i < 16; ++i) EXPECT_EQ(std::memcmp(to + 64 * i, from + 64, 64), 0);
  asm volatile("tileloaddt1 (%0,%1,2), %%tmm3" ::"r"(from + 15 * 64), "r"(std::int64_t{-32}) : "memory");
  asm volatile("tilestored %%tmm3, (%0,%1,1)" ::"r"(to), "r"(std::int64_t{64}) : "memory");
  for (int i = 0; i < 16; ++i) EXPECT_EQ(std::memcmp(to + 64 * i, from + 64 * (15 - i), 64), 0);
}

TILES Config current_config() {
  Config config;
  config.set(5, 1, 1);
  memory_barrier();
  _tile_storeconfig(&config);
  memory_barrier();
  return config;
}

TEST_F(EmulatedAmx, ConfigurationIsStoredAndZeroesTiles) {
  Config nothing;
  nothing.palette = 0;
  EXPECT_TRUE(current_config() == nothing);
  Config config;
  config.set(0, 16, 64);
  config.set(7, 3, 4);
  configure(config);
  EXPECT_TRUE(current_config() == config);
  std::array<std::uint8_t, 1024> ones, stored;
  ones.fill(1);
  const auto load = [&] { asm volatile("tileloadd (%0,%1,1), %%tmm0" ::"r"(ones.data()), "r"(64l) : "memory"); };
  const auto store = [&] { asm volatile("tilestored %%tmm0, (%0,%1,1)" ::"r"(stored.data()), "r"(64l) : "memory"); };
  const std::array<std::uint8_t, 1024> zeros{};
  store();
  EXPECT_EQ(stored, zeros);
  load();
  store();
  EXPECT_EQ(stored, ones);
  asm volatile("tilezero %tmm0");
  store();
  EXPECT_EQ(stored, zeros);
  load();
  configure(config);  // the same one zeroes too
  store();
  EXPECT_EQ(stored, zeros);
  release();
  EXPECT_TRUE(current_config() == nothing);
}

TEST_F(EmulatedAmx, EachThreadHasItsOwnTiles) {
  Config mine;
  mine.set(6, 2, 8);
  configure(mine);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      std::mt19937 random(t);
      for (int i = 0; i < 200; ++i) {
        const auto size = [&] { return 1 + static_cast<int>(random() % 16); };
        const int m = size(), n = size(), k = size();
        check_product(kOps[(t + static_cast<unsigned>(i)) % 5], m, n, k, random);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(current_config() == mine);
}

// What a CPU answers with a signal ends with a message here.
class EmulatedAmxDeath : public EmulatedAmx {
 protected:
  void SetUp() override {
    EmulatedAmx::SetUp();
    if (runs("amx") != Runs::emulated) GTEST_SKIP() << "amx is not emulated here, the messages are the emulator's";
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    release();
  }
};

TEST_F(EmulatedAmxDeath, BadConfigurations) {
  Config config;
  config.palette = 2;
  EXPECT_DEATH(configure(config), "palette 2");
  config = Config{};
  config.set(1, 17, 64);
  EXPECT_DEATH(configure(config), "tile 1 has 17 rows");
  config.set(1, 16, 65);
  EXPECT_DEATH(configure(config), "tile 1 has 16 rows of 65");
  config.set(1, 0, 64);
  EXPECT_DEATH(configure(config), "one of them zero");
  config.set(1, 16, 64);
  config.reserved[3] = 1;
  EXPECT_DEATH(configure(config), "reserved byte 5");
  config.reserved[3] = 0;
  config.rows[8] = 1;
  EXPECT_DEATH(configure(config), "reserved byte 56");
}

TEST_F(EmulatedAmxDeath, UnconfiguredTiles) {
  std::uint8_t bytes[1024] = {};
  EXPECT_DEATH(asm volatile("tilezero %tmm0"), "tilezero: no tiles are configured");
  Config config;
  config.set(0, 16, 64);
  configure(config);
  EXPECT_DEATH(asm volatile("tilezero %tmm1"), "tilezero: tile 1 is not configured");
  EXPECT_DEATH(asm volatile("tileloadd (%0,%1,1), %%tmm2" ::"r"(bytes), "r"(64l)), "tileloadd: tile 2 is not");
  EXPECT_DEATH(asm volatile("tilestored %%tmm3, (%0,%1,1)" ::"r"(bytes), "r"(64l)), "tilestored: tile 3 is not");
}

TEST_F(EmulatedAmxDeath, TilesThatDoNotFit) {
  const auto product = [](int m, int a_bytes, int k, int b_bytes, int c_rows, int c_bytes) {
    Config config;
    config.set(0, c_rows, c_bytes);
    config.set(1, m, a_bytes);
    config.set(2, k, b_bytes);
    configure(config);
    multiply(Op::ssd);
  };
  EXPECT_DEATH(product(8, 64, 16, 64, 7, 64), "do not fit");  // rows of the result
  EXPECT_DEATH(product(8, 64, 15, 64, 8, 64), "do not fit");  // k
  EXPECT_DEATH(product(8, 64, 16, 60, 8, 64), "do not fit");  // columns
  EXPECT_DEATH(product(8, 64, 16, 62, 8, 62), "do not fit");  // columns that are no dwords
}

TEST_F(EmulatedAmxDeath, InaccessibleMemoryIsASegmentationFault) {
  Config config;
  config.set(0, 16, 64);
  configure(config);
  EXPECT_DEATH(asm volatile("tileloadd (%0,%1,1), %%tmm0" ::"r"(8l), "r"(64l)), "");
}

#ifdef __SANITIZE_ADDRESS__
TEST_F(EmulatedAmxDeath, AddressSanitizerSeesTheMemoryOfTiles) {
  const std::vector<std::uint8_t> bytes(1023);
  Config config;
  config.set(0, 16, 64);
  configure(config);
  EXPECT_DEATH(asm volatile("tileloadd (%0,%1,1), %%tmm0" ::"r"(bytes.data()), "r"(64l)), "heap-buffer-overflow");
}
#endif

TEST_F(EmulatedAmxDeath, OtherIllegalInstructionsStayFatal) {
  EXPECT_EXIT(asm volatile("ud2"), testing::KilledBySignal(SIGILL), "not emulated: 0f 0b");
}

}  // namespace
}  // namespace intaglio::emulation
