// The program's vocabulary and rules.
#include <fmt/format.h>

#include "kernels/elementwise/table.h"
#include "ops/elementwise.h"

namespace intaglio::ops {
namespace {

namespace table = kernels::elementwise;
using table::OpFacts;
using table::ResultRule;
using table::Types;

const OpFacts& facts_of(ElementwiseOp op) {
  return table::kOps[static_cast<std::size_t>(op)];
}

bool allows(Types types, DType type) {
  switch (types) {
    case Types::floating:
      return is_floating(type);
    case Types::number:
      return is_floating(type) || is_integer(type);
    case Types::bits:
      return type == DType::boolean || is_integer(type);
    case Types::boolean:
      return type == DType::boolean;
    case Types::all:
      return true;
  }
  return false;
}

DType result_of(const ElementwiseInstruction& instruction, const std::vector<DType>& values) {
  const auto type = [&](int i) { return values[static_cast<std::size_t>(instruction.source[i])]; };
  switch (facts_of(instruction.op).result) {
    case ResultRule::same:
      return type(0);
    case ResultRule::truth:
      return DType::boolean;
    case ResultRule::chosen:
      return type(1);
    case ResultRule::cast:
    case ResultRule::constant:
      return instruction.to;
  }
  return DType::f32;
}

Status check_instruction(const ElementwiseInstruction& instruction, std::size_t index,
                         const std::vector<DType>& values) {
  const OpFacts& facts = facts_of(instruction.op);
  const auto reject = [&](std::string why) {
    return fail(ErrorCode::usage, fmt::format("elementwise instruction {} ({}): {}", index, facts.name, why));
  };
  for (int i = 0; i < facts.sources; ++i) {
    const std::int64_t source = instruction.source[i];
    if (source < 0 || source >= static_cast<std::int64_t>(values.size())) {
      return reject(fmt::format("source {} is value {}, which does not exist yet", i, source));
    }
  }
  for (int i = facts.sources; i < 3; ++i) {
    if (instruction.source[i] != -1) return reject(fmt::format("source {} must be -1", i));
  }
  const auto type = [&](int i) { return values[static_cast<std::size_t>(instruction.source[i])]; };
  const int first = instruction.op == ElementwiseOp::where ? 1 : 0;
  if (first == 1 && type(0) != DType::boolean) return reject("the condition is not bool");
  for (int i = first; i < facts.sources; ++i) {
    if (type(i) != type(first))
      return reject(fmt::format("mixed types {} and {}", name_of(type(first)), name_of(type(i))));
    if (!allows(facts.types, type(i))) return reject(fmt::format("not defined for {}", name_of(type(i))));
  }
  return {};
}

}  // namespace

std::optional<ElementwiseOp> parse_elementwise_op(std::string_view token) {
  for (std::size_t i = 0; i < table::kOpCount; ++i) {
    if (token == table::kOps[i].name) return static_cast<ElementwiseOp>(i);
  }
  return std::nullopt;
}
std::string_view name_of(ElementwiseOp op) {
  return facts_of(op).name;
}
int source_count(ElementwiseOp op) {
  return facts_of(op).sources;
}

std::int64_t ElementwiseDescriptor::add_operand(DType type) {
  operands.push_back(type);
  return static_cast<std::int64_t>(operands.size()) - 1;
}
std::int64_t ElementwiseDescriptor::add_instruction(const ElementwiseInstruction& instruction) {
  program.push_back(instruction);
  return static_cast<std::int64_t>(operands.size() + program.size()) - 1;
}

void ElementwiseDescriptor::fields(FieldVisitor& visitor) {
  visitor.list("operands", operands, [&](DType& type) { visitor.field("type", type); });
  visitor.list("program", program, [&](ElementwiseInstruction& each) {
    visitor.choice("op", each.op, static_cast<int>(table::kOpCount));
    for (std::int64_t& source : each.source) visitor.field("source", source);
    visitor.field("to", each.to);
    visitor.field("alpha", each.alpha);
    visitor.field("beta", each.beta);
  });
}

Status ElementwiseDescriptor::validate() const {
  if (program.empty()) return fail(ErrorCode::usage, "elementwise: a program without instructions");
  if (operands.size() > kMaxElementwiseOperands || program.size() > kMaxElementwiseInstructions) {
    return fail(ErrorCode::usage,
                fmt::format("elementwise: {} operands and {} instructions, at most {} and {}", operands.size(),
                            program.size(), kMaxElementwiseOperands, kMaxElementwiseInstructions));
  }
  std::vector<DType> values = operands;
  for (std::size_t i = 0; i < program.size(); ++i) {
    INTAGLIO_CHECK(check_instruction(program[i], i, values));
    values.push_back(result_of(program[i], values));
  }
  return {};
}

std::vector<DType> ElementwiseDescriptor::value_types() const {
  std::vector<DType> values = operands;
  for (const ElementwiseInstruction& each : program) values.push_back(result_of(each, values));
  return values;
}

ElementwiseDescriptor single_elementwise(ElementwiseOp op, std::span<const DType> operands) {
  ElementwiseDescriptor descriptor;
  ElementwiseInstruction instruction;
  instruction.op = op;
  for (std::size_t i = 0; i < operands.size() && i < 3; ++i)
    instruction.source[i] = descriptor.add_operand(operands[i]);
  descriptor.add_instruction(instruction);
  return descriptor;
}

std::unique_ptr<Descriptor> make_elementwise_descriptor() {
  return std::make_unique<ElementwiseDescriptor>();
}

}  // namespace intaglio::ops
