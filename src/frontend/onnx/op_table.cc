#include "frontend/onnx/op_table.h"

#include <unordered_map>

#include "frontend/onnx/fold.h"
#include "frontend/onnx/ops/translators.h"

namespace intaglio::frontend::onnx {
namespace {

constexpr Fold none = nullptr;

constexpr OpRow kRows[] = {
#define INTAGLIO_ONNX_OP(domain, op, since, newest, translate, fold) {domain, op, since, newest, translate, fold},
#include "frontend/onnx/ops.inc"
#undef INTAGLIO_ONNX_OP
};

}  // namespace

std::span<const OpRow> op_table() {
  return kRows;
}

const OpRow* find_op(std::string_view domain, std::string_view op) {
  static const auto* const by_name = [] {
    auto* map = new std::unordered_map<std::string_view, const OpRow*>;  // all rows are of the default domain
    for (const OpRow& row : kRows) map->emplace(row.op, &row);
    return map;
  }();
  if (!domain.empty() && domain != "ai.onnx") return nullptr;
  const auto found = by_name->find(op);
  return found == by_name->end() ? nullptr : found->second;
}

}  // namespace intaglio::frontend::onnx
