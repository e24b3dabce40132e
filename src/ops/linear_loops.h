// The loops around the packed-weight GEMM kernels: choice of the kernel, cache blocking, the walk over blocks, and how
// threads share a problem. Used by linear and matmul.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/isa.h"
#include "kernels/gemm/layout.h"
#include "kernels/gemm/table.h"
#include "ops/candidate.h"

namespace intaglio::ops {

// The row of kernels/gemm/kernels.inc that multiplies M rows of these types: of the highest level in `isa`, the
// smallest block that holds all M rows, else the largest. AMX rows need at least kLeastAmxRows: below, the next level
// reads the same packed weights as fast. Pure: the machine is an argument, and threads are not. Null only if `isa` has
// no row.
const kernels::gemm::KernelRow* choose_gemm(kernels::gemm::Types types, IsaSet isa, std::size_t m);
inline constexpr std::size_t kManyRows = std::size_t{1} << 20;  // for "the row of large problems"
inline constexpr std::size_t kLeastAmxRows = 5;

// The types by which A and B of floating types are multiplied; B's own layout in memory is that of `b`. Two 16-bit
// floats of one type go to the core's own instructions, unless the only row of these types is the reference: then, as
// for every A of another type than B, the caller widens A to f32. Pure.
kernels::gemm::Types float_types(DType a, DType b, IsaSet isa);

enum class Split : std::uint8_t { columns, rows };

// How one concrete problem is cut. K is never split among threads, and neither the kernel nor the K ranges depend on
// their number, so the result has the same bits for any thread count.
struct GemmBlocking {
  const kernels::gemm::KernelRow* kernel = nullptr;
  std::size_t mc = 0;  // rows that share one pass over the packed B
  std::size_t kc = 0;  // K range of one call
  Split split = Split::columns;
  std::size_t grain = 0;          // of the split dimension
  std::size_t scratch_bytes = 0;  // per thread: partial sums, when K takes more than one range
};
struct GemmShape {
  std::size_t m = 0, n = 0, k = 0;
  std::size_t group = 0;  // K ranges end at multiples of it; 0: no groups
};
// Precondition: `isa` of the target has a row of the types.
GemmBlocking block_gemm(kernels::gemm::Types types, const GemmShape& shape, int threads, const Target& target);
std::string to_string(const GemmBlocking& blocking);
ThreadSplit split_of(const GemmBlocking& blocking, std::size_t m, std::size_t n);

// What products of these types are computed with.
constexpr Products products_of(kernels::gemm::Types types) {
  using enum kernels::gemm::Types;
  if (types == bf16) return Products::bf16;
  return types == s8w4 || kernels::gemm::facts_of(types).integer ? Products::int8 : Products::f32;
}

// out[m x n] = epilogue(A[m x k] x packed B). Fields as in kernels::gemm::Args; element sizes follow from the kernel's
// types and the epilogue's output type.
struct GemmProblem {
  GemmBlocking blocking;
  std::size_t m = 0, n = 0, k = 0;
  const void* a = nullptr;
  std::size_t a_pitch = 0;
  const void* b = nullptr;
  std::size_t b_panel = 0;
  kernels::gemm::GroupTable groups;
  void* out = nullptr;
  std::size_t out_pitch = 0;
  const kernels::gemm::Epilogue* epilogue = nullptr;
  std::byte* scratch = nullptr;  // blocking.scratch_bytes, this thread's own
};
// The worker's share of the problem. Never throws or allocates.
void run_gemm(const GemmProblem& problem, const Worker& worker) noexcept;

}  // namespace intaglio::ops
