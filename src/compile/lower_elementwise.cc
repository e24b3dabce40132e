// Elementwise ops: one instruction each.
#include "compile/lower.h"
#include "ops/elementwise.h"

namespace intaglio::compile {

namespace {

// The opcode's token: the op's name, but for variants that an attribute selects.
std::string token_of(const ir::Node& node) {
  switch (node.op()) {
    case ir::Op::mod:
      return node.attrs().b("fmod") ? "fmod" : "mod";
    case ir::Op::gelu:
      return node.attrs().s("approximate") == "tanh" ? "gelu_tanh" : "gelu";
    default:
      return std::string(ir::name_of(node.op()));
  }
}

}  // namespace

Status lower_elementwise(Lowering& lowering, const ir::Node& node) {
  const std::string token = token_of(node);
  const auto op = ops::parse_elementwise_op(token);
  if (!op) return fail(ErrorCode::internal, "there is no elementwise function '" + token + "'");
  auto descriptor = std::make_unique<ops::ElementwiseDescriptor>();
  ops::ElementwiseInstruction instruction;
  instruction.op = *op;
  StepSpec spec;
  for (std::size_t i = 0; i < node.inputs().size(); ++i) {
    instruction.source[i] = descriptor->add_operand(node.input(i)->dtype());
    spec.inputs.push_back(node.input(i));
  }
  switch (node.op()) {
    case ir::Op::cast:
      instruction.to = node.attrs().dtype("to");
      break;
    case ir::Op::clamp:
      instruction.alpha = node.attrs().f("min");
      instruction.beta = node.attrs().f("max");
      break;
    case ir::Op::hard_sigmoid:
      instruction.alpha = node.attrs().f("alpha");
      instruction.beta = node.attrs().f("beta");
      break;
    default:
      break;
  }
  descriptor->add_instruction(instruction);
  spec.descriptor = std::move(descriptor);
  return lowering.add_step(node, std::move(spec));
}

}  // namespace intaglio::compile
