// The AMX micro-kernel around a policy D (D::Tile multiplies tiles, D::A and D::Acc are the elements of A and of the
// sums). One call does many blocks of 32 x 32:
//   for each half of the 64 columns (its B, 32 x K, stays in L1): for each 32 rows of A (streamed from L2): K loop
// and the sums of a finished block, stored from the tiles to a scratch in L1, go through the epilogue row by row
// between the steps of the next block's K loop. The second half walks the rows backwards, so that the rows whose number
// is not the others', and need the tiles configured anew, come in succession.
//
// Up to 16 rows: one block of 16 x 64, K loop over 1 x 4 tiles.
// Included by ISA files only.
#pragma once

#include "kernels/gemm/amx_steps.h"
#include "kernels/gemm/epilogue_body.h"
#include "kernels/math/narrow512.h"

namespace intaglio::kernels::gemm {
namespace {

using AmxNarrow = math::Narrow512;
using AmxVector = AmxNarrow::V;

// Partial sums of `rows` rows of `n` columns.
inline AmxVector::I add(AmxVector::I x, AmxVector::I y) {
  return AmxVector::addi(x, y);
}
inline AmxVector::F add(AmxVector::F x, AmxVector::F y) {
  return AmxVector::add(x, y);
}
template <class Acc>
void add_partial(const Acc* partial, std::size_t partial_pitch, std::size_t rows, std::size_t n, Acc* sums,
                 std::size_t pitch) {
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < n; j += kPanelWidth) {
      Acc* to = sums + i * pitch + j;
      AmxVector::store(to, add(load_some<AmxVector>(partial + i * partial_pitch + j, n - j), AmxVector::load(to)));
    }
  }
}
template <class Acc>
void store_partial(const Acc* sums, std::size_t pitch, std::size_t rows, std::size_t n, Acc* partial,
                   std::size_t partial_pitch) {
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < n; j += kPanelWidth) {
      store_some<AmxVector>(partial + i * partial_pitch + j, AmxVector::load(sums + i * pitch + j), n - j);
    }
  }
}

const Epilogue kNoEpilogue;

// Half of the columns of a call, with its epilogue.
template <class Acc>
struct Half {
  static constexpr std::size_t kWidth = 2 * kPanelWidth;
  static constexpr int kVectors = 2;

  Epilogue e;
  Args g;
  bool full, panels_full;                           // all columns; of the panels that it has
  const std::int32_t* start = nullptr;              // Epilogue::column_start where the tiles begin with it
  RowEpilogue<AmxNarrow, kVectors, true, 2> pairs;  // of rows
  RowEpilogue<AmxNarrow, kVectors, false> rows;

  Half(const Args& whole, std::size_t column)
      : e(whole.epilogue != nullptr ? *whole.epilogue : kNoEpilogue),
        g(part_of(whole, column, e)),
        full(g.n == kWidth),
        panels_full(g.n % kPanelWidth == 0),
        pairs(g),
        rows(g) {
    if (is_integer(static_cast<const Acc*>(nullptr)) && panels_full && !g.load_partial && e.column_start != nullptr) {
      start = e.column_start + g.column;
      e.column_start = nullptr;
    }
  }
  Half(const Half&) = delete;
  Half& operator=(const Half&) = delete;

  static constexpr bool is_integer(const std::int32_t*) { return true; }
  static constexpr bool is_integer(const float*) { return false; }
  static Args part_of(Args g, std::size_t column, const Epilogue& e) {
    g.n = g.n <= column ? 0 : g.n - column < kWidth ? g.n - column : kWidth;
    g.b = static_cast<const char*>(g.b) + column / kPanelWidth * g.b_panel;
    if (g.partial != nullptr) g.partial = static_cast<Acc*>(g.partial) + column;
    if (g.epilogue != nullptr) g.out = static_cast<char*>(g.out) + column * output_bytes(e.out_type);
    g.epilogue = &e;
    g.column += column;
    return g;
  }

  // Finishes row `row` of the call, whole rows two at a time where two are left; returns how many.
  std::size_t finish(const Acc* sums, std::size_t row, std::size_t left) const {
    if (full && left > 1) {
      pairs.run(sums, row);
      return 2;
    }
    rows.run(sums, row);
    return 1;
  }
};

