#include "kernels/quantize/table.h"

namespace intaglio::kernels::quantize {

const KernelRow kKernels[] = {
#define INTAGLIO_QUANTIZE_KERNEL(name, isa, group) {#name, #isa, Group::group, &name},
#include "kernels/quantize/kernels.inc"
#undef INTAGLIO_QUANTIZE_KERNEL
};
const std::size_t kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

}  // namespace intaglio::kernels::quantize
