// Normalisation, softmax and attention.
#include "compile/lower.h"
#include "ops/attention.h"
#include "ops/norm.h"
#include "ops/rotary.h"
#include "ops/softmax.h"

namespace intaglio::compile {

namespace {

std::unique_ptr<ops::NormDescriptor> norm_descriptor(const ir::Node& node, bool rms) {
  auto descriptor = std::make_unique<ops::NormDescriptor>();
  descriptor->kind = rms ? ops::NormKind::rms : ops::NormKind::layer;
  descriptor->dtype = node.input(0)->dtype();
  descriptor->axis = node.attrs().i("axis");
  descriptor->epsilon = node.attrs().f("epsilon");
  descriptor->gamma = node.input(1) != nullptr;
  descriptor->beta = node.input(2) != nullptr;
  return descriptor;
}

}  // namespace

Status lower_norm(Lowering& lowering, const ir::Node& node) {
  return lowering.add_step(node, {norm_descriptor(node, node.op() == ir::Op::rms_norm), present_inputs(node), {}, {}});
}

Status lower_norm_quantize(Lowering& lowering, const ir::Node& node) {
  auto descriptor = norm_descriptor(node, node.attrs().s("kind") == "rms");
  descriptor->quantize = ops::NormQuantize::symmetric;
  descriptor->keep_float = !node.output(0)->uses().empty();
  std::vector<ir::Value*> outputs(node.outputs().begin() + (descriptor->keep_float ? 0 : 1), node.outputs().end());
  return lowering.add_step(node, {std::move(descriptor), present_inputs(node), {}, {}, std::move(outputs)});
}

Status lower_softmax(Lowering& lowering, const ir::Node& node) {
  auto descriptor = std::make_unique<ops::SoftmaxDescriptor>();
  descriptor->dtype = node.input(0)->dtype();
  descriptor->axis = node.attrs().i("axis");
  descriptor->log = node.attrs().b("log");
  return lowering.add_step(node, {std::move(descriptor), {node.input(0)}, {}, {}});
}

Status lower_attention(Lowering& lowering, const ir::Node& node) {
  auto descriptor = std::make_unique<ops::AttentionDescriptor>();
  const bool packed = node.op() == ir::Op::attention_packed;
  const ir::Value* mask = node.input(packed ? 1 : 3);
  descriptor->dtype = node.input(0)->dtype();
  if (packed) {
    descriptor->layout = ops::AttentionLayout::packed;
    descriptor->heads = node.attrs().i("heads");
    descriptor->kv_heads = node.attrs().i("kv_heads");
  } else {
    descriptor->layout = node.attrs().s("layout") == "bshd" ? ops::AttentionLayout::bshd : ops::AttentionLayout::bhsd;
  }
  if (mask != nullptr) {
    descriptor->mask = mask->dtype() == DType::boolean ? ops::AttentionMask::kept : ops::AttentionMask::added;
  }
  descriptor->scale = node.attrs().f("scale");
  descriptor->causal = node.attrs().b("causal");
  if (node.attrs().s("compute") == "int8") descriptor->compute = ops::AttentionCompute::int8;
  const std::string& blind = node.attrs().s("blind");
  descriptor->blind = blind == "zero"  ? ops::AttentionBlind::zero
                      : blind == "nan" ? ops::AttentionBlind::nan
                                       : ops::AttentionBlind::mean;
  return lowering.add_step(node, {std::move(descriptor), present_inputs(node), {}, {}});
}

Status lower_rotary(Lowering& lowering, const ir::Node& node) {
  auto descriptor = std::make_unique<ops::RotaryDescriptor>();
  descriptor->dtype = node.input(0)->dtype();
  descriptor->table = node.input(1)->dtype();
  descriptor->interleaved = node.attrs().b("interleaved");
  descriptor->heads = node.attrs().i("heads");
  return lowering.add_step(node, {std::move(descriptor), {node.input(0), node.input(1), node.input(2)}, {}, {}});
}

}  // namespace intaglio::compile
