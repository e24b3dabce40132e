// AMX: four tiles of sums, so that the latency of a product (about 52 cycles against 16 of issue) is covered; 2 x 2, as
// in kernels/gemm/amx_steps.h. The data are live: products of zeros run at a higher clock.
#include "kernels/math/amx_tile.h"
#include "kernels/math/v512.h"
#include "kernels/probe/probe.h"

namespace intaglio::kernels::probe {
namespace {

using math::kTileRowBytes;
using math::kTileRows;

// Both operands as a GEMM has them: A 32 rows of four steps, the pitch no multiple of 1 KiB; B two panels of four
// steps. 18 KiB: they stay in L1.
constexpr std::size_t kSteps = 4, kRows = 2 * kTileRows, kTileBytes = kTileRows * kTileRowBytes;
constexpr std::size_t kPitch = (kSteps + 1) * kTileRowBytes, kPanel = kSteps * kTileBytes;

struct Operands {
  alignas(64) char a[kRows * kPitch];
  alignas(64) char b[2 * kPanel];
};

// Bytes as they come; or bf16 of 0.5 to 1, either sign.
struct U8S8 {
  using Tile = math::TileU8S8;
  static __m512i shape(__m512i bits) { return bits; }
  static __m512i add(__m512i x, __m512i y) { return _mm512_add_epi32(x, y); }
};
struct Bf16 {
  using Tile = math::TileBf16;
  static __m512i shape(__m512i bits) {
    return _mm512_or_si512(_mm512_and_si512(bits, _mm512_set1_epi16(static_cast<std::int16_t>(0x807f))),
                           _mm512_set1_epi16(0x3f00));
  }
  static __m512i add(__m512i x, __m512i y) {
    return _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(y)));
  }
};

// A linear congruential generator per lane; its low bits are poor, so the high half serves twice.
template <class P>
void fill(char* to, std::size_t bytes, std::int32_t seed) {
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  __m512i state = _mm512_add_epi32(_mm512_mullo_epi32(lane, _mm512_set1_epi32(0x2c9277b5)), _mm512_set1_epi32(seed));
  for (std::size_t at = 0; at < bytes; at += kTileRowBytes) {
    state = _mm512_add_epi32(_mm512_mullo_epi32(state, _mm512_set1_epi32(1664525)), _mm512_set1_epi32(1013904223));
    const __m512i high = _mm512_srli_epi32(state, 16);
    const __m512i both = _mm512_xor_si512(high, _mm512_slli_epi32(_mm512_mullo_epi32(high, high), 16));
    _mm512_store_si512(to + at, P::shape(both));
  }
}

inline __attribute__((always_inline)) void load(const Operands& x, std::size_t step) {
  const char* a = x.a + step * kTileRowBytes;
  const char* b = x.b + step * kTileBytes;
  math::tile_load<6>(b, kTileRowBytes);
  math::tile_load<4>(a, kPitch);
  math::tile_load<7>(b + kPanel, kTileRowBytes);
  math::tile_load<5>(a + kTileRows * kPitch, kPitch);
}

template <class P, bool kFed>
void compute(std::size_t iterations, void* sink) {
  Operands x;
  fill<P>(x.a, sizeof(x.a), 1);
  fill<P>(x.b, sizeof(x.b), 2);
  math::TileConfig config;
  for (std::size_t i = 0; i < math::kTiles; ++i) {
    config.row_bytes[i] = kTileRowBytes;
    config.rows[i] = kTileRows;
  }
  math::tile_configure(config);
  math::tile_zero<0>();
  math::tile_zero<1>();
  math::tile_zero<2>();
  math::tile_zero<3>();
  load(x, 0);
  for (std::size_t i = 0; i != iterations; ++i) {
    if (kFed) load(x, i % kSteps);
    P::Tile::template multiply<0, 4, 6>();
    P::Tile::template multiply<1, 4, 7>();
    P::Tile::template multiply<2, 5, 6>();
    P::Tile::template multiply<3, 5, 7>();
  }
  alignas(64) char sums[4][kTileBytes];
  math::tile_store<0>(sums[0], kTileRowBytes);
  math::tile_store<1>(sums[1], kTileRowBytes);
  math::tile_store<2>(sums[2], kTileRowBytes);
  math::tile_store<3>(sums[3], kTileRowBytes);
  math::tile_release();
  __m512i sum = _mm512_setzero_si512();
  for (const auto& tile : sums) {
    for (std::size_t i = 0; i < kTileBytes; i += kTileRowBytes) sum = P::add(sum, _mm512_load_si512(tile + i));
  }
  _mm512_storeu_si512(sink, sum);
}

}  // namespace

void dot_u8s8_4x16384_1x16384_amx(std::size_t iterations, void* sink) {
  compute<U8S8, false>(iterations, sink);
}
void dot_bf16_4x8192_1x8192_amx(std::size_t iterations, void* sink) {
  compute<Bf16, false>(iterations, sink);
}
void dot_fed_u8s8_4x16384_1x16384_amx(std::size_t iterations, void* sink) {
  compute<U8S8, true>(iterations, sink);
}
void dot_fed_bf16_4x8192_1x8192_amx(std::size_t iterations, void* sink) {
  compute<Bf16, true>(iterations, sink);
}

}  // namespace intaglio::kernels::probe
