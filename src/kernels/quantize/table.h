// The quantisation kernels as rows of data (kernels.inc). Not for ISA files.
#pragma once

#include "kernels/quantize/quantize.h"

namespace intaglio::kernels::quantize {

enum class Group : std::uint8_t { extremes, extremes_bf16, quantize_u8, quantize_s8, dequantize_u8, dequantize_s8 };
struct KernelRow {
  const char* name;
  const char* isa;  // token of base/isa.inc
  Group group;
  Kernel kernel;
};
extern const KernelRow kKernels[];
extern const std::size_t kKernelCount;

struct RowKernelRow {
  const char* name;
  const char* isa;
  DType source;  // f32 or bf16
  RowKernel kernel;
};
extern const RowKernelRow kRowKernels[];
extern const std::size_t kRowKernelCount;

#define INTAGLIO_QUANTIZE_KERNEL(name, isa, group) void name(const Args& args);
#define INTAGLIO_QUANTIZE_ROW(name, isa, source)   void name(const RowArgs& args);
#include "kernels/quantize/kernels.inc"
#undef INTAGLIO_QUANTIZE_KERNEL
#undef INTAGLIO_QUANTIZE_ROW

}  // namespace intaglio::kernels::quantize
