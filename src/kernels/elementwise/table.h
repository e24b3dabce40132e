// The elementwise kernels as rows of data (kernels.inc) and the facts of every Op. Not for ISA files.
#pragma once

#include "kernels/elementwise/elementwise.h"

namespace intaglio::kernels::elementwise {

enum class Group : std::uint8_t { apply, convert };
struct KernelRow {
  const char* name;
  const char* isa;  // token of base/isa.inc
  Group group;
  Kernel kernel;
};
extern const KernelRow kKernels[];
extern const std::size_t kKernelCount;

enum class ResultRule : std::uint8_t { same, truth, chosen, cast, constant };
enum class Types : std::uint8_t { floating, number, bits, boolean, all };
struct OpFacts {
  const char* name;
  int sources;
  ResultRule result;
  Types types;
  bool vector;
};
extern const OpFacts kOps[];  // indexed by Op
extern const std::size_t kOpCount;

// Whether the ISA rows of group convert serve this pair.
bool vector_converts(DType from, DType to);

#define INTAGLIO_ELEMENTWISE_KERNEL(name, isa, group) void name(const Args& args);
#include "kernels/elementwise/kernels.inc"
#undef INTAGLIO_ELEMENTWISE_KERNEL

}  // namespace intaglio::kernels::elementwise
