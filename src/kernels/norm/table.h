// The norm kernels as rows of data (kernels.inc). Not for ISA files.
#pragma once

#include "kernels/norm/norm.h"

namespace intaglio::kernels::norm {

struct KernelRow {
  const char* name;
  const char* isa;  // token of base/isa.inc
  Kernel kernel;
};
extern const KernelRow kKernels[];
extern const std::size_t kKernelCount;

#define INTAGLIO_NORM_KERNEL(name, isa) void name(const Args& args);
#include "kernels/norm/kernels.inc"
#undef INTAGLIO_NORM_KERNEL

}  // namespace intaglio::kernels::norm
