// The one table of operators: target in the file -> translator. Rows are in aten_ops.inc.
#pragma once

#include <cstddef>
#include <string_view>

#include "frontend/pt2/call.h"

namespace intaglio::frontend::pt2 {

// How the first result relates to the storage of the first tensor argument.
enum class Alias : std::uint8_t {
  fresh,  // a new tensor
  view,   // shares it, or may share it
  same,   // is the argument itself
};

using Translator = Status (*)(Call&);

struct OpRow {
  std::string_view target;  // "aten.add.Tensor": without the leading "torch.ops."
  Alias alias = Alias::fresh;
  Translator translate = nullptr;
};

// What a target needs: its row, and whether the op changes its first argument (aten.add_.Tensor uses aten.add.Tensor's
// row).
struct OpMatch {
  const OpRow* row = nullptr;  // nullptr: unknown
  bool in_place = false;
};
OpMatch find_op(std::string_view target);
std::size_t op_count();

// Without "torch.ops.", which everything but Python's own functions carries.
std::string_view short_target(std::string_view target);

}  // namespace intaglio::frontend::pt2
