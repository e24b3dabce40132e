#include "kernels/elementwise/table.h"

namespace intaglio::kernels::elementwise {

const KernelRow kKernels[] = {
#define INTAGLIO_ELEMENTWISE_KERNEL(name, isa, group) {#name, #isa, Group::group, &name},
#include "kernels/elementwise/kernels.inc"
#undef INTAGLIO_ELEMENTWISE_KERNEL
};
const std::size_t kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

const OpFacts kOps[] = {
#define INTAGLIO_ELEMENTWISE(token, sources, result, types, vector, formula) \
  {#token, sources, ResultRule::result, Types::types, vector},
#include "kernels/elementwise/opcodes.inc"
#undef INTAGLIO_ELEMENTWISE
};
const std::size_t kOpCount = sizeof(kOps) / sizeof(kOps[0]);

bool vector_converts(DType from, DType to) {
  if (to == DType::f32) {
    return from == DType::f16 || from == DType::bf16 || from == DType::i32 || from == DType::u8 || from == DType::i8 ||
           from == DType::boolean;
  }
  return from == DType::f32 && (to == DType::f16 || to == DType::bf16 || to == DType::i32 || to == DType::boolean);
}

}  // namespace intaglio::kernels::elementwise
