#include "ops/linear_loops.h"

#include <fmt/format.h>

#include <algorithm>

namespace intaglio::ops {
namespace {

namespace gemm = kernels::gemm;

constexpr std::size_t kStrip =
    64;  // columns of B that stay in L2 while all rows of a block pass; a multiple of every block_n
constexpr std::size_t kLine = 64;  // bytes; a k step of one panel, of either layout

std::size_t operand_size(gemm::Types types) {
  return types == gemm::Types::f32 ? sizeof(float) : 1;
}

// The largest share of `total` that one of `threads` gets, as a fraction.
double largest_share(std::size_t total, std::size_t grain, int threads) {
  const std::size_t grains = (total + grain - 1) / grain;
  const std::size_t most = (grains + static_cast<std::size_t>(threads) - 1) / static_cast<std::size_t>(threads) * grain;
  return static_cast<double>(std::min(most, total)) / static_cast<double>(std::max<std::size_t>(total, 1));
}

// The part of a problem that one pass over a strip of B computes.
struct Strip {
  std::size_t row, rows, column, columns;
  bool more;  // another strip follows
};

// One K range of a strip. Block by block of rows, so that a block's rows of A are read from L1 by every kernel call but
// the first, while the strip of B stays in L2 and, each call its part, the B that follows is fetched.
void run_strip(const GemmProblem& p, const Strip& strip, std::size_t k0, std::size_t kc) noexcept {
  const gemm::KernelRow& kernel = strip.rows == 1 ? *p.kernels.single : *p.kernels.many;
  const std::size_t size = operand_size(kernel.types);
  const std::size_t panel_bytes = p.b_panel * size;
  const std::size_t blocks = (strip.rows + kernel.block_m - 1) / kernel.block_m;  // of nearly equal height
  const bool ends = k0 + kc == p.k;
  gemm::Args args;
  args.k = kc;
  args.a_pitch = p.a_pitch;
  args.b_panel = p.b_panel;
  args.partial_pitch = kStrip;
  args.load_partial = k0 != 0;
  args.out_pitch = p.out_pitch;
  args.epilogue = ends ? p.epilogue : nullptr;
  const bool fetch = !ends || strip.more;
  const std::size_t ahead = ends ? kStrip / gemm::kPanelWidth * panel_bytes : gemm::k_offset(kc) * size;
  args.prefetch_every = fetch ? blocks : 0;
  const std::size_t fetched = (kc / kernel.tile_k / blocks + 1) * kLine;  // of each panel, by each block
  for (std::size_t block = 0; block < blocks; ++block) {
    const std::size_t low = strip.rows * block / blocks;
    args.m = strip.rows * (block + 1) / blocks - low;
    args.row = strip.row + low;
    args.a = static_cast<const char*>(p.a) + (args.row * p.a_pitch + k0) * size;
    for (std::size_t j = 0; j < strip.columns; j += kernel.block_n) {
      args.n = std::min(kernel.block_n, strip.columns - j);
      args.column = strip.column + j;
      const char* b =
          static_cast<const char*>(p.b) + args.column / gemm::kPanelWidth * panel_bytes + gemm::k_offset(k0) * size;
      args.b = b;
      args.prefetch = fetch ? b + ahead + block * fetched : nullptr;
      args.partial = p.scratch == nullptr ? nullptr : p.scratch + (low * kStrip + j) * sizeof(float);
      args.out = static_cast<float*>(p.out) + args.row * p.out_pitch + args.column;
      kernel.kernel(args);
    }
  }
}

}  // namespace

GemmKernels choose_gemm(gemm::Types types, IsaSet isa) {
  GemmKernels best;
  Isa best_isa = Isa::scalar;
  for (std::size_t i = 0; i < gemm::kKernelCount; ++i) {
    const gemm::KernelRow& row = gemm::kKernels[i];
    const std::optional<Isa> needs = parse_isa(row.isa);
    if (row.types != types || !needs || !contains(isa, *needs)) continue;
    if (best.many == nullptr || *needs > best_isa) {
      best = {&row, &row};
      best_isa = *needs;
    } else if (*needs == best_isa) {
      if (row.block_m > best.many->block_m) best.many = &row;
      if (row.block_m < best.single->block_m) best.single = &row;
    }
  }
  if (best.single != nullptr && best.single->block_m != 1) best.single = best.many;
  return best;
}

GemmBlocking block_gemm(const GemmKernels& kernels, std::size_t m, std::size_t n, std::size_t k, int threads,
                        const Target& target) {
  const gemm::KernelRow& row = *kernels.many;
  const std::size_t size = operand_size(row.types);
  GemmBlocking out;
  // Kc: a block's rows of A fill at most 3/4 of L1, and a strip of B (kStrip columns), which every block of rows reads
  // again, at most 1/4 of L2. Equal parts, so that no range is a stub.
  const std::size_t by_l1 = target.l1_bytes * 3 / 4 / (row.block_m * size);
  const std::size_t by_l2 = target.l2_bytes / 4 / (kStrip * size);
  const std::size_t limit = std::max<std::size_t>(std::min(by_l1, by_l2) / 64 * 64, 64);
  const std::size_t parts = std::max<std::size_t>((k + limit - 1) / limit, 1);
  out.kc = std::max(gemm::round_up((k + parts - 1) / parts, row.tile_k), row.tile_k);
  // Mc: rows that share one pass over B. A is re-read once per strip of B at about one byte per cycle, which L3 serves
  // as well as L2; weights that come from memory should come once. Partial sums of a strip stay within L2.
  const std::size_t far = target.l3_bytes != 0 ? target.l3_bytes / 4 : target.l2_bytes;
  const std::size_t by_l3 = far / std::max<std::size_t>(k * size, 1);
  const std::size_t by_partials = parts > 1 ? target.l2_bytes / 8 / (kStrip * sizeof(float)) : by_l3;
  out.mc = std::max(std::min(by_l3, by_partials) / row.block_m, std::size_t{8}) * row.block_m;
  out.mc = std::min(out.mc, std::max<std::size_t>(m, 1));
  // Columns by default: then the threads together read B once. Narrow grains where wide ones would leave threads idle.
  const std::size_t strips = n / kStrip;
  const std::size_t grain = strips >= 4 * static_cast<std::size_t>(threads) ? kStrip : gemm::kPanelWidth;
  const bool by_rows = largest_share(m, row.block_m, threads) < 0.95 * largest_share(n, grain, threads);
  out.split = by_rows ? Split::rows : Split::columns;
  out.grain = by_rows ? row.block_m : grain;
  if (parts > 1) out.scratch_bytes = out.mc * kStrip * sizeof(float);
  return out;
}

std::string to_string(const GemmBlocking& b) {
  return fmt::format("Mc={} Kc={}, threads split {} by {}", b.mc, b.kc, b.split == Split::rows ? "M" : "N", b.grain);
}

void run_gemm(const GemmProblem& p, const Worker& worker) noexcept {
  const bool by_rows = p.blocking.split == Split::rows;
  const Range share =
      share_of(static_cast<std::int64_t>(by_rows ? p.m : p.n), static_cast<std::int64_t>(p.blocking.grain), worker);
  const auto begin = static_cast<std::size_t>(share.begin), end = static_cast<std::size_t>(share.end);
  const std::size_t row_begin = by_rows ? begin : 0, row_end = by_rows ? end : p.m;
  const std::size_t column_begin = by_rows ? 0 : begin, column_end = by_rows ? p.n : end;
  const std::size_t kc = p.blocking.kc;

  for (std::size_t i0 = row_begin; i0 < row_end; i0 += p.blocking.mc) {
    const std::size_t rows = std::min(p.blocking.mc, row_end - i0);
    for (std::size_t j = column_begin; j < column_end; j += kStrip) {
      const Strip strip{i0, rows, j, std::min(kStrip, column_end - j), j + kStrip < column_end};
      for (std::size_t k0 = 0; k0 == 0 || k0 < p.k; k0 += kc) run_strip(p, strip, k0, std::min(kc, p.k - k0));
    }
  }
}

}  // namespace intaglio::ops
