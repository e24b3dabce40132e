// Before:  %y = rotary(transpose(%x) {perm=[0,2,1,3]}, %c, %s)
// After:   %y = transpose(rotary(%x, transpose(%c), transpose(%s))) {perm=[0,2,1,3]}
// Projections write [batch, seq, heads, d]; after this the transpose stands before attention, which takes it over. The
// tables have no heads, so their transpose is a reshape. Exact.
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> rotate_before_transpose(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "rotary_layout";
const ir::Ints kSwap{0, 2, 1, 3};

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& rotary) {
  if (rotary.op() != ir::Op::rotary || rotary.attrs().i("heads") != 0) return false;
  const ir::Node* transpose = made_by(rotary.input(0), ir::Op::transpose);
  if (transpose == nullptr || transpose->attrs().ints("perm") != kSwap) return false;
  std::vector<ir::Value*> inputs{transpose->input(0), rotary.input(1), rotary.input(2)};
  for (std::size_t i = 1; i < 3; ++i) {
    // [.., S, R/2] as [.., 1, S, R/2]; the axis that is 1 goes behind the positions.
    Dims shape = inputs[i]->shape();
    while (shape.size() < 4) shape.insert(shape.begin(), Dim(1));
    if (shape[1] != Dim(1)) {
      context.near_miss(kPattern, rotary, "the tables differ from head to head");
      return false;
    }
    std::swap(shape[1], shape[2]);
    INTAGLIO_TRY(inputs[i],
                 graph.add1({ir::Op::reshape, {inputs[i]}, {{"shape", shape}}, rotary.origin(), inputs[i]->name(), {}},
                            &rotary));
  }
  INTAGLIO_TRY(
      ir::Value * rotated,
      graph.add1({ir::Op::rotary, std::move(inputs), rotary.attrs(), rotary.origin(), rotary.output()->name(), {}},
                 &rotary));
  INTAGLIO_CHECK(
      replace(graph, context, kPattern, rotary, {ir::Op::transpose, {rotated}, {{"perm", kSwap}}, rotary.origin()}));
  return true;
}

}  // namespace

Result<int> rotate_before_transpose(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
