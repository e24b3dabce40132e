#include "kernels/quantize/table.h"

namespace intaglio::kernels::quantize {

const KernelRow kKernels[] = {
#define INTAGLIO_QUANTIZE_ROW(name, isa, source)
#define INTAGLIO_QUANTIZE_KERNEL(name, isa, group) {#name, #isa, Group::group, &name},
#include "kernels/quantize/kernels.inc"
#undef INTAGLIO_QUANTIZE_KERNEL
#undef INTAGLIO_QUANTIZE_ROW
};
const std::size_t kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

const RowKernelRow kRowKernels[] = {
#define INTAGLIO_QUANTIZE_KERNEL(name, isa, group)
#define INTAGLIO_QUANTIZE_ROW(name, isa, source) {#name, #isa, DType::source, &name},
#include "kernels/quantize/kernels.inc"
#undef INTAGLIO_QUANTIZE_ROW
#undef INTAGLIO_QUANTIZE_KERNEL
};
const std::size_t kRowKernelCount = sizeof(kRowKernels) / sizeof(kRowKernels[0]);

}  // namespace intaglio::kernels::quantize
