// The quantisation kernels as rows of data (kernels.inc). Not for ISA files.
#pragma once

#include "kernels/quantize/quantize.h"

namespace intaglio::kernels::quantize {

enum class Group : std::uint8_t { extremes, quantize_u8, quantize_s8, dequantize_u8, dequantize_s8 };
struct KernelRow {
  const char* name;
  const char* isa;  // token of base/isa.inc
  Group group;
  Kernel kernel;
};
extern const KernelRow kKernels[];
extern const std::size_t kKernelCount;

#define INTAGLIO_QUANTIZE_KERNEL(name, isa, group) void name(const Args& args);
#include "kernels/quantize/kernels.inc"
#undef INTAGLIO_QUANTIZE_KERNEL

}  // namespace intaglio::kernels::quantize
