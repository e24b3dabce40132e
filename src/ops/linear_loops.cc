#include "ops/linear_loops.h"

#include <fmt/format.h>

#include <algorithm>

namespace intaglio::ops {
namespace {

namespace gemm = kernels::gemm;

constexpr std::size_t kLine = 64;  // bytes; a k step of one panel, of either layout

std::size_t operand_size(gemm::Types types) { return types == gemm::Types::f32 ? sizeof(float) : 1; }

// The largest share of `total` that one of `threads` gets, as a fraction.
double largest_share(std::size_t total, std::size_t grain, int threads) {
  const std::size_t grains = (total + grain - 1) / grain;
  const std::size_t most = (grains + static_cast<std::size_t>(threads) - 1) / static_cast<std::size_t>(threads) * grain;
  return static_cast<double>(std::min(most, total)) / static_cast<double>(std::max<std::size_t>(total, 1));
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
  // Kc: a block's rows of A fill at most 3/4 of L1, and a strip of B (block_n columns), which every block of rows reads
  // again, at most 1/4 of L2. Equal parts, so that no range is a stub.
  const std::size_t by_l1 = target.l1_bytes * 3 / 4 / (row.block_m * size);
  const std::size_t by_l2 = target.l2_bytes / 4 / (std::max<std::size_t>(row.block_n, 64) * size);
  const std::size_t limit = std::max<std::size_t>(std::min(by_l1, by_l2) / 64 * 64, 64);
  const std::size_t parts = std::max<std::size_t>((k + limit - 1) / limit, 1);
  out.kc = std::max(gemm::round_up((k + parts - 1) / parts, row.tile_k), row.tile_k);
  // Mc: rows that share one pass over B. A is re-read once per strip of B at about one byte per cycle, which L3 serves as
  // well as L2; weights that come from memory should come once. Partial sums of a strip stay within L2.
  const std::size_t far = target.l3_bytes != 0 ? target.l3_bytes / 4 : target.l2_bytes;
  const std::size_t by_l3 = far / std::max<std::size_t>(k * size, 1);
  const std::size_t by_partials = parts > 1 ? target.l2_bytes / 8 / (row.block_n * sizeof(float)) : by_l3;
  out.mc = std::max(std::min(by_l3, by_partials) / row.block_m, std::size_t{8}) * row.block_m;
  out.mc = std::min(out.mc, std::max<std::size_t>(m, 1));
  // Columns by default: then the threads together read B once. Narrow grains where wide ones would leave threads idle.
  const std::size_t strips = n / row.block_n;
  const std::size_t grain = strips >= 4 * static_cast<std::size_t>(threads) ? row.block_n : gemm::kPanelWidth;
  const bool by_rows = largest_share(m, row.block_m, threads) < 0.95 * largest_share(n, grain, threads);
  out.split = by_rows ? Split::rows : Split::columns;
  out.grain = by_rows ? row.block_m : grain;
  if (parts > 1) out.scratch_bytes = out.mc * std::max(row.block_n, kernels.single->block_n) * sizeof(float);
  return out;
}

std::string to_string(const GemmBlocking& b) {
  return fmt::format("Mc={} Kc={}, threads split {} by {}", b.mc, b.kc, b.split == Split::rows ? "M" : "N", b.grain);
}

void run_gemm(const GemmProblem& p, const Worker& worker) noexcept {
  const bool by_rows = p.blocking.split == Split::rows;
  const Range share = share_of(static_cast<std::int64_t>(by_rows ? p.m : p.n), static_cast<std::int64_t>(p.blocking.grain), worker);
  const auto begin = static_cast<std::size_t>(share.begin), end = static_cast<std::size_t>(share.end);
  const std::size_t row_begin = by_rows ? begin : 0, row_end = by_rows ? end : p.m;
  const std::size_t column_begin = by_rows ? 0 : begin, column_end = by_rows ? p.n : end;
  const std::size_t kc = p.blocking.kc;

  for (std::size_t i0 = row_begin; i0 < row_end; i0 += p.blocking.mc) {
    const std::size_t rows = std::min(p.blocking.mc, row_end - i0);
    const gemm::KernelRow& kernel = rows == 1 ? *p.kernels.single : *p.kernels.many;
    const std::size_t size = operand_size(kernel.types);
    const std::size_t blocks = (rows + kernel.block_m - 1) / kernel.block_m;  // of nearly equal height
    gemm::Args args;
    args.a_pitch = p.a_pitch;
    args.b_panel = p.b_panel;
    args.partial_pitch = kernel.block_n;
    args.out_pitch = p.out_pitch;
    for (std::size_t j = column_begin; j < column_end; j += kernel.block_n) {
      args.n = std::min(kernel.block_n, column_end - j);
      args.column = j;
      const char* strip = static_cast<const char*>(p.b) + j / gemm::kPanelWidth * p.b_panel * size;
      for (std::size_t k0 = 0; k0 == 0 || k0 < p.k; k0 += kc) {
        args.k = std::min(kc, p.k - k0);
        args.b = strip + gemm::k_offset(k0) * size;
        args.load_partial = k0 != 0;
        args.epilogue = k0 + args.k == p.k ? p.epilogue : nullptr;
        // The B that follows: the next K range of this strip, or the next strip. Each block of rows fetches its part.
        const bool more_k = k0 + args.k < p.k;
        const bool more = more_k || j + kernel.block_n < column_end;
        const char* next = more_k ? static_cast<const char*>(args.b) + gemm::k_offset(args.k) * size
                                  : strip + kernel.block_n / gemm::kPanelWidth * p.b_panel * size;
        const std::size_t lines = args.k / kernel.tile_k;  // of each panel
        args.prefetch_every = more ? blocks : 0;
        for (std::size_t block = 0; block < blocks; ++block) {
          args.prefetch = more ? next + block * (lines / blocks + 1) * kLine : nullptr;
          const std::size_t low = rows * block / blocks;
          args.m = rows * (block + 1) / blocks - low;
          args.row = i0 + low;
          args.a = static_cast<const char*>(p.a) + (args.row * p.a_pitch + k0) * size;
          args.partial = p.scratch + low * kernel.block_n * sizeof(float);
          args.out = static_cast<float*>(p.out) + args.row * p.out_pitch + j;
          kernel.kernel(args);
        }
      }
    }
  }
}

}  // namespace intaglio::ops
