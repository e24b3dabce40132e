#include "passes/norm_match.h"

#include <algorithm>

namespace intaglio::passes {

std::optional<std::int64_t> trailing_mean(const ir::Node* reduce) {
  if (reduce == nullptr || reduce->attrs().s("kind") != "mean" || !reduce->attrs().b("keepdims")) return std::nullopt;
  ir::Ints axes = reduce->attrs().ints("axes");
  std::sort(axes.begin(), axes.end());
  const auto rank = static_cast<std::int64_t>(reduce->input(0)->rank());
  if (axes.empty() || axes.back() != rank - 1 || axes.front() != rank - static_cast<std::int64_t>(axes.size()))
    return std::nullopt;
  return axes.front();
}

bool is_square_of(const ir::Value* value, const ir::Value* d) {
  if (const ir::Node* pow = made_by(value, ir::Op::pow)) return pow->input(0) == d && is_splat(pow->input(1), 2.0);
  const ir::Node* mul = made_by(value, ir::Op::mul);
  return mul != nullptr && mul->input(0) == d && mul->input(1) == d;
}

std::optional<Normalised> match_normalised(const ir::Node& node) {
  if (node.op() == ir::Op::div) {
    const ir::Node* sqrt = made_by(node.input(1), ir::Op::sqrt);
    if (sqrt != nullptr) return Normalised{node.input(0), sqrt->input(0)};
  }
  if (node.op() != ir::Op::mul) return std::nullopt;
  for (std::size_t i = 0; i < 2; ++i) {
    if (const ir::Node* rsqrt = made_by(node.input(i), ir::Op::rsqrt))
      return Normalised{node.input(1 - i), rsqrt->input(0)};
    const ir::Node* inverse = made_by(node.input(i), ir::Op::reciprocal);
    const ir::Node* sqrt = inverse == nullptr ? nullptr : made_by(inverse->input(0), ir::Op::sqrt);
    if (sqrt != nullptr) return Normalised{node.input(1 - i), sqrt->input(0)};
  }
  return std::nullopt;
}

bool over_normalised_axes(const ir::Value* value, const ir::Value* x, std::int64_t axis) {
  const int normalised = x->rank() - static_cast<int>(axis);
  if (value == nullptr || !value->is_constant() || value->rank() < normalised || value->rank() > x->rank())
    return false;
  for (int i = 1; i <= value->rank(); ++i) {
    const Dim& dim = value->shape()[static_cast<std::size_t>(value->rank() - i)];
    const Dim& wanted = i <= normalised ? x->shape()[static_cast<std::size_t>(x->rank() - i)] : Dim(1);
    if (dim != wanted) return false;
  }
  return true;
}

Result<ir::Value*> trailing(ir::Graph& graph, ir::Value* value, const ir::Value* x, std::int64_t axis,
                            ir::Node& before) {
  const auto normalised = static_cast<std::size_t>(x->rank() - axis);
  if (value == nullptr || value->shape().size() == normalised) return value;
  Dims shape(value->shape().end() - static_cast<std::ptrdiff_t>(normalised), value->shape().end());
  return graph.add1({ir::Op::reshape, {value}, {{"shape", std::move(shape)}}, {}, value->name(), {}}, &before);
}

std::optional<Shifted> match_epsilon(const ir::Value* value) {
  const ir::Node* add = made_by(value, ir::Op::add);
  if (add == nullptr) return std::nullopt;
  const auto parts = split_operands(*add, [](const ir::Value* v) { return splat_value(v).has_value(); });
  if (!parts) return std::nullopt;
  return Shifted{parts->first, *splat_value(parts->second)};
}

}  // namespace intaglio::passes
