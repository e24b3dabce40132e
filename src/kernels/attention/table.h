// The attention kernels as rows of data (kernels.inc). Not for ISA files.
#pragma once

#include "kernels/attention/attention.h"

namespace intaglio::kernels::attention {

struct SoftmaxRow {
  const char* name;
  const char* isa;  // token of base/isa.inc
  SoftmaxKernel kernel;
};
enum class Move : std::uint8_t { pack_keys, pack_values, dot, mix };
struct MoveRow {
  const char* name;
  const char* isa;
  Move move;
  MoveKernel kernel;
};

extern const SoftmaxRow kSoftmaxKernels[];
extern const std::size_t kSoftmaxKernelCount;
extern const MoveRow kMoveKernels[];
extern const std::size_t kMoveKernelCount;

#define INTAGLIO_ATTENTION_SOFTMAX(name, isa)     void name(const SoftmaxArgs& args);
#define INTAGLIO_ATTENTION_MOVE(name, isa, group) void name(const MoveArgs& args);
#include "kernels/attention/kernels.inc"
#undef INTAGLIO_ATTENTION_SOFTMAX
#undef INTAGLIO_ATTENTION_MOVE

}  // namespace intaglio::kernels::attention
