#include "kernels/gemm/table.h"

namespace intaglio::kernels::gemm {

const KernelRow kKernels[] = {
#define INTAGLIO_GEMM_KERNEL(name, isa, types, block_m, block_n, tile_k) \
  {#name, #isa, Types::types, block_m, block_n, tile_k, &name},
#include "kernels/gemm/kernels.inc"
#undef INTAGLIO_GEMM_KERNEL
};
const std::size_t kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

}  // namespace intaglio::kernels::gemm
