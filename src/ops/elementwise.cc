// Preparing a program: kernels chosen, 16-bit floats computed through f32, tile buffers assigned.
#include "ops/elementwise.h"

#include <algorithm>

#include "ops/elementwise_op.h"
#include "ops/kernel_choice.h"
#include "ops/simple_candidate.h"

namespace intaglio::ops {
namespace {

namespace table = kernels::elementwise;
using table::Group;
using table::KernelRow;

bool is_half(DType type) {
  return type == DType::f16 || type == DType::bf16;
}

}  // namespace

ElementwiseKernels choose_elementwise(IsaSet isa) {
  const auto best = [&](Group group, bool scalar_only) {
    return best_row(table::kKernels, table::kKernelCount, isa, [&](const KernelRow& row) {
      return row.group == group && (!scalar_only || std::string_view(row.isa) == "scalar");
    });
  };
  ElementwiseKernels kernels;
  // The scalar rows need nothing that a machine could lack.
  kernels.any = best_row(table::kKernels, table::kKernelCount, closure_of(Isa::scalar),
                         [](const KernelRow& row) { return row.group == Group::apply; });
  kernels.convert_any = best_row(table::kKernels, table::kKernelCount, closure_of(Isa::scalar),
                                 [](const KernelRow& row) { return row.group == Group::convert; });
  kernels.vector = best(Group::apply, false);
  kernels.convert_vector = best(Group::convert, false);
  if (kernels.vector == nullptr) kernels.vector = kernels.any;
  if (kernels.convert_vector == nullptr) kernels.convert_vector = kernels.convert_any;
  return kernels;
}

const KernelRow& apply_row(const ElementwiseKernels& kernels, ElementwiseOp op, DType type) {
  const bool vector = type == DType::f32 && table::kOps[static_cast<std::size_t>(op)].vector;
  return vector ? *kernels.vector : *kernels.any;
}
const KernelRow& convert_row(const ElementwiseKernels& kernels, DType from, DType to) {
  return table::vector_converts(from, to) ? *kernels.convert_vector : *kernels.convert_any;
}

ElementwiseOpPrepared::ElementwiseOpPrepared(const ElementwiseDescriptor& descriptor, const Target& target)
    : operands_(descriptor.operands), types_(descriptor.operands) {
  const ElementwiseKernels kernels = choose_elementwise(target.isa);
  // Values of the program in terms of ours: 16-bit arithmetic adds values in between.
  std::vector<int> renumbered;
  for (std::size_t i = 0; i < operands_.size(); ++i) renumbered.push_back(static_cast<int>(i));
  for (ElementwiseInstruction instruction : descriptor.program) {
    for (std::int64_t& source : instruction.source) {
      if (source >= 0) source = renumbered[static_cast<std::size_t>(source)];
    }
    add_steps(instruction, kernels);
    renumbered.push_back(steps_.back().result);
    if (!summary_.empty()) summary_ += ' ';
    summary_ += name_of(instruction.op);
  }
  assign_slots();
  kernel_ = kernels.vector->name;
  isa_ = kernels.vector->isa;
}

int ElementwiseOpPrepared::convert(int value, DType to, const ElementwiseKernels& kernels) {
  ElementwiseStep step;
  step.op = ElementwiseOp::cast;
  step.type = types_[static_cast<std::size_t>(value)];
  step.to = to;
  step.kernel = convert_row(kernels, step.type, to).kernel;
  step.source[0] = value;
  step.result = static_cast<int>(types_.size());
  steps_.push_back(step);
  types_.push_back(to);
  return step.result;
}

// The value as f32; one conversion serves all its uses.
int ElementwiseOpPrepared::widened(int value, const ElementwiseKernels& kernels) {
  if (!is_half(types_[static_cast<std::size_t>(value)])) return value;
  for (const ElementwiseStep& step : steps_) {
    if (step.op == ElementwiseOp::cast && step.source[0] == value && step.to == DType::f32) return step.result;
  }
  return convert(value, DType::f32, kernels);
}

void ElementwiseOpPrepared::add_steps(const ElementwiseInstruction& instruction, const ElementwiseKernels& kernels) {
  const auto type_of = [&](int value) { return types_[static_cast<std::size_t>(value)]; };
  if (instruction.op == ElementwiseOp::cast) {
    convert(static_cast<int>(instruction.source[0]), instruction.to, kernels);
    return;
  }
  ElementwiseStep step;
  step.op = instruction.op;
  step.alpha = instruction.alpha;
  step.beta = instruction.beta;
  DType narrow = DType::f32;
  DType result = instruction.to;
  const int sources = source_count(instruction.op);
  if (sources > 0) {
    const bool chooses = instruction.op == ElementwiseOp::where;
    step.type = type_of(static_cast<int>(instruction.source[chooses ? 1 : 0]));
    const bool through_f32 = is_half(step.type) && !chooses;
    if (through_f32) narrow = step.type;
    for (int i = 0; i < sources; ++i) {
      const int source = static_cast<int>(instruction.source[i]);
      step.source[i] = through_f32 ? widened(source, kernels) : source;
    }
    if (through_f32) step.type = DType::f32;
    step.kernel = apply_row(kernels, step.op, step.type).kernel;
    const bool truth = table::kOps[static_cast<std::size_t>(step.op)].result == table::ResultRule::truth;
    result = truth ? DType::boolean : step.type;
    if (truth) narrow = DType::f32;
  }
  step.to = result;
  step.result = static_cast<int>(types_.size());
  steps_.push_back(step);
  types_.push_back(result);
  if (narrow != DType::f32) convert(step.result, narrow, kernels);
}

// Tile buffers are reused as soon as the last reader of a value has run. The last step writes to the output itself.
void ElementwiseOpPrepared::assign_slots() {
  slots_.assign(types_.size(), -1);
  std::vector<std::size_t> last_use(types_.size(), 0);
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    for (const int source : steps_[s].source) {
      if (source >= 0) last_use[static_cast<std::size_t>(source)] = s;
    }
  }
  std::vector<int> free;
  for (std::size_t s = 0; s + 1 < steps_.size(); ++s) {
    const auto result = static_cast<std::size_t>(steps_[s].result);
    if (free.empty()) free.push_back(slot_count_++);
    slots_[result] = free.back();
    free.pop_back();
    for (std::size_t value = operands_.size(); value < types_.size(); ++value) {
      const bool dies = slots_[value] >= 0 && last_use[value] == s && value != result;
      const bool once = dies && std::find(free.begin(), free.end(), slots_[value]) == free.end();
      const bool read_here = std::find(std::begin(steps_[s].source), std::end(steps_[s].source),
                                       static_cast<int>(value)) != std::end(steps_[s].source);
      if (once && read_here) free.push_back(slots_[value]);
    }
  }
}

bool ElementwiseOpPrepared::may_run_in_place(std::size_t index) const {
  return index < operands_.size() &&
         size_of(operands_[index]) == size_of(types_[static_cast<std::size_t>(steps_.back().result)]);
}

PreparedOp::Facts ElementwiseOpPrepared::facts() const {
  return {kernel_, isa_, summary_};
}

void add_elementwise_candidates(std::vector<const Candidate*>& out) {
  static const SimpleCandidate<ElementwiseDescriptor, ElementwiseOpPrepared> candidate("intaglio.elementwise",
                                                                                       "elementwise");
  out.push_back(&candidate);
}

}  // namespace intaglio::ops
