#include "ops/matmul_direct.h"

#include <algorithm>

#include "ops/kernel_choice.h"

namespace intaglio::ops {
namespace {

namespace direct = kernels::direct;

constexpr std::size_t kGrain = 64;      // columns: whole cache lines of y, whole blocks of the kernels
constexpr std::size_t kRowsAtOnce = 4;  // kernels/direct
// Up to so many rows, by measurement (README.md); fewer where rows of b lie a multiple of 4 KiB apart: then they share
// their sets of L1, from which later rows of a would read.
constexpr std::size_t kMostRows = 16, kMostRowsByPages = 8, kPageBytes = 4096;

// Rows of b run along n; a single column is as well a row along k.
bool by_columns(const MatmulShape& s) {
  return s.b.column == 1 && s.n > 1;
}

const direct::KernelRow* choose(IsaSet isa, direct::Form form) {
  const IsaSet set{isa.bits | isa_bit(Isa::scalar)};
  return best_row(direct::kDirectKernels, direct::kDirectKernelCount, set,
                  [&](const auto& row) { return row.form == form; });
}

}  // namespace

DirectMatmul::DirectMatmul(IsaSet isa)
    : columns_(choose(isa, direct::Form::columns)), dots_(choose(isa, direct::Form::dots)) {}

bool DirectMatmul::wins(const MatmulShape& s) {
  const bool by_pages = by_columns(s) && s.b.row * sizeof(float) % kPageBytes == 0;
  return s.m <= (by_pages ? kMostRowsByPages : kMostRows);
}

MatmulShape DirectMatmul::exchanged(const MatmulShape& s) {
  MatmulShape out = s;
  std::swap(out.m, out.n);
  std::swap(out.a_matrices, out.b_matrices);
  out.a = {s.b.column, s.b.row};
  out.b = {s.a.column, s.a.row};
  for (MatmulShape::BatchDim& dim : out.batch) std::swap(dim.a_step, dim.b_step);
  return out;
}

const direct::KernelRow& DirectMatmul::row(const MatmulShape& s) const {
  return by_columns(s) ? *columns_ : *dots_;
}

namespace {
// Of one matrix.
std::size_t grains_of(const MatmulShape& s) {
  return (s.n + kGrain - 1) / kGrain;
}
}  // namespace

ThreadSplit DirectMatmul::split_of(const MatmulShape& s) {
  return {"strips of N", static_cast<std::int64_t>(s.batches * grains_of(s)), 1};
}

void DirectMatmul::run(const MatmulShape& s, const Operands& o, const Worker& worker) const noexcept {
  const bool columns = by_columns(s);
  const direct::Kernel kernel = row(s).kernel;
  direct::Args args;
  args.m = s.m;
  args.k = s.k;
  args.a_pitch = o.a_pitch;
  args.b_pitch = columns ? s.b.row : s.b.column;
  args.out_pitch = s.n;
  args.scaled = o.alpha != 1.0f;
  args.scale = o.alpha;
  const std::size_t grains = grains_of(s);
  const Range share = share_of(split_of(s).total, 1, worker);
  for (auto at = static_cast<std::size_t>(share.begin); at < static_cast<std::size_t>(share.end);) {
    const std::size_t batch = at / grains, first = at % grains;
    // More rows than the kernels take in one pass over b: a grain of it at a time, which stays in L2.
    const std::size_t most = s.m > kRowsAtOnce ? 1 : grains;
    const std::size_t last = std::min({grains, first + most, first + static_cast<std::size_t>(share.end) - at});
    const std::size_t j = first * kGrain;
    const MatmulShape::Pair pair = s.at(batch);
    args.n = std::min(s.n, last * kGrain) - j;
    args.a = o.a + pair.a * s.m * s.k;
    args.b = s.k == 0 ? o.b : o.b + pair.b * s.k * s.n + j * s.b.column;  // of no elements it may be null
    args.out = o.y + batch * s.m * s.n + j;
    kernel(args);
    at += last - first;
  }
}

}  // namespace intaglio::ops
