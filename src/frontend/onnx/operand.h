// What an ONNX value is during import. ONNX computes shapes with tensors; the IR has no shape operands. So the contents
// of small integer tensors are followed symbolically, and become data only when something needs them as data.
#pragma once

#include <optional>
#include <string>

#include "base/dim.h"
#include "base/dtype.h"
#include "frontend/onnx/proto.h"
#include "ir/graph.h"

namespace intaglio::frontend::onnx {

// The known contents of an integer or bool tensor of rank 0 (one element) or 1; bool elements are 0 or 1.
struct Known {
  DType dtype = DType::i64;
  int rank = 1;
  Dims dims;
};
// Larger tensors are data, not shapes.
inline constexpr std::size_t kMaxKnown = 1024;

// At least one of the three is set.
struct Operand {
  ir::Value* value = nullptr;  // made from the others when first needed
  std::optional<Known> known;
  const TensorProto* tensor = nullptr;  // an initialiser that nobody has loaded yet
  std::string origin;                   // of known contents that become data: the node that computed them
};

// The contents of a constant tensor, if it is small, of integers and of rank 0 or 1.
std::optional<Known> known_contents(const ir::Tensor& tensor);

// Bounds the work and depth of symbolic arithmetic: false for expressions that no model has (over `limit` parts).
bool is_reasonable(const Dim& dim, int limit = 512);

}  // namespace intaglio::frontend::onnx
