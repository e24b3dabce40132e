// AMX tiles as thin assembly: tile numbers are template arguments. The intrinsics of GCC 12 say too little to the
// compiler: _tile_loadd has no memory operand, so stores to the loaded memory may move past it, and _tile_loadconfig
// declares 8 of the 64 bytes it reads. Here every access to memory clobbers memory. Included by ISA files only.
#pragma once

#include "base/pod.h"

namespace intaglio::kernels::math {
namespace {

constexpr std::size_t kTileRows = 16, kTileRowBytes = 64;
constexpr std::size_t kTiles = 8;

// The operand of LDTILECFG. Rows and bytes of tiles that are not used may be zero.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

// Also zeroes all tiles.
inline __attribute__((always_inline)) void tile_configure(const TileConfig& config) {
  asm volatile("ldtilecfg %0" ::"m"(config));
}
// Without tiles configured: all zero.
inline __attribute__((always_inline)) void tile_configuration(TileConfig& config) {
  asm volatile("sttilecfg %0" : "=m"(config));
}
inline __attribute__((always_inline)) void tile_release() {
  asm volatile("tilerelease");
}
template <int kTile>
inline __attribute__((always_inline)) void tile_zero() {
  asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
}
// kOnce: a hint that the lines will not be read again soon (TILELOADDT1).
template <int kTile, bool kOnce = false>
inline __attribute__((always_inline)) void tile_load(const void* from, std::size_t stride) {
  if constexpr (kOnce) {
    asm volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(kTile) : "memory");
  } else {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(kTile) : "memory");
  }
}
template <int kTile>
inline __attribute__((always_inline)) void tile_store(void* to, std::size_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(kTile) : "memory");
}

// c += a * b on tiles: A has rows of 64 bytes of k, B lines of 16 columns x 4 bytes of k.
struct TileU8S8 {
  template <int kC, int kA, int kB>
  static inline __attribute__((always_inline)) void multiply() {
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kC), "i"(kA), "i"(kB));
  }
};
struct TileS8S8 {
  template <int kC, int kA, int kB>
  static inline __attribute__((always_inline)) void multiply() {
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kC), "i"(kA), "i"(kB));
  }
};
struct TileBf16 {
  template <int kC, int kA, int kB>
  static inline __attribute__((always_inline)) void multiply() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kC), "i"(kA), "i"(kB));
  }
};

}  // namespace
}  // namespace intaglio::kernels::math