// Between the steps of a K loop: rows of the block before it, spread evenly, and lines of later B.
template <class Acc>
struct Between {
  Lines lines;
  const Half<Acc>* half = nullptr;
  const Acc* sums = nullptr;
  std::size_t row = 0, left = 0;             // the next row to finish, of the call; how many
  std::size_t steps = 0, rows = 0, due = 0;  // of the loop; the rows that it finishes; rows that are due, in 1 / steps

  explicit Between(const Lines& l) : lines(l) {}
  void begin(std::size_t steps_of_loop) {
    steps = steps_of_loop;
    rows = left;
    due = 0;
  }
  std::size_t finish_rows() {
    const std::size_t count = half->finish(sums, row, left);
    sums += count * Half<Acc>::kWidth;
    row += count;
    left -= count;
    return count;
  }
  inline __attribute__((always_inline)) void step() {
    due += rows;
    while (due >= 2 * steps && left != 0) due -= finish_rows() * steps;
    lines.step();
  }
  void flush() {
    while (left != 0) finish_rows();
  }
};
struct OnlyLines {
  Lines lines;
  inline __attribute__((always_inline)) void step() { lines.step(); }
};

template <class D>
struct AmxBlocks {
  using Acc = typename D::Acc;
  static constexpr std::size_t kWidth = Half<Acc>::kWidth, kPitch = kWidth * sizeof(Acc), kRows = 2 * math::kTileRows;

  alignas(64) Acc sums[kRows * kWidth];
  alignas(64) char tail[kRows * math::kTileRowBytes];
  const Args& g;
  const Half<Acc> halves[2];
  const std::size_t stride, whole_steps, tail_bytes, steps;  // stride: of A in bytes
  const std::size_t blocks, tile_rows;                       // of all blocks but the last
  Between<Acc> between;
  TileRows shape;

  explicit AmxBlocks(const Args& args)
      : g(args),
        halves{{args, 0}, {args, kWidth}},
        stride(args.a_pitch * sizeof(typename D::A)),
        whole_steps(args.k * sizeof(typename D::A) / math::kTileRowBytes),
        tail_bytes(args.k * sizeof(typename D::A) % math::kTileRowBytes),
        steps(whole_steps + (tail_bytes != 0 ? 1 : 0)),
        blocks((args.m + kRows - 1) / kRows),
        tile_rows((args.m + 2 * blocks - 1) / (2 * blocks)),
        between(Lines(args, args.k * sizeof(typename D::A), steps * blocks * (args.n > kWidth ? 2 : 1))) {}

  template <int kRowTiles, int kPanels, bool kAStreams>
  void block(const Half<Acc>& half, std::size_t row, std::size_t first, std::size_t rows) {
    const Args& h = half.g;
    const char* a = static_cast<const char*>(g.a) + row * stride;
    if (tail_bytes != 0) copy_tail(a + whole_steps * math::kTileRowBytes, stride, rows, tail_bytes, tail);
    Acc* partial = h.partial == nullptr ? nullptr : static_cast<Acc*>(h.partial) + row * h.partial_pitch;
    const std::size_t partial_stride = h.partial_pitch * sizeof(Acc);
    // Integers only: which calls could do so depends on their rows and columns, thus on a thread's share, and sums of
    // floats would be rounded in another order. They are joined with the earlier ranges at the end, always.
    const bool into_tiles =
        h.load_partial && half.panels_full && Half<Acc>::is_integer(static_cast<const Acc*>(nullptr));
    if (into_tiles) {
      start_sums<kRowTiles, kPanels>(reinterpret_cast<const char*>(partial), partial_stride, first * partial_stride);
    } else {
      start_sums<kRowTiles, kPanels>(reinterpret_cast<const char*>(half.start), 0, 0);
    }
    between.begin(steps);
    multiply<D, kRowTiles, kPanels, kAStreams>({a, stride, first, whole_steps, tail_bytes != 0 ? tail : nullptr},
                                               static_cast<const char*>(h.b), h.b_panel, between);
    between.flush();
    if (g.epilogue == nullptr && half.panels_full && (!h.load_partial || into_tiles)) {
      store_sums<kRowTiles, kPanels>(reinterpret_cast<char*>(partial), partial_stride, first * partial_stride);
      return;
    }
    store_sums<kRowTiles, kPanels>(reinterpret_cast<char*>(sums), kPitch, first * kPitch);
    if (h.load_partial && !into_tiles) add_partial(partial, h.partial_pitch, rows, h.n, sums, kWidth);
    if (g.epilogue == nullptr) return store_partial(sums, kWidth, rows, h.n, partial, h.partial_pitch);
    between.half = &half;
    between.sums = sums;
    between.row = row;
    between.left = rows;
  }

