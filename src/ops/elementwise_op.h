// The prepared elementwise program: internal to ops/elementwise*.cc.
#pragma once

#include <string>
#include <vector>

#include "kernels/elementwise/table.h"
#include "ops/elementwise.h"
#include "ops/elementwise_loops.h"

namespace intaglio::ops {

// The rows that an ISA set gets, one of each kind.
struct ElementwiseKernels {
  const kernels::elementwise::KernelRow* any = nullptr;     // every op, every arithmetic type
  const kernels::elementwise::KernelRow* vector = nullptr;  // f32; may be the same as `any`
  const kernels::elementwise::KernelRow* convert_any = nullptr;
  const kernels::elementwise::KernelRow* convert_vector = nullptr;  // vector_converts(); may be convert_any
};
ElementwiseKernels choose_elementwise(IsaSet isa);
const kernels::elementwise::KernelRow& apply_row(const ElementwiseKernels& kernels, ElementwiseOp op, DType type);
const kernels::elementwise::KernelRow& convert_row(const ElementwiseKernels& kernels, DType from, DType to);

// One kernel call a tile. Values: operands first, then what steps write.
struct ElementwiseStep {
  kernels::elementwise::Kernel kernel = nullptr;  // nullptr: constant
  ElementwiseOp op = ElementwiseOp::neg;
  DType type = DType::f32, to = DType::f32;
  int source[3] = {-1, -1, -1};
  int result = -1;
  double alpha = 0.0, beta = 0.0;
};

class ElementwiseOpPrepared final : public PreparedOp {
 public:
  ElementwiseOpPrepared(const ElementwiseDescriptor& descriptor, const Target& target);
  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override;
  RunStatus run(const Binding& binding, const RunArgs& args, const Worker& worker) const noexcept override;
  bool may_run_in_place(std::size_t index) const override;
  Facts facts() const override;

 private:
  void add_steps(const ElementwiseInstruction& instruction, const ElementwiseKernels& kernels);
  int widened(int value, const ElementwiseKernels& kernels);
  int convert(int value, DType to, const ElementwiseKernels& kernels);
  void assign_slots();

  std::vector<DType> operands_;
  std::vector<ElementwiseStep> steps_;
  std::vector<DType> types_;  // of every value
  std::vector<int> slots_;    // of every value: which tile buffer holds it; -1 for operands and the output
  int slot_count_ = 0;
  std::string kernel_, isa_, summary_;
};

}  // namespace intaglio::ops
