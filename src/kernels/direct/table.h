// The direct kernels as rows of data (kernels.inc). Not for ISA files.
#pragma once

#include "kernels/direct/direct.h"

namespace intaglio::kernels::direct {

enum class Form : std::uint8_t { columns, dots };
struct KernelRow {
  const char* name;
  const char* isa;  // token of base/isa.inc
  Form form;
  Kernel kernel;
};

extern const KernelRow kDirectKernels[];
extern const std::size_t kDirectKernelCount;

#define INTAGLIO_DIRECT_KERNEL(name, isa, form) void name(const Args& args);
#include "kernels/direct/kernels.inc"
#undef INTAGLIO_DIRECT_KERNEL

}  // namespace intaglio::kernels::direct
