#include "kernels/attention/table.h"

namespace intaglio::kernels::attention {

#define INTAGLIO_ATTENTION_VALUES(name, isa, type)
#define INTAGLIO_ATTENTION_MOVE(name, isa, group)
const SoftmaxRow kSoftmaxKernels[] = {
#define INTAGLIO_ATTENTION_SOFTMAX(name, isa, type) {#name, #isa, Probabilities::type, &name},
#include "kernels/attention/kernels.inc"
#undef INTAGLIO_ATTENTION_SOFTMAX
};
#undef INTAGLIO_ATTENTION_VALUES
#undef INTAGLIO_ATTENTION_MOVE
const std::size_t kSoftmaxKernelCount = sizeof(kSoftmaxKernels) / sizeof(kSoftmaxKernels[0]);

#define INTAGLIO_ATTENTION_SOFTMAX(name, isa, type)
#define INTAGLIO_ATTENTION_MOVE(name, isa, group)
const ValuesRow kValuesKernels[] = {
#define INTAGLIO_ATTENTION_VALUES(name, isa, type) {#name, #isa, Values::type, &name},
#include "kernels/attention/kernels.inc"
#undef INTAGLIO_ATTENTION_VALUES
};
#undef INTAGLIO_ATTENTION_SOFTMAX
#undef INTAGLIO_ATTENTION_MOVE
const std::size_t kValuesKernelCount = sizeof(kValuesKernels) / sizeof(kValuesKernels[0]);

#define INTAGLIO_ATTENTION_SOFTMAX(name, isa, type)
#define INTAGLIO_ATTENTION_VALUES(name, isa, type)
const MoveRow kMoveKernels[] = {
#define INTAGLIO_ATTENTION_MOVE(name, isa, group) {#name, #isa, Move::group, &name},
#include "kernels/attention/kernels.inc"
#undef INTAGLIO_ATTENTION_MOVE
};
#undef INTAGLIO_ATTENTION_SOFTMAX
#undef INTAGLIO_ATTENTION_VALUES
const std::size_t kMoveKernelCount = sizeof(kMoveKernels) / sizeof(kMoveKernels[0]);

}  // namespace intaglio::kernels::attention
