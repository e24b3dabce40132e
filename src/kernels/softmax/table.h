// The softmax kernels as rows of data (kernels.inc). Not for ISA files.
#pragma once

#include "kernels/softmax/softmax.h"

namespace intaglio::kernels::softmax {

enum class Group : std::uint8_t { rows, columns };
struct KernelRow {
  const char* name;
  const char* isa;  // token of base/isa.inc
  Group group;
  Kernel kernel;
};
extern const KernelRow kKernels[];
extern const std::size_t kKernelCount;

#define INTAGLIO_SOFTMAX_KERNEL(name, isa, group) void name(const Args& args);
#include "kernels/softmax/kernels.inc"
#undef INTAGLIO_SOFTMAX_KERNEL

}  // namespace intaglio::kernels::softmax
