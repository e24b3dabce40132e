// The one table of ONNX ops that can be imported (ops.inc).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "frontend/onnx/node_context.h"

namespace intaglio::frontend::onnx {

// The newest opset of the default domain whose definitions the rows have been checked against.
inline constexpr std::int64_t kNewestOpset = 28;

// Sets the node's results through the context.
using Translate = Status (*)(NodeContext& context);
// Sets results as known contents where the operands' contents allow it; returns whether it did.
using Fold = Result<bool> (*)(NodeContext& context);

struct OpRow {
  std::string_view domain;  // "" is ai.onnx
  std::string_view op;
  std::int64_t since;   // the oldest opset whose definition the translator honours
  std::int64_t newest;  // the newest definition that it was written against
  Translate translate;
  Fold fold;  // may be null
};

std::span<const OpRow> op_table();
// nullptr if unknown. "ai.onnx" is "".
const OpRow* find_op(std::string_view domain, std::string_view op);

}  // namespace intaglio::frontend::onnx
