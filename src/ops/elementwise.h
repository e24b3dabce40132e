// Family "elementwise": a small program of scalar functions applied to every element of broadcast operands. One
// instruction stands for any model op of the groups unary, logical, binary, compare, ternary and cast; several for a
// fused chain (ONNX Add+Mul+Where..., ATen pointwise chains).
//
// Operands of a run: inputs[i] has the dtype operands[i]; shapes broadcast as in NumPy. One output, of dtype
// result_type(), whose shape is the broadcast of all inputs. No params. Constants are ordinary operands: pack() returns
// {}. Values: formulas in kernels/elementwise/opcodes.inc. f16 and bf16 are computed in f32 and rounded after each
// instruction.
#pragma once

#include <optional>
#include <span>

#include "kernels/elementwise/elementwise.h"
#include "ops/candidate.h"

namespace intaglio::ops {

using ElementwiseOp = kernels::elementwise::Op;

// "add" -> Op::add; nullopt for unknown tokens. Tokens are those of opcodes.inc (mod with fmod=true is "fmod", gelu
// with approximate=tanh is "gelu_tanh").
std::optional<ElementwiseOp> parse_elementwise_op(std::string_view token);
std::string_view name_of(ElementwiseOp op);
int source_count(ElementwiseOp op);

struct ElementwiseInstruction {
  ElementwiseOp op = ElementwiseOp::neg;
  // Values are numbered: first the operands, then the results of instructions in order. Unused ones are -1.
  std::int64_t source[3] = {-1, -1, -1};
  DType to = DType::f32;           // cast, constant
  double alpha = 0.0, beta = 0.0;  // hard_sigmoid; clamp: min, max; constant: the value is alpha
};

class ElementwiseDescriptor final : public Descriptor {
 public:
  std::vector<DType> operands;
  std::vector<ElementwiseInstruction> program;  // the last one's result is the output

  // Appends and returns the number of the new value.
  std::int64_t add_operand(DType type);  // before the first instruction only
  std::int64_t add_instruction(const ElementwiseInstruction& instruction);

  std::string_view family() const override { return "elementwise"; }
  void fields(FieldVisitor& visitor) override;
  Status validate() const override;
  std::unique_ptr<Descriptor> clone() const override { return std::make_unique<ElementwiseDescriptor>(*this); }

  // The type of every value. Precondition: validate() succeeded.
  std::vector<DType> value_types() const;
  DType result_type() const { return value_types().back(); }
};

// The descriptor of a single op on operands of these types, in order.
ElementwiseDescriptor single_elementwise(ElementwiseOp op, std::span<const DType> operands);

inline constexpr std::size_t kMaxElementwiseOperands = 64;
inline constexpr std::size_t kMaxElementwiseInstructions = 256;

}  // namespace intaglio::ops
