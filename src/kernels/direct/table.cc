#include "kernels/direct/table.h"

namespace intaglio::kernels::direct {

const KernelRow kDirectKernels[] = {
#define INTAGLIO_DIRECT_KERNEL(name, isa, form) {#name, #isa, Form::form, &name},
#include "kernels/direct/kernels.inc"
#undef INTAGLIO_DIRECT_KERNEL
};
const std::size_t kDirectKernelCount = sizeof(kDirectKernels) / sizeof(kDirectKernels[0]);

}  // namespace intaglio::kernels::direct
