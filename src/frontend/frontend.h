// Model files into graphs. Files are data: nothing in them can run code, leave the model's directory or exceed limits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "ir/graph.h"

namespace intaglio::frontend {

struct ImportOptions {
  std::int64_t max_nodes = 1'000'000;
  int max_nesting = 100;  // subgraphs, nested arguments
  std::size_t max_string = std::size_t{16} << 20;
  // Inputs to be fixed to a value and removed from the signature (shape operands that arrive as graph inputs).
  std::map<std::string, ir::Tensor> fixed_inputs;
};

// Every op of the file that has no row in the op table, with the nodes that use it.
struct UnsupportedOp {
  std::string op;                  // "com.microsoft::QGemm", "aten.roll.default"
  std::vector<std::string> nodes;  // names, in file order
};

// What `inspect` shows without compiling: read from the file's own tables.
struct PortSummary {
  std::string name;
  std::string dtype;               // "i64", or the file's own name for what has no DType
  std::vector<std::string> shape;  // "batch", "128", "?" when unknown
};
struct ModelSummary {
  std::string format;   // "onnx" or "pt2"
  std::string version;  // "opset 17, IR 8", "schema 8.20, torch 2.13.0"
  std::string producer;
  std::vector<PortSummary> inputs, outputs;
  std::map<std::string, std::int64_t> ops;     // op name in the file -> count
  std::map<std::string, std::int64_t> dtypes;  // dtype of weights -> number of parameters
  std::int64_t parameters = 0;
  std::size_t weight_bytes = 0;
  std::vector<UnsupportedOp> unsupported;
};

// The format is decided by content (zip magic: .pt2; else ONNX), the extension only helps messages. The graph has been
// verified; constants point into mappings that the graph's tensors keep alive. Errors: file (missing, truncated,
// corrupted, outside the directory), unsupported (all unknown ops are listed in one error, with their nodes).
Result<ir::Graph> import_model(const std::filesystem::path& path, const ImportOptions& options = {});
// "onnx" or "pt2", decided as above.
Result<std::string> format_of(const std::filesystem::path& path);
Result<ModelSummary> summarise_model(const std::filesystem::path& path, const ImportOptions& options = {});

namespace onnx {
Result<ir::Graph> import(const std::filesystem::path& path, const ImportOptions& options);
Result<ModelSummary> summarise(const std::filesystem::path& path, const ImportOptions& options);
}  // namespace onnx
namespace pt2 {
Result<ir::Graph> import(const std::filesystem::path& path, const ImportOptions& options);
Result<ModelSummary> summarise(const std::filesystem::path& path, const ImportOptions& options);
}  // namespace pt2

// "3 unsupported ops: X (nodes a, b), ..." as an Error with code unsupported.
Error unsupported_error(const std::vector<UnsupportedOp>& ops, const std::filesystem::path& path);

}  // namespace intaglio::frontend
