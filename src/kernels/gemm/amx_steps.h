// The K loop of the AMX micro-kernels, and what is done between its steps. A step is one tile of k (64 bytes of every
// row of A) for up to 2 x 2 or 1 x 4 tiles of sums:
//   tiles 0..3 sums, (row tile i, panel p) in 2 i + p, or p where there is one row tile; 4, 5 A; 6, 7 B
// A 2 x 2 step has four tile loads (8 cycles each from L1) for four multiplications (16 cycles each): the loads and the
// vector work of the finished block before it run in their shade. Included by ISA files only.
#pragma once

#include <immintrin.h>

#include "kernels/gemm/gemm.h"
#include "kernels/math/amx_tile.h"

namespace intaglio::kernels::gemm {
namespace {

constexpr std::size_t kTileBytes = math::kTileRows * math::kTileRowBytes;  // of B; a step of one panel

// kAStreams: A comes from L2 while B stays in L1, and is loaded with the hint of single use; else that is B.
// `second`: bytes from the rows of the first tile of A to those of the second.
template <class D, int kRowTiles, int kPanels, bool kAStreams>
struct Step {
  template <int kPanel>
  static inline __attribute__((always_inline)) void panels(const char* a, std::size_t a_stride, const char* b,
                                                           std::size_t b_panel) {
    constexpr int kB = 6 + kPanel % 2;
    math::tile_load<kB, !kAStreams>(b + kPanel * b_panel, kLineBytes);
    if constexpr (kPanel == 0) math::tile_load<4, kAStreams>(a, a_stride);
    D::Tile::template multiply<kPanel, 4, kB>();
    if constexpr (kPanel + 1 < kPanels) panels<kPanel + 1>(a, a_stride, b, b_panel);
  }
  static inline __attribute__((always_inline)) void run(const char* a, std::size_t a_stride, std::size_t second,
                                                        const char* b, std::size_t b_panel) {
    static_assert(kRowTiles * kPanels <= 4);
    panels<0>(a, a_stride, b, b_panel);
    if constexpr (kRowTiles == 2) {
      math::tile_load<5, kAStreams>(a + second, a_stride);
      D::Tile::template multiply<2, 5, 6>();
      if constexpr (kPanels == 2) D::Tile::template multiply<3, 5, 7>();
    }
  }
};

// Rows of A of one block: whole steps in place, and the k that fill no step as a zero-padded copy (copy_tail).
struct Rows {
  const char* a;
  std::size_t stride;      // bytes
  std::size_t first_rows;  // of the first tile
  std::size_t steps;       // whole ones
  const char* tail;        // [rows][64], null without one
};

template <class D, int kRowTiles, int kPanels, bool kAStreams, class Between>
__attribute__((noinline)) void multiply(const Rows& rows, const char* b, std::size_t b_panel, Between& between) {
  using OneStep = Step<D, kRowTiles, kPanels, kAStreams>;
  const char* a = rows.a;
  const std::size_t stride = rows.stride, second = rows.first_rows * stride;
  for (std::size_t left = rows.steps; left != 0; --left) {
    OneStep::run(a, stride, second, b, b_panel);
    between.step();
    a += math::kTileRowBytes;
    b += kTileBytes;
  }
  if (rows.tail == nullptr) return;
  OneStep::run(rows.tail, math::kTileRowBytes, rows.first_rows * math::kTileRowBytes, b, b_panel);
  between.step();
}

// Sums begin with zero (from == null) or with what is at `from`: rows `stride` bytes apart, the second row tile
// `second` bytes on.
template <int kRowTiles, int kPanels>
void start_sums(const char* from, std::size_t stride, std::size_t second) {
  if (from == nullptr) {
    math::tile_zero<0>();
    if constexpr (kPanels > 1) math::tile_zero<1>();
    if constexpr (kPanels > 2 || kRowTiles == 2) math::tile_zero<2>();
    if constexpr (kPanels > 3 || kRowTiles * kPanels == 4) math::tile_zero<3>();
    return;
  }
  math::tile_load<0>(from, stride);
  if constexpr (kPanels > 1) math::tile_load<1>(from + kLineBytes, stride);
  if constexpr (kPanels > 2) math::tile_load<2>(from + 2 * kLineBytes, stride);
  if constexpr (kPanels > 3) math::tile_load<3>(from + 3 * kLineBytes, stride);
  if constexpr (kRowTiles == 2) math::tile_load<2>(from + second, stride);
  if constexpr (kRowTiles == 2 && kPanels == 2) math::tile_load<3>(from + second + kLineBytes, stride);
}

template <int kRowTiles, int kPanels>
void store_sums(char* to, std::size_t stride, std::size_t second) {
  math::tile_store<0>(to, stride);
  if constexpr (kPanels > 1) math::tile_store<1>(to + kLineBytes, stride);
  if constexpr (kPanels > 2) math::tile_store<2>(to + 2 * kLineBytes, stride);
  if constexpr (kPanels > 3) math::tile_store<3>(to + 3 * kLineBytes, stride);
  if constexpr (kRowTiles == 2) math::tile_store<2>(to + second, stride);
  if constexpr (kRowTiles == 2 && kPanels == 2) math::tile_store<3>(to + second + kLineBytes, stride);
}

// Args::prefetch, spread evenly over the steps of a call.
struct Lines {
  const char* panel = nullptr;
  std::size_t b_panel = 0, lines = 0, next = 0, panels = 0, per_step = 0;

