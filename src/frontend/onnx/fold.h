// Folding of shape arithmetic: ops on small integer tensors whose contents are known symbolically. Each function either
// sets known results and returns true, or leaves the node to its translator.
#pragma once

#include "frontend/onnx/node_context.h"

namespace intaglio::frontend::onnx {

Result<bool> fold_shape(NodeContext& context);
Result<bool> fold_size(NodeContext& context);
Result<bool> fold_identity(NodeContext& context);
Result<bool> fold_cast(NodeContext& context);
Result<bool> fold_binary(NodeContext& context);    // Add Sub Mul Div Mod And Or Xor and the comparisons
Result<bool> fold_variadic(NodeContext& context);  // Min Max Sum
Result<bool> fold_unary(NodeContext& context);     // Neg Abs Not
Result<bool> fold_where(NodeContext& context);
Result<bool> fold_gather(NodeContext& context);
Result<bool> fold_concat(NodeContext& context);
Result<bool> fold_slice(NodeContext& context);
Result<bool> fold_split(NodeContext& context);
Result<bool> fold_reshape(NodeContext& context);  // also Squeeze, Unsqueeze, Flatten
Result<bool> fold_range(NodeContext& context);
Result<bool> fold_constant_of_shape(NodeContext& context);
Result<bool> fold_expand(NodeContext& context);
Result<bool> fold_reduce(NodeContext& context);

}  // namespace intaglio::frontend::onnx
