// The attention kernels as rows of data (kernels.inc). Not for ISA files.
#pragma once

#include "kernels/attention/attention.h"

namespace intaglio::kernels::attention {

enum class Probabilities : std::uint8_t { f32, bf16, u8 };
struct SoftmaxRow {
  const char* name;
  const char* isa;  // token of base/isa.inc
  Probabilities type;
  SoftmaxKernel kernel;
};
enum class Values : std::uint8_t { bf16, s8 };
struct ValuesRow {
  const char* name;
  const char* isa;
  Values type;
  ValuesKernel kernel;
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
extern const ValuesRow kValuesKernels[];
extern const std::size_t kValuesKernelCount;
extern const MoveRow kMoveKernels[];
extern const std::size_t kMoveKernelCount;

#define INTAGLIO_ATTENTION_SOFTMAX(name, isa, type) void name(const SoftmaxArgs& args);
#define INTAGLIO_ATTENTION_VALUES(name, isa, type)  void name(const ValuesArgs& args);
#define INTAGLIO_ATTENTION_MOVE(name, isa, group)   void name(const MoveArgs& args);
#include "kernels/attention/kernels.inc"
#undef INTAGLIO_ATTENTION_SOFTMAX
#undef INTAGLIO_ATTENTION_VALUES
#undef INTAGLIO_ATTENTION_MOVE

}  // namespace intaglio::kernels::attention
