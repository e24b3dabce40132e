#include "kernels/rotary/table.h"

namespace intaglio::kernels::rotary {

const KernelRow kKernels[] = {
#define INTAGLIO_ROTARY_KERNEL(name, isa, type) {#name, #isa, Type::type, &name},
#include "kernels/rotary/kernels.inc"
#undef INTAGLIO_ROTARY_KERNEL
};
const std::size_t kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

}  // namespace intaglio::kernels::rotary
