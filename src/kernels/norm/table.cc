#include "kernels/norm/table.h"

namespace intaglio::kernels::norm {

const KernelRow kKernels[] = {
#define INTAGLIO_NORM_KERNEL(name, isa) {#name, #isa, &name},
#include "kernels/norm/kernels.inc"
#undef INTAGLIO_NORM_KERNEL
};
const std::size_t kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

}  // namespace intaglio::kernels::norm
