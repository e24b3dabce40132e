#include "kernels/softmax/table.h"

namespace intaglio::kernels::softmax {

const KernelRow kKernels[] = {
#define INTAGLIO_SOFTMAX_KERNEL(name, isa, group) {#name, #isa, Group::group, &name},
#include "kernels/softmax/kernels.inc"
#undef INTAGLIO_SOFTMAX_KERNEL
};
const std::size_t kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

}  // namespace intaglio::kernels::softmax
