// The GEMM kernels as rows of data (kernels.inc). Choosing among them is done in ops. Not for ISA files.
#pragma once

#include "kernels/gemm/gemm.h"

namespace intaglio::kernels::gemm {

enum class Types : std::uint8_t { f32, u8s8i32 };

struct KernelRow {
  const char* name;  // op_types_block_tile_isa
  const char* isa;   // token of base/isa.inc
  Types types;
  std::size_t block_m, block_n;  // the most that one call computes
  std::size_t tile_k;            // K ranges that do not end the sum are multiples of this
  Kernel kernel;
};

extern const KernelRow kKernels[];
extern const std::size_t kKernelCount;

#define INTAGLIO_GEMM_KERNEL(name, isa, types, block_m, block_n, tile_k) void name(const Args& args);
#include "kernels/gemm/kernels.inc"
#undef INTAGLIO_GEMM_KERNEL

}  // namespace intaglio::kernels::gemm
