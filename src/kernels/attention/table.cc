#include "kernels/attention/table.h"

namespace intaglio::kernels::attention {

#define INTAGLIO_ATTENTION_MOVE(name, isa, group)
const SoftmaxRow kSoftmaxKernels[] = {
#define INTAGLIO_ATTENTION_SOFTMAX(name, isa) {#name, #isa, &name},
#include "kernels/attention/kernels.inc"
#undef INTAGLIO_ATTENTION_SOFTMAX
};
#undef INTAGLIO_ATTENTION_MOVE
const std::size_t kSoftmaxKernelCount = sizeof(kSoftmaxKernels) / sizeof(kSoftmaxKernels[0]);

#define INTAGLIO_ATTENTION_SOFTMAX(name, isa)
const MoveRow kMoveKernels[] = {
#define INTAGLIO_ATTENTION_MOVE(name, isa, group) {#name, #isa, Move::group, &name},
#include "kernels/attention/kernels.inc"
#undef INTAGLIO_ATTENTION_MOVE
};
#undef INTAGLIO_ATTENTION_SOFTMAX
const std::size_t kMoveKernelCount = sizeof(kMoveKernels) / sizeof(kMoveKernels[0]);

}  // namespace intaglio::kernels::attention
