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

// The rows of kernels/gemm/kernels.inc for one machine: the highest level of `isa` that has the types.
struct GemmKernels {
  const kernels::gemm::KernelRow* many = nullptr;    // the most rows per call
  const kernels::gemm::KernelRow* single = nullptr;  // for M = 1; the same where the level has no special one
};
// Pure: the machine is an argument. Both are null only if `isa` lacks even scalar.
GemmKernels choose_gemm(kernels::gemm::Types types, IsaSet isa);

enum class Split : std::uint8_t { columns, rows };

// How one concrete problem is cut. K is never split among threads, and the sum's order in k is that of the kernel's
// contract, so the result depends neither on the blocking nor on the thread count.
struct GemmBlocking {
  std::size_t mc = 0;  // rows that share one pass over the packed B
  std::size_t kc = 0;  // K range of one call
  Split split = Split::columns;
  std::size_t grain = 0;          // of the split dimension
  std::size_t scratch_bytes = 0;  // per thread: partial sums, when K takes more than one range
};
GemmBlocking block_gemm(const GemmKernels& kernels, std::size_t m, std::size_t n, std::size_t k, int threads,
                        const Target& target);
std::string to_string(const GemmBlocking& blocking);

// out[m x n] = epilogue(A[m x k] x packed B). Fields as in kernels::gemm::Args; element sizes follow from the kernel's
// types.
struct GemmProblem {
  GemmKernels kernels;
  GemmBlocking blocking;
  std::size_t m = 0, n = 0, k = 0;
  const void* a = nullptr;
  std::size_t a_pitch = 0;
  const void* b = nullptr;
  std::size_t b_panel = 0;
  void* out = nullptr;  // f32 or i32
  std::size_t out_pitch = 0;
  const kernels::gemm::Epilogue* epilogue = nullptr;
  std::byte* scratch = nullptr;  // blocking.scratch_bytes, this thread's own
};
// The worker's share of the problem. Never throws or allocates.
void run_gemm(const GemmProblem& problem, const Worker& worker) noexcept;
// All of it, by the calling thread.
inline void run_gemm(const GemmProblem& problem) noexcept {
  run_gemm(problem, Worker{});
}

}  // namespace intaglio::ops
