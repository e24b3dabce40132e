// Short ways to add nodes, for passes and tests. (Frontends have their own builder, with their models' conventions.)
//   Builder b(graph, /*before=*/node, node->origin());
//   auto y = b.mul(x, b.sigmoid(x));   // Result<Value*>; the first error of a composition comes out at its end
#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace intaglio::ir {

// An operand or a result; a Value* converts to it, and nullptr is an absent optional operand.
using MaybeValue = Result<Value*>;

class Builder {
 public:
  // Inserts before `before` (nullptr: at the end); every new node gets `origin`.
  explicit Builder(Graph& graph, Node* before = nullptr, Origin origin = {})
      : graph_(graph), before_(before), origin_(std::move(origin)) {}

  Graph& graph() { return graph_; }
  void set_before(Node* before) { before_ = before; }
  void set_origin(Origin origin) { origin_ = std::move(origin); }
  // The hint for the names of the next node's values only.
  Builder& named(std::string_view hint) { return hint_ = hint, *this; }

  // Any op with one output, or with several.
  MaybeValue op(Op op, std::initializer_list<MaybeValue> inputs, Attrs attrs = {});
  MaybeValue op(Op op, const std::vector<MaybeValue>& inputs, Attrs attrs = {});
  Result<Node*> node(Op op, const std::vector<MaybeValue>& inputs, Attrs attrs = {});

  // Constants. scalar has rank 0; f64 and integers are converted to dtype (which must hold them).
  MaybeValue constant(Result<Tensor> tensor, std::string_view hint = "c");
  MaybeValue scalar(double value, DType dtype = DType::f32);
  MaybeValue ints(const Ints& values);  // i64[n]

  MaybeValue add(MaybeValue a, MaybeValue b) { return op(Op::add, {a, b}); }
  MaybeValue sub(MaybeValue a, MaybeValue b) { return op(Op::sub, {a, b}); }
  MaybeValue mul(MaybeValue a, MaybeValue b) { return op(Op::mul, {a, b}); }
  MaybeValue div(MaybeValue a, MaybeValue b) { return op(Op::div, {a, b}); }
  MaybeValue pow(MaybeValue a, MaybeValue b) { return op(Op::pow, {a, b}); }
  MaybeValue sqrt(MaybeValue x) { return op(Op::sqrt, {x}); }
  MaybeValue erf(MaybeValue x) { return op(Op::erf, {x}); }
  MaybeValue tanh(MaybeValue x) { return op(Op::tanh, {x}); }
  MaybeValue sigmoid(MaybeValue x) { return op(Op::sigmoid, {x}); }
  MaybeValue relu(MaybeValue x) { return op(Op::relu, {x}); }
  MaybeValue gelu(MaybeValue x) { return op(Op::gelu, {x}); }
  MaybeValue where(MaybeValue c, MaybeValue a, MaybeValue b) { return op(Op::where, {c, a, b}); }
  MaybeValue cast(MaybeValue x, DType to) { return op(Op::cast, {x}, {{"to", to}}); }
  MaybeValue reshape(MaybeValue x, Dims shape) { return op(Op::reshape, {x}, {{"shape", std::move(shape)}}); }
  MaybeValue transpose(MaybeValue x, Ints perm) { return op(Op::transpose, {x}, {{"perm", std::move(perm)}}); }
  MaybeValue expand(MaybeValue x, Dims shape) { return op(Op::expand, {x}, {{"shape", std::move(shape)}}); }
  // x[start:end] along one axis, step 1, bounds as the op wants them.
  MaybeValue slice(MaybeValue x, std::int64_t axis, Dim start, Dim end);
  MaybeValue concat(const std::vector<MaybeValue>& parts, std::int64_t axis) {
    return op(Op::concat, parts, {{"axis", axis}});
  }
  MaybeValue gather(MaybeValue data, MaybeValue indices, std::int64_t axis = 0) {
    return op(Op::gather, {data, indices}, {{"axis", axis}});
  }
  MaybeValue reduce(std::string_view kind, MaybeValue x, Ints axes, bool keepdims = true);
  MaybeValue softmax(MaybeValue x, std::int64_t axis) { return op(Op::softmax, {x}, {{"axis", axis}}); }
  MaybeValue layer_norm(MaybeValue x, MaybeValue gamma, MaybeValue beta, std::int64_t axis, double epsilon) {
    return op(Op::layer_norm, {x, gamma, beta}, {{"axis", axis}, {"epsilon", epsilon}});
  }
  MaybeValue matmul(MaybeValue a, MaybeValue b) { return op(Op::matmul, {a, b}); }
  MaybeValue linear(MaybeValue x, MaybeValue weight, MaybeValue bias = nullptr, MaybeValue residual = nullptr) {
    return op(Op::linear, {x, weight, bias, residual});
  }

 private:
  Graph& graph_;
  Node* before_ = nullptr;
  Origin origin_;
  std::string hint_;
};

}  // namespace intaglio::ir
