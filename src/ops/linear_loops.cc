#include "ops/linear_loops.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/dtype.h"
#include "kernels/gemm/stream.h"

namespace intaglio::ops {
namespace {

namespace gemm = kernels::gemm;

// Columns of B that stay in L2 while all rows of a block pass; a multiple of every block_n.
constexpr std::size_t kStrip = 64;
// Rows of A that a kernel reads again and again from L1; rows of the table with larger blocks walk them in such steps.
constexpr std::size_t kRowsInL1 = 32;

// The largest share of `total` that one of `threads` gets, as a fraction.
double largest_share(std::size_t total, std::size_t grain, int threads) {
  const std::size_t grains = (total + grain - 1) / grain;
  const std::size_t most = (grains + static_cast<std::size_t>(threads) - 1) / static_cast<std::size_t>(threads) * grain;
  return static_cast<double>(std::min(most, total)) / static_cast<double>(std::max<std::size_t>(total, 1));
}

// Bytes of packed B per k of one strip.
double strip_bytes(gemm::Layout layout) {
  const gemm::LayoutFacts facts = gemm::facts_of(layout);
  constexpr auto kPanels = static_cast<double>(kStrip) / static_cast<double>(gemm::kPanelWidth);
  return static_cast<double>(facts.bytes) / static_cast<double>(facts.group) * kPanels;
}

// The part of a problem that one pass over a strip of B computes.
struct Strip {
  std::size_t row, rows, column, columns;
  bool more;  // another strip follows
};

// The rule of kernels/gemm/stream.h; rows of the table with large blocks take theirs in one call and reuse the strip
// inside it, so it is always the B behind that they fetch.
void set_prefetch(gemm::Args& args, const gemm::KernelRow& kernel, gemm::Layout layout, const char* next,
                  std::size_t block, std::size_t blocks) {
  if (kernel.block_m <= kRowsInL1) return gemm::set_prefetch(args, layout, next, block, blocks);
  args.prefetch = next;
  args.prefetch_every = next == nullptr ? 0 : 1;
  args.prefetch_lines = gemm::k_bytes(layout, args.k) / gemm::facts_of(layout).bytes;
}

// One K range of a strip. Block by block of rows, so that a block's rows of A are read from L1 by every kernel call but
// the first, while the strip of B stays in L2 and, each call its part, the B that follows is fetched.
void run_strip(const GemmProblem& p, const Strip& strip, std::size_t k0, std::size_t kc) noexcept {
  const gemm::KernelRow& kernel = *p.blocking.kernel;
  const gemm::TypeFacts facts = gemm::facts_of(kernel.types);
  const std::size_t out_bytes = size_of(p.epilogue->out_type);
  const std::size_t blocks = (strip.rows + kernel.block_m - 1) / kernel.block_m;  // of nearly equal height
  const bool ends = k0 + kc == p.k;
  gemm::Args args;
  args.k = kc;
  args.a_pitch = p.a_pitch;
  args.b_panel = p.b_panel;
  args.groups = p.groups;
  args.partial_pitch = kStrip;
  args.load_partial = k0 != 0;
  args.out_pitch = p.out_pitch;
  args.epilogue = ends ? p.epilogue : nullptr;
  // Where B goes on: the strip's next K range, or the next strip.
  const std::size_t range_bytes = gemm::k_bytes(facts.layout, gemm::round_up(kc, gemm::facts_of(facts.layout).group));
  const std::size_t ahead = ends ? kStrip / gemm::kPanelWidth * p.b_panel : range_bytes;
  const bool fetch = !ends || strip.more;
  for (std::size_t block = 0; block < blocks; ++block) {
    const std::size_t low = strip.rows * block / blocks;
    args.m = strip.rows * (block + 1) / blocks - low;
    args.row = strip.row + low;
    args.a = static_cast<const char*>(p.a) + (args.row * p.a_pitch + k0) * facts.a_bytes;
    for (std::size_t j = 0; j < strip.columns; j += kernel.block_n) {
      args.n = std::min(kernel.block_n, strip.columns - j);
      args.column = strip.column + j;
      const std::size_t panel = args.column / gemm::kPanelWidth;
      const char* b = static_cast<const char*>(p.b) + panel * p.b_panel + gemm::k_bytes(facts.layout, k0);
      args.b = b;
      if (facts.grouped) {
        const std::size_t group = k0 / p.groups.group;
        const std::size_t at = panel * p.groups.panel + group * gemm::kPanelWidth;
        args.groups.scale = p.groups.scale + at;
        args.groups.zero = p.groups.zero == nullptr ? nullptr : p.groups.zero + at;
        args.groups.row_sums =
            p.groups.row_sums == nullptr ? nullptr : p.groups.row_sums + args.row * p.groups.row_sums_pitch + group;
      }
      const bool panels_follow = ends && blocks == 1 && (strip.more || j + kernel.block_n < strip.columns);
      const char* next = panels_follow ? b + kernel.block_n / gemm::kPanelWidth * p.b_panel
                         : fetch       ? b + ahead
                                       : nullptr;
      set_prefetch(args, kernel, facts.layout, next, block, blocks);
      args.partial = p.scratch == nullptr ? nullptr : p.scratch + (low * kStrip + j) * sizeof(float);
      args.out = static_cast<char*>(p.out) + (args.row * p.out_pitch + args.column) * out_bytes;
      kernel.kernel(args);
    }
  }
}

}  // namespace

namespace {

const gemm::KernelRow* choose_among(gemm::Types types, IsaSet isa, std::size_t m) {
  const gemm::KernelRow* best = nullptr;
  Isa best_isa = Isa::scalar;
  for (std::size_t i = 0; i < gemm::kKernelCount; ++i) {
    const gemm::KernelRow& row = gemm::kKernels[i];
    const std::optional<Isa> needs = parse_isa(row.isa);
    if (row.types != types || !needs || !contains(isa, *needs)) continue;
    const bool same_level = best != nullptr && *needs == best_isa;
    if (best != nullptr && !same_level && *needs < best_isa) continue;
    // Among rows of one level: one that holds all m rows beats one that does not, then the smaller (larger) block.
    const bool holds = row.block_m >= m, best_holds = same_level && best->block_m >= m;
    const bool better = holds != best_holds ? holds : holds == (row.block_m < (same_level ? best->block_m : 0));
    if (!same_level || better) {
      best = &row;
      best_isa = *needs;
    }
  }
  return best;
}

}  // namespace

const gemm::KernelRow* choose_gemm(gemm::Types types, IsaSet isa, std::size_t m) {
  if (m < kLeastAmxRows && contains(isa, Isa::amx)) {
    const gemm::KernelRow* next = choose_among(types, IsaSet{isa.bits & ~isa_bit(Isa::amx)}, m);
    if (next != nullptr && std::string_view(next->isa) != "scalar") return next;  // bf16 needs more than amx implies
  }
  return choose_among(types, isa, m);
}

gemm::Types float_types(DType a, DType b, IsaSet isa) {
  using gemm::Types;
  if (b != DType::bf16 && b != DType::f16) return Types::f32;
  const bool pairs = b == DType::bf16;
  const Types own = pairs ? Types::bf16 : Types::f16, widened = pairs ? Types::f32bf16 : Types::f32f16;
  if (a != b) return widened;
  const gemm::KernelRow* row = choose_gemm(own, isa, kManyRows);
  return row != nullptr && std::string_view(row->isa) != "scalar" ? own : widened;
}

GemmBlocking block_gemm(gemm::Types types, const GemmShape& shape, int threads, const Target& target) {
  GemmBlocking out;
  out.kernel = choose_gemm(types, target.isa, shape.m);
  const gemm::KernelRow& row = *out.kernel;
  const std::size_t size = gemm::facts_of(types).a_bytes;
  // Kc: a block's rows of A fill at most 3/4 of L1, and a strip of B (kStrip columns), which every block of rows reads
  // again, at most 1/4 of L2. Equal parts, so that no range is a stub.
  const std::size_t rows_in_l1 = std::min(row.block_m, kRowsInL1);
  const std::size_t by_l1 = target.l1_bytes * 3 / 4 / (rows_in_l1 * size);
  const auto by_l2 =
      static_cast<std::size_t>(static_cast<double>(target.l2_bytes) / 4 / strip_bytes(gemm::facts_of(types).layout));
  const std::size_t granule = std::max(gemm::round_up(shape.group, row.tile_k), row.tile_k);
  std::size_t limit = std::max<std::size_t>(std::min(by_l1, by_l2) / 64 * 64, 64);
  // One block of rows reads each line of B once: no range, no partial sums, one stream of memory per panel.
  if (shape.m <= row.block_m && row.block_m <= kRowsInL1) limit = std::max<std::size_t>(shape.k, 1);
  const std::size_t parts = std::max<std::size_t>((shape.k + limit - 1) / limit, 1);
  out.kc = std::max(gemm::round_up((shape.k + parts - 1) / parts, granule), granule);
  const bool ranges = out.kc < shape.k;
  // Mc: rows that share one pass over B. A is re-read once per strip of B at about one byte per cycle, which L3 serves
  // as well as L2; weights that come from memory should come once. Partial sums of a strip stay within L2.
  const std::size_t far = target.l3_bytes != 0 ? target.l3_bytes / 4 : target.l2_bytes;
  const std::size_t by_l3 = far / std::max<std::size_t>(shape.k * size, 1);
  const std::size_t by_partials = ranges ? target.l2_bytes / 8 / (kStrip * sizeof(float)) : by_l3;
  out.mc = std::max(std::min(by_l3, by_partials) / rows_in_l1, std::size_t{8}) * rows_in_l1;
  out.mc = std::min(out.mc, std::max<std::size_t>(shape.m, 1));
  // Columns by default: then the threads together read B once. Narrow grains where wide ones would leave threads idle.
  const std::size_t strips = shape.n / kStrip;
  const std::size_t grain = strips >= 4 * static_cast<std::size_t>(threads) ? kStrip : gemm::kPanelWidth;
  const bool by_rows = largest_share(shape.m, rows_in_l1, threads) < 0.95 * largest_share(shape.n, grain, threads);
  out.split = by_rows ? Split::rows : Split::columns;
  out.grain = by_rows ? rows_in_l1 : grain;
  if (ranges) out.scratch_bytes = out.mc * kStrip * sizeof(float);
  return out;
}

std::string to_string(const GemmBlocking& b) {
  return fmt::format("{}: Mc={} Kc={}", b.kernel->name, b.mc, b.kc);
}

ThreadSplit split_of(const GemmBlocking& b, std::size_t m, std::size_t n) {
  const bool rows = b.split == Split::rows;
  return {rows ? "M" : "N", static_cast<std::int64_t>(rows ? m : n), static_cast<std::int64_t>(b.grain)};
}

void run_gemm(const GemmProblem& p, const Worker& worker) noexcept {
  const bool by_rows = p.blocking.split == Split::rows;
  const Range share =
      share_of(static_cast<std::int64_t>(by_rows ? p.m : p.n), static_cast<std::int64_t>(p.blocking.grain), worker);
  const auto begin = static_cast<std::size_t>(share.begin), end = static_cast<std::size_t>(share.end);
  const std::size_t row_begin = by_rows ? begin : 0, row_end = by_rows ? end : p.m;
  const std::size_t column_begin = by_rows ? 0 : begin, column_end = by_rows ? p.n : end;
  const std::size_t kc = p.blocking.kc;
  const gemm::KernelRow& kernel = *p.blocking.kernel;
  if (row_begin >= row_end || column_begin >= column_end) return;

  if (kernel.enter != nullptr) kernel.enter();
  for (std::size_t i0 = row_begin; i0 < row_end; i0 += p.blocking.mc) {
    const std::size_t rows = std::min(p.blocking.mc, row_end - i0);
    for (std::size_t j = column_begin; j < column_end; j += kStrip) {
      const Strip strip{i0, rows, j, std::min(kStrip, column_end - j), j + kStrip < column_end};
      for (std::size_t k0 = 0; k0 == 0 || k0 < p.k; k0 += kc) run_strip(p, strip, k0, std::min(kc, p.k - k0));
    }
  }
  if (kernel.leave != nullptr) kernel.leave();
}

}  // namespace intaglio::ops
