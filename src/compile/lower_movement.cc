// Movement, gathers, creation and reductions.
#include <algorithm>

#include "compile/lower.h"
#include "ops/copy.h"
#include "ops/create.h"
#include "ops/gather.h"
#include "ops/reduce.h"

namespace intaglio::compile {

Status lower_reshape(Lowering& lowering, const ir::Node& node) {
  return lowering.add_alias(node, node.input(0));
}

Status lower_copy(Lowering& lowering, const ir::Node& node) {
  auto descriptor = std::make_unique<ops::CopyDescriptor>();
  const ir::Attrs& attrs = node.attrs();
  StepSpec spec;
  spec.inputs.assign(node.inputs().begin(), node.inputs().end());
  switch (node.op()) {
    case ir::Op::transpose:
      descriptor->kind = ops::CopyKind::transpose;
      descriptor->perm = attrs.ints("perm");
      break;
    case ir::Op::expand:
      descriptor->kind = ops::CopyKind::expand;
      break;
    case ir::Op::slice:
      descriptor->kind = ops::CopyKind::slice;
      descriptor->axes = attrs.ints("axes");
      descriptor->steps = attrs.ints("steps");
      spec.params = attrs.dims("starts");
      spec.params.insert(spec.params.end(), attrs.dims("ends").begin(), attrs.dims("ends").end());
      break;
    case ir::Op::concat:
      descriptor->kind = ops::CopyKind::concat;
      descriptor->axis = attrs.i("axis");
      break;
    default:
      descriptor->kind = ops::CopyKind::pad;
      descriptor->value = attrs.f("value");
      spec.params = attrs.dims("before");
      break;
  }
  spec.descriptor = std::move(descriptor);
  return lowering.add_step(node, std::move(spec));
}

Status lower_gather(Lowering& lowering, const ir::Node& node) {
  auto descriptor = std::make_unique<ops::GatherDescriptor>();
  switch (node.op()) {
    case ir::Op::gather:
      descriptor->kind = ops::GatherKind::gather;
      descriptor->axis = node.attrs().i("axis");
      break;
    case ir::Op::gather_elements:
      descriptor->kind = ops::GatherKind::elements;
      descriptor->axis = node.attrs().i("axis");
      break;
    default:
      descriptor->kind = ops::GatherKind::nd;
      descriptor->batch_dims = node.attrs().i("batch_dims");
      break;
  }
  return lowering.add_step(node, {std::move(descriptor), {node.input(0), node.input(1)}, {}, {}});
}

Status lower_create(Lowering& lowering, const ir::Node& node) {
  auto descriptor = std::make_unique<ops::CreateDescriptor>();
  Dims params;
  switch (node.op()) {
    case ir::Op::iota:
      descriptor->kind = ops::CreateKind::iota;
      params = {node.attrs().dim("start"), node.attrs().dim("step")};
      break;
    case ir::Op::dims:
      descriptor->kind = ops::CreateKind::dims;
      params = node.attrs().dims("values");
      break;
    default:
      descriptor->kind = ops::CreateKind::full;
      descriptor->value = node.attrs().f("value");
      break;
  }
  return lowering.add_step(node, {std::move(descriptor), {}, {}, std::move(params)});
}

Status lower_reduce(Lowering& lowering, const ir::Node& node) {
  auto descriptor = std::make_unique<ops::ReduceDescriptor>();
  const ir::Attrs& attrs = node.attrs();
  switch (node.op()) {
    case ir::Op::argmax:
      descriptor->kind = ops::ReduceKind::argmax;
      descriptor->axes = {attrs.i("axis")};
      descriptor->take_last = attrs.b("last");
      descriptor->smallest = attrs.b("min");
      break;
    case ir::Op::cumsum:
      descriptor->kind = ops::ReduceKind::cumsum;
      descriptor->axes = {attrs.i("axis")};
      descriptor->exclusive = attrs.b("exclusive");
      descriptor->reverse = attrs.b("reverse");
      break;
    default: {
      const auto kind = ops::parse_reduce_kind(attrs.s("kind"));
      if (!kind) return fail(ErrorCode::internal, "unknown kind of reduction '" + attrs.s("kind") + "'");
      descriptor->kind = *kind;
      descriptor->axes = attrs.ints("axes");
      break;
    }
  }
  return lowering.add_step(node, {std::move(descriptor), {node.input(0)}, {}, {}});
}

}  // namespace intaglio::compile