  // `every`: one line for so many lines of the call's own K range.
  Lines(const Args& g, std::size_t k_bytes_of_a, std::size_t steps) {
    if (g.prefetch == nullptr || g.prefetch_every == 0 || steps == 0) return;
    panel = static_cast<const char*>(g.prefetch);
    b_panel = g.b_panel;
    lines = (k_bytes_of_a / 4 + g.prefetch_every - 1) / g.prefetch_every;
    panels = lines == 0 ? 0 : (g.n + kPanelWidth - 1) / kPanelWidth;
    per_step = (panels * lines + steps - 1) / steps;
  }
  inline __attribute__((always_inline)) void step() {
    for (std::size_t left = per_step; left != 0 && panels != 0;) {
      const std::size_t count = lines - next < left ? lines - next : left;
      const char* line = panel + next * kLineBytes;
      for (const char* end = line + count * kLineBytes; line != end; line += kLineBytes) __builtin_prefetch(line, 0, 2);
      left -= count;
      next += count;
      if (next != lines) return;
      next = 0;
      panel += b_panel;
      --panels;
    }
  }
};

// The rows' last bytes of k, copied into lines of zeros, so that no byte beyond them is read. `bytes` < 64.
inline void copy_tail(const char* from, std::size_t stride, std::size_t rows, std::size_t bytes, char* to) {
  const __mmask64 mask = (__mmask64{1} << bytes) - 1;
  for (std::size_t i = 0; i < rows; ++i) {
    _mm512_store_si512(to + i * math::kTileRowBytes, _mm512_maskz_loadu_epi8(mask, from + i * stride));
  }
}

// Tiles 0, 1 and 4 have `first` rows, 2, 3 and 5 `second`; all columns are whole.
inline void set_rows(std::size_t first, std::size_t second) {
  math::TileConfig config;
  for (std::size_t i = 0; i < math::kTiles; ++i) {
    const std::size_t rows = i >= 6 ? math::kTileRows : i == 2 || i == 3 || i == 5 ? second : first;
    config.row_bytes[i] = math::kTileRowBytes;
    config.rows[i] = static_cast<std::uint8_t>(rows);
  }
  math::tile_configure(config);
}

// The shape that the core's tiles have: asked of the core when a call begins, since calls of other heights and other
// rows may have come before; configured anew only where it differs.
class TileRows {
 public:
  TileRows() {
    math::TileConfig config;
    math::tile_configuration(config);
    first_ = config.rows[0];
    second_ = config.rows[2];
  }
  void set(std::size_t first, std::size_t second) {
    if (first == first_ && second == second_) return;
    set_rows(first, second);
    first_ = first;
    second_ = second;
  }

 private:
  std::size_t first_, second_;
};

}  // namespace
}  // namespace intaglio::kernels::gemm
