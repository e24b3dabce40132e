// Look-ups over a parsed model that the importer and the summary share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "frontend/frontend.h"
#include "frontend/onnx/proto.h"

namespace intaglio::frontend::onnx {

// The version of `domain` ("ai.onnx" is ""), or 0 if it is not imported.
std::int64_t opset_of(const std::vector<OpsetImport>& imports, std::string_view domain);

// The model-local function that a node calls, or nullptr.
const FunctionProto* find_function(const ModelProto& model, const NodeProto& node);

// "MatMul", "com.microsoft::QGemm".
std::string qualified_op(const NodeProto& node);
// The node's name, or its op type and position.
std::string node_label(const NodeProto& node, std::size_t index);

// Every op without a row in the table, in the graph, its subgraphs and the functions that it calls.
std::vector<UnsupportedOp> find_unsupported(const ModelProto& model);

}  // namespace intaglio::frontend::onnx
