#include "frontend/onnx/operand.h"

namespace intaglio::frontend::onnx {
namespace {

bool spend(const Dim& dim, int& budget) {
  for (const Dim::Term& term : dim.terms()) {
    if (--budget < 0) return false;
    for (const Dim::Factor& factor : term.factors) {
      // A high power multiplies the terms of whatever replaces the symbol.
      budget -= factor.power;
      if (budget < 0) return false;
      if (factor.atom->kind == DimAtom::Kind::symbol) continue;
      if (!spend(factor.atom->a, budget) || !spend(factor.atom->b, budget)) return false;
    }
  }
  return true;
}

}  // namespace

bool is_reasonable(const Dim& dim, int limit) {
  return spend(dim, limit);
}

std::optional<Known> known_contents(const ir::Tensor& tensor) {
  if (tensor.shape.size() > 1 || !(is_integer(tensor.dtype) || tensor.dtype == DType::boolean)) return std::nullopt;
  const std::int64_t count = tensor.element_count();
  if (count > static_cast<std::int64_t>(kMaxKnown) || tensor.dtype == DType::u64) return std::nullopt;
  Known known{tensor.dtype, static_cast<int>(tensor.shape.size()), {}};
  for (std::int64_t i = 0; i < count; ++i) known.dims.emplace_back(tensor.as_int(i));
  return known;
}

}  // namespace intaglio::frontend::onnx
