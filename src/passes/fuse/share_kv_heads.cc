// Before:  %k = reshape(expand(reshape(%a) {[B,Hk,1,S,D]}) {[B,Hk,n,S,D]}) {[B,Hk*n,S,D]}     (%v from %b likewise)
//          %y = attention(%q, %k, %v, %mask) {layout="bhsd"}
// After:   %y = attention(%q, %a, %b, %mask)
// Grouped-query attention as models spell it for kernels that know one key head per query head; the IR's attention
// reads a key head for the n query heads that share it, so the copies disappear. Exact.
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> share_kv_heads(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "kv_heads";

// [B,Hk,S,D] of a value in which every head is repeated n times in a row, or nullptr.
struct Repeated {
  ir::Value* heads = nullptr;  // as [B,Hk,1,S,D] or [B,Hk,S,D]
  Dims shape;                  // [B,Hk,S,D]
};
std::optional<Repeated> match_repeated(const ir::Value* value) {
  const ir::Node* merge = made_by(value, ir::Op::reshape);
  const ir::Node* expand = merge == nullptr ? nullptr : made_by(merge->input(0), ir::Op::expand);
  if (expand == nullptr || value->rank() != 4 || expand->output()->rank() != 5 || expand->input(0)->rank() != 5)
    return std::nullopt;
  const Dims &from = expand->input(0)->shape(), &to = expand->output()->shape(), &out = value->shape();
  if (from[2] != Dim(1)) return std::nullopt;
  for (const std::size_t axis : {0, 1, 3, 4}) {
    if (from[axis] != to[axis]) return std::nullopt;
  }
  if (out[0] != to[0] || out[1] != to[1] * to[2] || out[2] != to[3] || out[3] != to[4]) return std::nullopt;
  ir::Value* heads = expand->input(0);
  const Dims shape{from[0], from[1], from[3], from[4]};
  if (const ir::Node* split = made_by(heads, ir::Op::reshape); split != nullptr && split->input(0)->shape() == shape)
    heads = split->input(0);
  return Repeated{heads, shape};
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& node) {
  if (node.op() != ir::Op::attention || node.attrs().s("layout") != "bhsd") return false;
  const auto k = match_repeated(node.input(1)), v = match_repeated(node.input(2));
  if (!k && !v) return false;
  if (!k || !v || k->shape[1] != v->shape[1]) {
    context.near_miss(kPattern, node, "only one of k and v repeats its heads, or they do so differently");
    return false;
  }
  std::vector<ir::Value*> inputs(node.inputs().begin(), node.inputs().end());
  for (const auto& [index, part] : {std::pair{std::size_t{1}, &*k}, std::pair{std::size_t{2}, &*v}}) {
    inputs[index] = part->heads;
    if (part->heads->rank() == 4) continue;
    INTAGLIO_TRY(
        inputs[index],
        graph.add1({ir::Op::reshape, {part->heads}, {{"shape", part->shape}}, node.origin(), part->heads->name(), {}},
                   &node));
  }
  INTAGLIO_CHECK(replace(graph, context, kPattern, node, {node.op(), std::move(inputs), node.attrs(), node.origin()}));
  return true;
}

}  // namespace

Result<int> share_kv_heads(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
