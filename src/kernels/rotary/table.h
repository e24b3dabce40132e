// The rotary kernels as rows of data (kernels.inc). Not for ISA files.
#pragma once

#include "kernels/rotary/rotary.h"

namespace intaglio::kernels::rotary {

enum class Type : std::uint8_t { f32, bf16 };

struct KernelRow {
  const char* name;
  const char* isa;  // token of base/isa.inc
  Type type;
  Kernel kernel;
};
extern const KernelRow kKernels[];
extern const std::size_t kKernelCount;

#define INTAGLIO_ROTARY_KERNEL(name, isa, type) void name(const Args& args);
#include "kernels/rotary/kernels.inc"
#undef INTAGLIO_ROTARY_KERNEL

}  // namespace intaglio::kernels::rotary
