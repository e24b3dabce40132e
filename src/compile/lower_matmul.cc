// Products of two run-time operands.
#include "compile/lower.h"
#include "ops/matmul.h"

namespace intaglio::compile {

namespace {

// A transpose of the last two dims that only this product reads is taken over by the product.
ir::Value* through_transpose(ir::Value* value, bool& transposed) {
  const ir::Node* node = value->producer();
  transposed = false;
  if (node == nullptr || node->op() != ir::Op::transpose || value->rank() < 2) return value;
  ir::Ints expected;
  for (int i = 0; i < value->rank(); ++i) expected.push_back(i);
  std::swap(expected[expected.size() - 1], expected[expected.size() - 2]);
  if (node->attrs().ints("perm") != expected) return value;
  transposed = true;
  return node->input(0);
}

}  // namespace

Status lower_matmul(Lowering& lowering, const ir::Node& node) {
  auto descriptor = std::make_unique<ops::MatmulDescriptor>();
  StepSpec spec;
  descriptor->a = node.input(0)->dtype();
  descriptor->b = node.input(1)->dtype();
  descriptor->output = node.output()->dtype();
  spec.inputs = {through_transpose(node.input(0), descriptor->transpose_a),
                 through_transpose(node.input(1), descriptor->transpose_b)};
  if (node.op() == ir::Op::matmul_integer) {
    descriptor->a_zero = node.input(2) != nullptr;
    descriptor->b_zero = node.input(3) != nullptr;
    if (descriptor->a_zero) spec.inputs.push_back(node.input(2));
    if (descriptor->b_zero) spec.inputs.push_back(node.input(3));
  }
  spec.descriptor = std::move(descriptor);
  return lowering.add_step(node, std::move(spec));
}

}  // namespace intaglio::compile