  // Rows are shared evenly among the blocks and the tiles of each: a multiplication takes a cycle per row of its tile.
  void block(const Half<Acc>& half, std::size_t index) {
    const std::size_t row = index * 2 * tile_rows;
    const std::size_t rows = g.m - row < 2 * tile_rows ? g.m - row : 2 * tile_rows;
    const std::size_t first = (rows + 1) / 2;
    const bool wide = half.g.n > kPanelWidth;
    if (rows == 1) {
      shape.set(1, 1);
      return wide ? block<1, 2, true>(half, row, 1, 1) : block<1, 1, true>(half, row, 1, 1);
    }
    shape.set(first, rows - first);
    if (blocks == 1)
      return wide ? block<2, 2, false>(half, row, first, rows) : block<2, 1, false>(half, row, first, rows);
    return wide ? block<2, 2, true>(half, row, first, rows) : block<2, 1, true>(half, row, first, rows);
  }

  void run() {
    for (std::size_t i = 0; i < blocks; ++i) block(halves[0], i);
    if (g.n > kWidth) {
      for (std::size_t i = blocks; i-- != 0;) block(halves[1], i);
    }
    between.flush();
  }
};

// Up to 16 rows.
template <class D, int kPanels>
__attribute__((noinline)) void amx_few_rows(const Args& g) {
  using Acc = typename D::Acc;
  constexpr int kScratchPanels = kPanels > 2 ? 4 : 2;  // those of the epilogue: two of its sizes are enough
  constexpr std::size_t kWidth = kScratchPanels * kPanelWidth;
  alignas(64) Acc sums[math::kTileRows * kWidth];
  alignas(64) char tail[math::kTileRows * math::kTileRowBytes];
  const std::size_t stride = g.a_pitch * sizeof(typename D::A), k_bytes = g.k * sizeof(typename D::A);
  const std::size_t steps = k_bytes / math::kTileRowBytes, tail_bytes = k_bytes % math::kTileRowBytes;
  const char* a = static_cast<const char*>(g.a);
  if (tail_bytes != 0) copy_tail(a + steps * math::kTileRowBytes, stride, g.m, tail_bytes, tail);
  TileRows().set(g.m, g.m);
  start_sums<1, kPanels>(nullptr, 0, 0);
  OnlyLines between{Lines(g, k_bytes, steps + (tail_bytes != 0 ? 1 : 0))};
  multiply<D, 1, kPanels, false>({a, stride, g.m, steps, tail_bytes != 0 ? tail : nullptr},
                                 static_cast<const char*>(g.b), g.b_panel, between);
  store_sums<1, kPanels>(reinterpret_cast<char*>(sums), kWidth * sizeof(Acc), 0);
  Acc* partial = static_cast<Acc*>(g.partial);
  if (g.load_partial) add_partial(partial, g.partial_pitch, g.m, g.n, sums, kWidth);
  if (g.epilogue != nullptr) return finish<AmxNarrow, kScratchPanels>(sums, kWidth, g);
  store_partial(sums, kWidth, g.m, g.n, partial, g.partial_pitch);
}

template <class D>
__attribute__((noinline)) void amx_many_rows(const Args& g) {
  AmxBlocks<D> blocks(g);
  blocks.run();
}

template <class D>
void amx_block(const Args& g) {
  if (g.m == 0 || g.n == 0) return;
  if (g.m > math::kTileRows) return amx_many_rows<D>(g);
  if (g.n > 3 * kPanelWidth) return amx_few_rows<D, 4>(g);
  if (g.n > 2 * kPanelWidth) return amx_few_rows<D, 3>(g);
  if (g.n > kPanelWidth) return amx_few_rows<D, 2>(g);
  return amx_few_rows<D, 1>(g);
}

}  // namespace
}  // namespace intaglio::kernels::gemm
