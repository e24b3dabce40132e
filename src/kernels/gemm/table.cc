#include "kernels/gemm/table.h"

namespace intaglio::kernels::gemm {

const KernelRow kKernels[] = {
#define INTAGLIO_GEMM_KERNEL(name, isa, types, block_m, block_n, tile_k) \
  {#name, #isa, Types::types, block_m, block_n, tile_k, 0, &name, nullptr, nullptr},
#define INTAGLIO_GEMM_KERNEL_OFFSET(name, isa, types, block_m, block_n, tile_k, a_offset) \
  {#name, #isa, Types::types, block_m, block_n, tile_k, a_offset, &name, nullptr, nullptr},
#define INTAGLIO_GEMM_KERNEL_SETUP(name, isa, types, block_m, block_n, tile_k, enter, leave) \
  {#name, #isa, Types::types, block_m, block_n, tile_k, 0, &name, &enter, &leave},
#include "kernels/gemm/kernels.inc"
#undef INTAGLIO_GEMM_KERNEL
#undef INTAGLIO_GEMM_KERNEL_OFFSET
#undef INTAGLIO_GEMM_KERNEL_SETUP
};
const std::size_t kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

}  // namespace intaglio::kernels::gemm
