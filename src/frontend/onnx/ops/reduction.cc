// Reductions and scans.
#include <numeric>

#include "frontend/onnx/ops/translators.h"

namespace intaglio::frontend::onnx {

using ir::Op;

namespace {

std::string_view reduction_kind(std::string_view op, DType dtype) {
  if (op == "ReduceMax") return dtype == DType::boolean ? "any" : "max";
  if (op == "ReduceMin") return dtype == DType::boolean ? "all" : "min";
  if (op == "ReduceMean") return "mean";
  if (op == "ReduceProd") return "prod";
  if (op == "ReduceL1") return "l1";
  if (op == "ReduceL2") return "l2";
  if (op == "ReduceSumSquare") return "sum_square";
  if (op == "ReduceLogSum") return "log_sum";
  if (op == "ReduceLogSumExp") return "log_sum_exp";
  return "sum";
}

}  // namespace

Status translate_reduce(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  INTAGLIO_TRY(auto axes, c.axes(c.op_type() == "ReduceSum" ? 13 : 18, 1));
  if (!axes || axes->empty()) {
    axes.emplace();
    if (c.attr_int("noop_with_empty_axes", 0) == 0) {
      axes->resize(static_cast<std::size_t>(x->rank()));
      std::iota(axes->begin(), axes->end(), 0);
    }
  }
  return c.set(
      0, c.b.reduce(reduction_kind(c.op_type(), x->dtype()), x, std::move(*axes), c.attr_int("keepdims", 1) != 0));
}

Status translate_arg(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  INTAGLIO_TRY(const std::int64_t axis, normalise_axis(c.attr_int("axis", 0), x->rank()));
  return c.set(0, c.b.op(Op::argmax, {x},
                         {{"axis", axis},
                          {"keepdims", c.attr_int("keepdims", 1) != 0},
                          {"last", c.attr_int("select_last_index", 0) != 0},
                          {"min", c.op_type() == "ArgMin"}}));
}

Status translate_softmax(NodeContext& c) {
  return c.set(0, c.b.softmax(c.input(0), c.attr_int("axis", -1), c.op_type() == "LogSoftmax"));
}

Status translate_cumsum(NodeContext& c) {
  INTAGLIO_TRY(ir::Value * x, c.input(0));
  INTAGLIO_TRY(const std::int64_t given, c.const_int(1, "axis"));
  INTAGLIO_TRY(const std::int64_t axis, normalise_axis(given, x->rank()));
  return c.set(0, c.b.op(Op::cumsum, {x},
                         {{"axis", axis},
                          {"exclusive", c.attr_int("exclusive", 0) != 0},
                          {"reverse", c.attr_int("reverse", 0) != 0}}));
}

}  // namespace intaglio::frontend::onnx
