#include "passes/match.h"

#include <cmath>
#include <cstring>

namespace intaglio::passes {

ir::Node* made_by(const ir::Value* value, ir::Op op) {
  if (value == nullptr || value->producer() == nullptr || value->producer()->op() != op) return nullptr;
  return value->producer();
}

ir::Node* only_user(const ir::Value* value, ir::Op op) {
  if (value == nullptr || !value->has_one_use()) return nullptr;
  ir::Node* user = value->uses().front().node;
  return user != nullptr && user->op() == op ? user : nullptr;
}

ir::Node* linear_of(const ir::Value* value) {
  ir::Node* linear = made_by(value, ir::Op::linear);
  return linear != nullptr ? linear : made_by(value, ir::Op::quantized_linear);
}

std::size_t residual_slot(const ir::Node& linear) {
  return linear.op() == ir::Op::linear ? 3 : 7;
}

std::vector<ir::Value*> with_residual(const ir::Node& linear, ir::Value* residual) {
  std::vector<ir::Value*> inputs(linear.inputs().begin(), linear.inputs().end());
  inputs.resize(residual_slot(linear) + 1, nullptr);
  inputs[residual_slot(linear)] = residual;
  return inputs;
}

std::optional<double> splat_value(const ir::Value* value) {
  if (value == nullptr) return std::nullopt;
  if (const ir::Node* node = value->producer()) {
    if (node->op() == ir::Op::full) return node->attrs().f("value");
    if (node->op() == ir::Op::reshape || node->op() == ir::Op::expand) return splat_value(node->input(0));
    return std::nullopt;
  }
  if (!value->is_constant()) return std::nullopt;
  const ir::Tensor& tensor = value->constant();
  const std::int64_t count = tensor.element_count();
  if (count == 0) return std::nullopt;
  const std::size_t size = size_of(tensor.dtype);
  for (std::int64_t i = 1; i < count; ++i) {
    if (std::memcmp(tensor.data, tensor.data + static_cast<std::size_t>(i) * size, size) != 0) return std::nullopt;
  }
  return tensor.as_double(0);
}

bool is_splat(const ir::Value* value, double expected) {
  const auto found = splat_value(value);
  return found && (*found == expected || std::abs(*found - expected) <= 1e-6 * std::abs(expected));
}

std::optional<Scaled> match_scale(const ir::Value* value) {
  if (const ir::Node* mul = made_by(value, ir::Op::mul)) {
    const auto parts = split_operands(*mul, [](const ir::Value* v) { return splat_value(v).has_value(); });
    if (parts && same_shape(parts->first, value)) return Scaled{parts->first, *splat_value(parts->second)};
  }
  if (const ir::Node* div = made_by(value, ir::Op::div)) {
    const auto divisor = splat_value(div->input(1));
    if (divisor && *divisor != 0 && is_floating(value->dtype()) && same_shape(div->input(0), value)) {
      return Scaled{div->input(0), 1 / *divisor};
    }
  }
  return std::nullopt;
}

bool same_shape(const ir::Value* a, const ir::Value* b) {
  return a != nullptr && b != nullptr && a->shape() == b->shape();
}

bool is_row_vector(const ir::Value* value, const Dim& n) {
  if (value == nullptr || value->rank() == 0 || value->shape().back() != n) return false;
  for (int axis = 0; axis + 1 < value->rank(); ++axis) {
    if (value->shape()[static_cast<std::size_t>(axis)] != Dim(1)) return false;
  }
  return true;
}

ir::Origin merge_origins(std::initializer_list<const ir::Node*> nodes) {
  ir::Origin merged;
  for (const ir::Node* node : nodes) {
    if (node == nullptr) continue;
    const ir::Origin& origin = node->origin();
    if (merged.source.empty()) merged.source = origin.source;
    if (origin.name.empty() || merged.name.find(origin.name) != std::string::npos) continue;
    merged.name += (merged.name.empty() ? "" : "; ") + origin.name;
  }
  return merged;
}

}  // namespace intaglio::passes
