// Quantisation and dequantisation.
#include "compile/lower.h"
#include "ops/quantize.h"

namespace intaglio::compile {

Status lower_quantize(Lowering& lowering, const ir::Node& node) {
  auto descriptor = std::make_unique<ops::QuantizeDescriptor>();
  descriptor->input = node.input(0)->dtype();
  descriptor->output = node.output()->dtype();
  if (node.op() != ir::Op::dynamic_quantize) {
    descriptor->kind = node.op() == ir::Op::quantize ? ops::QuantizeKind::quantize : ops::QuantizeKind::dequantize;
    descriptor->axis = node.attrs().i("axis");
    descriptor->zero = node.input(2) != nullptr;
  }
  return lowering.add_step(node, {std::move(descriptor), present_inputs(node), {}, {}});
}

}  // namespace intaglio::compile
