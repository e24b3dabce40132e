// Quantisation and dequantisation.
#include "compile/lower.h"
#include "ops/quantize.h"

namespace intaglio::compile {

Status lower_quantize(Lowering& lowering, const ir::Node& node) {
  auto descriptor = std::make_unique<ops::QuantizeDescriptor>();
  descriptor->input = node.input(0)->dtype();
  descriptor->output = node.output()->dtype();
  StepSpec spec;
  for (ir::Value* input : node.inputs()) {
    if (input != nullptr) spec.inputs.push_back(input);
  }
  if (node.op() != ir::Op::dynamic_quantize) {
    descriptor->kind = node.op() == ir::Op::quantize ? ops::QuantizeKind::quantize : ops::QuantizeKind::dequantize;
    descriptor->axis = node.attrs().i("axis");
    descriptor->zero = node.input(2) != nullptr;
  }
  spec.descriptor = std::move(descriptor);
  return lowering.add_step(node, std::move(spec));
}

}  // namespace intaglio::compile
