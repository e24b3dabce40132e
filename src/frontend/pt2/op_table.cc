#include "frontend/pt2/op_table.h"

#include <array>
#include <string>
#include <unordered_map>

#include "frontend/pt2/ops.h"

namespace intaglio::frontend::pt2 {
namespace {

constexpr OpRow kRows[] = {
#define PT2_OP(target, alias, translator) {target, Alias::alias, &ops::translator},
#define PT2_UNARY(target, op)             {target, Alias::fresh, &ops::float_unary<ir::Op::op>},
#define PT2_KEEPING(target, op)           {target, Alias::fresh, &ops::keeping_unary<ir::Op::op>},
#define PT2_BINARY(target, op)            {target, Alias::fresh, &ops::promoted_binary<ir::Op::op>},
#define PT2_COMPARE(target, op)           {target, Alias::fresh, &ops::promoted_binary<ir::Op::op>},
#define PT2_SYM(target, op)               {target, Alias::fresh, &ops::sym_op<ops::SymOp::op>},
#include "frontend/pt2/aten_ops.inc"
#undef PT2_OP
#undef PT2_UNARY
#undef PT2_KEEPING
#undef PT2_BINARY
#undef PT2_COMPARE
#undef PT2_SYM
};

const OpRow* find_row(std::string_view target) {
  static const auto* index = [] {
    auto* map = new std::unordered_map<std::string_view, const OpRow*>;
    for (const OpRow& row : kRows) map->emplace(row.target, &row);
    return map;
  }();
  const auto it = index->find(target);
  return it == index->end() ? nullptr : it->second;
}

}  // namespace

std::string_view short_target(std::string_view target) {
  constexpr std::string_view prefix = "torch.ops.";
  if (target.starts_with(prefix)) target.remove_prefix(prefix.size());
  return target;
}

OpMatch find_op(std::string_view target) {
  target = short_target(target);
  if (const OpRow* row = find_row(target)) return {.row = row, .in_place = false};
  // "aten.add_.Tensor" -> "aten.add.Tensor"; "__iand__" and the like end with two underscores and are no such names.
  const std::size_t first = target.find('.'), last = target.rfind('.');
  if (first == target.npos || last == first || last == 0 || target[last - 1] != '_' || target[last - 2] == '_')
    return {};
  const std::string functional = std::string(target.substr(0, last - 1)) + std::string(target.substr(last));
  return {.row = find_row(functional), .in_place = true};
}

std::size_t op_count() {
  return std::size(kRows);
}

}  // namespace intaglio::frontend::pt2
