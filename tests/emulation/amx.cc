// AMX: TILE, INT8 and BF16. Intel SDM, volume 2: the instructions' pages; volume 1, chapter 18: the tile state.
// What a CPU would refuse is refused here with a message. The state is the thread's own.
#include <xmmintrin.h>

#include <array>
#include <cstring>

#include "tests/emulation/families.h"
#include "tests/emulation/memory.h"

namespace intaglio::emulation {
namespace {

constexpr int kTiles = 8, kMaxRows = 16, kMaxRowBytes = 64, kConfigBytes = 64;
// Where the 64 bytes of a configuration keep what; every byte beside these must be zero.
constexpr int kPaletteAt = 0, kStartRowAt = 1, kRowBytesAt = 16, kRowsAt = 48;

struct Tile {
  int rows = 0, row_bytes = 0;  // 0: the tile is not configured
  std::uint8_t data[kMaxRows][kMaxRowBytes] = {};
};

struct Tiles {
  bool configured = false;
  int start_row = 0;
  Tile tile[kTiles];
};

constinit thread_local Tiles tiles;

void load_configuration(std::uint64_t address) {
  std::array<std::uint8_t, kConfigBytes> bytes;
  load(address, bytes.data(), bytes.size());
  const int palette = bytes[kPaletteAt];
  if (palette > 1) refuse("ldtilecfg: palette %d, only 0 and 1 exist", palette);
  if (palette == 0) {
    tiles = Tiles{};
    return;
  }
  Tiles fresh;
  fresh.configured = true;
  fresh.start_row = bytes[kStartRowAt];
  std::array<bool, kConfigBytes> known{};
  known[kPaletteAt] = known[kStartRowAt] = true;
  for (int i = 0; i < kTiles; ++i) {
    Tile& tile = fresh.tile[i];
    const int at = kRowBytesAt + 2 * i;
    tile.row_bytes = bytes[at] | bytes[at + 1] << 8;
    tile.rows = bytes[kRowsAt + i];
    known[at] = known[at + 1] = known[kRowsAt + i] = true;
    if (tile.rows > kMaxRows || tile.row_bytes > kMaxRowBytes) {
      refuse("ldtilecfg: tile %d has %d rows of %d bytes, at most 16 of 64 exist", i, tile.rows, tile.row_bytes);
    }
    if ((tile.rows == 0) != (tile.row_bytes == 0)) {
      refuse("ldtilecfg: tile %d has %d rows of %d bytes, one of them zero", i, tile.rows, tile.row_bytes);
    }
  }
  for (int i = 0; i < kConfigBytes; ++i) {
    if (!known[i] && bytes[i] != 0) refuse("ldtilecfg: the reserved byte %d is %d", i, bytes[i]);
  }
  tiles = fresh;
}

void store_configuration(std::uint64_t address) {
  std::array<std::uint8_t, kConfigBytes> bytes{};
  if (tiles.configured) {
    bytes[kPaletteAt] = 1;
    bytes[kStartRowAt] = static_cast<std::uint8_t>(tiles.start_row);
    for (int i = 0; i < kTiles; ++i) {
      bytes[kRowBytesAt + 2 * i] = static_cast<std::uint8_t>(tiles.tile[i].row_bytes);
      bytes[kRowsAt + i] = static_cast<std::uint8_t>(tiles.tile[i].rows);
    }
  }
  store(address, bytes.data(), bytes.size());
}

Tile& usable(const char* name, int number) {
  if (!tiles.configured) refuse("%s: no tiles are configured", name);
  if (number >= kTiles) refuse("%s: there is no tile %d", name, number);
  if (tiles.tile[number].rows == 0) refuse("%s: tile %d is not configured", name, number);
  return tiles.tile[number];
}

struct Rows {
  std::uint64_t first, stride;
};

// A tile's memory operand: the index register, scaled, is the distance between rows; no index is a distance of 0.
Rows rows_in_memory(const char* name, const Instruction& x, const Frame& frame) {
  if (!x.is_memory || !x.memory.has_sib) refuse("%s: the memory operand has no SIB byte", name);
  Rows rows{frame.base_address(x, 1), 0};
  if (x.memory.index != MemoryOperand::kNone) {
    rows.stride = frame.gpr(x.memory.index) * static_cast<std::uint64_t>(x.memory.scale);
  }
  return rows;
}

void load_tile(const Instruction& x, const Frame& frame) {
  const char* name = x.prefix == Prefix::f2 ? "tileloadd" : "tileloaddt1";
  Tile& tile = usable(name, x.reg);
  const Rows rows = rows_in_memory(name, x, frame);
  for (int i = tiles.start_row; i < tile.rows; ++i) {
    std::memset(tile.data[i], 0, kMaxRowBytes);
    load(rows.first + static_cast<std::uint64_t>(i) * rows.stride, tile.data[i],
         static_cast<std::size_t>(tile.row_bytes));
  }
  tiles.start_row = 0;
}

void store_tile(const Instruction& x, const Frame& frame) {
  const Tile& tile = usable("tilestored", x.reg);
  const Rows rows = rows_in_memory("tilestored", x, frame);
  for (int i = tiles.start_row; i < tile.rows; ++i) {
    store(rows.first + static_cast<std::uint64_t>(i) * rows.stride, tile.data[i],
          static_cast<std::size_t>(tile.row_bytes));
  }
  tiles.start_row = 0;
}

void zero_tile(int number) {
  Tile& tile = usable("tilezero", number);
  std::memset(tile.data, 0, sizeof(tile.data));
  tiles.start_row = 0;
}

// dest[m][n] += sum over k of a[m][k] * b[k][n], on elements of four bytes.
struct Product {
  Tile *dest, *a, *b;
};

Product operands(const char* name, const Instruction& x) {
  if (x.reg == x.rm || x.reg == x.vvvv || x.rm == x.vvvv) {
    refuse("%s: tiles %d, %d, %d: the three must differ", name, x.reg, x.rm, x.vvvv);
  }
  const Product p{&usable(name, x.reg), &usable(name, x.rm), &usable(name, x.vvvv)};
  const bool fits = p.dest->rows == p.a->rows && p.dest->row_bytes == p.b->row_bytes &&
                    p.a->row_bytes == 4 * p.b->rows && p.dest->row_bytes % 4 == 0;
  if (!fits) {
    refuse("%s: tiles of %dx%d, %dx%d and %dx%d (rows x bytes) do not fit", name, p.dest->rows, p.dest->row_bytes,
           p.a->rows, p.a->row_bytes, p.b->rows, p.b->row_bytes);
  }
  tiles.start_row = 0;
  return p;
}

constexpr int kMaxColumns = kMaxRowBytes / 4;

// int8: four products to a sum, all modulo 2^32. The SDM names the first source A (ModRM.rm), the second B (vvvv).
// AMX is emulated only where AVX2 and FMA are.
template <class A, class B>
[[gnu::target("avx2")]] void multiply_int8(const char* name, const Instruction& x) {
  const Product p = operands(name, x);
  int b[kMaxRows][4][kMaxColumns];
  for (int k = 0; k < p.b->rows; ++k) {
    for (int j = 0; j < 4; ++j) {
      for (int n = 0; n < kMaxColumns; ++n) b[k][j][n] = static_cast<B>(p.b->data[k][4 * n + j]);
    }
  }
  for (int m = 0; m < p.dest->rows; ++m) {
    std::uint32_t sums[kMaxColumns];
    std::memcpy(sums, p.dest->data[m], sizeof(sums));
    for (int k = 0; k < p.b->rows; ++k) {
      for (int j = 0; j < 4; ++j) {
        const int a = static_cast<A>(p.a->data[m][4 * k + j]);
        for (int n = 0; n < kMaxColumns; ++n) sums[n] += static_cast<std::uint32_t>(a * b[k][j][n]);
      }
    }
    std::memcpy(p.dest->data[m], sums, static_cast<std::size_t>(p.dest->row_bytes));
  }
}

float widen_bf16(const std::uint8_t* at) {
  const std::uint32_t bits = static_cast<std::uint32_t>(at[0] | at[1] << 8) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// bf16, as the SDM has it: the even and the odd elements of the pairs are summed apart by FMAs over all of k, then both
// sums are added, then that to the destination; rounding to nearest even, denormals are zeros on both sides: the
// caller's MXCSR says so. No analysis across calls, which could move arithmetic to before MXCSR is set.
[[gnu::target("avx2,fma"), gnu::noipa]] void multiply_pairs(const Product& p) {
  float b[kMaxRows][2][kMaxColumns];
  for (int k = 0; k < p.b->rows; ++k) {
    for (int j = 0; j < 2; ++j) {
      for (int n = 0; n < kMaxColumns; ++n) b[k][j][n] = widen_bf16(&p.b->data[k][4 * n + 2 * j]);
    }
  }
  for (int m = 0; m < p.dest->rows; ++m) {
    float parts[2][kMaxColumns] = {}, sums[kMaxColumns];
    for (int k = 0; k < p.b->rows; ++k) {
      for (int j = 0; j < 2; ++j) {
        const float a = widen_bf16(&p.a->data[m][4 * k + 2 * j]);
        for (int n = 0; n < kMaxColumns; ++n) parts[j][n] = __builtin_fmaf(a, b[k][j][n], parts[j][n]);
      }
    }
    std::memcpy(sums, p.dest->data[m], sizeof(sums));
    for (int n = 0; n < kMaxColumns; ++n) {
      const float both = parts[0][n] + parts[1][n];
      sums[n] = sums[n] + both;
    }
    std::memcpy(p.dest->data[m], sums, static_cast<std::size_t>(p.dest->row_bytes));
  }
}

void multiply_bf16(const Instruction& x) {
  const Product p = operands("tdpbf16ps", x);
  constexpr unsigned kNearestMaskedFlushing = 0x9FC0;
  _mm_setcsr(kNearestMaskedFlushing);  // the thread goes on with its own MXCSR, from the frame
  multiply_pairs(p);
}

// Opcode 49: configuration, release, zero.
bool execute_state(const Instruction& x, Frame& frame) {
  if (x.is_memory && x.reg == 0 && x.prefix == Prefix::none) {
    load_configuration(frame.address(x, 1));
  } else if (x.is_memory && x.reg == 0 && x.prefix == Prefix::x66) {
    store_configuration(frame.address(x, 1));
  } else if (!x.is_memory && x.reg == 0 && x.rm == 0 && x.prefix == Prefix::none) {
    tiles = Tiles{};
  } else if (!x.is_memory && x.rm == 0 && x.prefix == Prefix::f2) {
    zero_tile(x.reg);
  } else {
    return false;
  }
  return true;
}

bool execute_int8(const Instruction& x) {
  switch (x.prefix) {
    case Prefix::none:
      multiply_int8<std::uint8_t, std::uint8_t>("tdpbuud", x);
      return true;
    case Prefix::x66:
      multiply_int8<std::uint8_t, std::int8_t>("tdpbusd", x);
      return true;
    case Prefix::f3:
      multiply_int8<std::int8_t, std::uint8_t>("tdpbsud", x);
      return true;
    case Prefix::f2:
      multiply_int8<std::int8_t, std::int8_t>("tdpbssd", x);
      return true;
  }
  return false;
}

}  // namespace

bool execute_amx(const Instruction& x, Frame& frame) {
  if (x.evex || x.map != 2 || x.w || x.length_code != 0) return false;
  const bool takes_vvvv = x.opcode == 0x5C || x.opcode == 0x5E;
  if (!takes_vvvv && x.vvvv != 0) return false;
  if (takes_vvvv && x.is_memory) return false;
  if (x.opcode == 0x49) return execute_state(x, frame);
  if (x.opcode == 0x5E) return execute_int8(x);
  if (x.opcode == 0x5C && x.prefix == Prefix::f3) {
    multiply_bf16(x);
    return true;
  }
  if (x.opcode != 0x4B || x.prefix == Prefix::none) return false;
  if (x.prefix == Prefix::f3) {
    store_tile(x, frame);
  } else {
    load_tile(x, frame);
  }
  return true;
}

}  // namespace intaglio::emulation
