// Random valid graphs for tests: seeded, any op, whatever operands and attributes the shape functions accept.
#pragma once

#include <cmath>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace intaglio::ir {

class RandomGraph {
 public:
  explicit RandomGraph(unsigned seed) : random_(seed) {
    graph.name = "random";
    graph.symbols = {{"s", {1, 8}}, {"t", {0, INT64_MAX}}};
    values_.push_back(graph.add_input("symbols", Type{DType::f32, {Dim::symbol("s"), Dim::symbol("t")}}));
    for (const DType dtype : {DType::f32, DType::i64, DType::boolean, DType::u8, DType::f16, DType::i8}) {
      for (int i = 0; i < 3; ++i)
        values_.push_back(graph.add_input("in" + std::to_string(values_.size()), Type{dtype, shape()}));
    }
    for (int i = 0; i < 4; ++i) {
      values_.push_back(graph.add_constant(*Tensor::from<float>({2, 3}, {1, 2.5f, NAN, -0.0f, 1e-30f, 3})));
      values_.push_back(graph.add_constant(Tensor::scalar_i64(static_cast<std::int64_t>(random_()))));
    }
  }

  void grow(int attempts) {
    for (int i = 0; i < attempts; ++i) {
      const auto op = static_cast<Op>(pick(kOpCount));
      const OpSchema& s = schema(op);
      NodeSpec spec{op, {}, {}, {pick(2) == 0 ? "" : "node \"" + std::to_string(i), pick(3) == 0 ? "file.py:1" : ""},
                    "", {}};
      Value* first = nullptr;
      for (const OperandSchema& operand : s.inputs) {
        if (operand.optional && pick(2) == 0) {
          spec.inputs.push_back(nullptr);
          continue;
        }
        Value* value = first != nullptr && pick(3) == 0 ? first : values_[pick(values_.size())];
        first = first == nullptr ? value : first;
        spec.inputs.push_back(value);
        if (operand.variadic && pick(2) == 0) spec.inputs.push_back(first);
      }
      for (const AttrSchema& attr : s.attrs) {
        if (attr.default_value && pick(2) == 0) continue;
        spec.attrs.set(attr.name, this->attr(attr, first));
      }
      auto node = graph.add(std::move(spec));
      if (!node) continue;
      if (!with_guards && !graph.guards.empty()) {
        graph.guards.clear();
        graph.erase(*node);
        continue;
      }
      used.insert(op);
      for (Value* output : (*node)->outputs()) values_.push_back(output);
    }
    for (int i = 0; i < 5; ++i) graph.add_output("out" + std::to_string(i), values_[pick(values_.size())]);
  }

  Graph graph;
  std::set<Op> used;
  bool with_guards = true;  // false: only nodes that fit for every binding

 private:
  std::size_t pick(std::size_t n) { return random_() % n; }
  Dim dim() {
    switch (pick(6)) {
      case 0:
        return Dim::symbol("s");
      case 1:
        return Dim::symbol("t") * Dim::symbol("s") + 1;
      case 2:
        return Dim::floordiv(Dim::symbol("s") + 1, 2);
      default:
        return static_cast<std::int64_t>(pick(4));
    }
  }
  Dims shape() {
    Dims dims;
    for (std::size_t rank = pick(4); rank > 0; --rank) dims.push_back(dim());
    return dims;
  }
  Attr attr(const AttrSchema& want, const Value* x) {
    static const char* const kWords[] = {"none",        "tanh", "gelu", "relu", "sum", "max",
                                         "log_sum_exp", "bhsd", "bshd", "any",  "a\"b"};
    const std::size_t rank = x == nullptr ? 1 : x->shape().size();
    switch (want.kind) {
      case AttrKind::integer:
        return Attr(static_cast<std::int64_t>(pick(std::max<std::size_t>(rank, 1))));
      case AttrKind::floating:
        return Attr(std::ldexp(static_cast<double>(random_()) - 2e9, static_cast<int>(pick(60)) - 50));
      case AttrKind::boolean:
        return Attr(pick(2) == 0);
      case AttrKind::string:
        return Attr(std::string(kWords[pick(std::size(kWords))]));
      case AttrKind::dtype:
        return Attr(static_cast<DType>(pick(kDTypeCount)));
      case AttrKind::dim:
        return Attr(dim());
      case AttrKind::dims:
        return Attr(x != nullptr && pick(2) == 0 ? x->shape() : shape());
      case AttrKind::ints: {
        Ints list;
        for (std::size_t i = 0; i < rank; ++i) list.push_back(static_cast<std::int64_t>(rank - 1 - i));
        if (pick(2) == 0) list.resize(pick(rank + 1));
        return Attr(list);
      }
    }
    return Attr(false);
  }

  std::mt19937 random_;
  std::vector<Value*> values_;
};

}  // namespace intaglio::ir
