// onnx::import and onnx::summarise: from a path to a verified graph, or to a table of contents.
#include "base/shape.h"
#include "frontend/frontend.h"
#include "frontend/onnx/importer.h"
#include "frontend/onnx/model_index.h"
#include "ir/verifier.h"

namespace intaglio::frontend::onnx {
namespace {

constexpr int kMaxRounds = 8;  // imports until no guard implies a tighter range

Status check_opset(const ModelProto& model) {
  const std::int64_t opset = opset_of(model.opset_imports, "");
  if (opset > kNewestOpset) {
    return fail(ErrorCode::unsupported,
                "opset " + std::to_string(opset) + " is newer than " + std::to_string(kNewestOpset) +
                    ", the newest that is known",
                {}, "export the model with an older opset");
  }
  if (opset < 0) return fail(ErrorCode::file, "opset " + std::to_string(opset));
  return {};
}

Result<ir::Graph> build(const ModelProto& model, TensorStore& store, const ImportOptions& options) {
  SymbolRanges ranges;
  for (int round = 0;; ++round) {
    Importer importer(model, store, options, ranges);
    Status done = importer.run();
    if (round < kMaxRounds && imply_ranges(importer.graph().guards, ranges)) continue;
    if (!done) return fail(std::move(done).error());
    INTAGLIO_CHECK(ir::verify(importer.graph()));
    return std::move(importer.graph());
  }
}

std::string shape_text(const DimProto& dim) {
  if (dim.value) return std::to_string(*dim.value);
  return dim.param.empty() ? "?" : std::string(dim.param);
}

PortSummary summarise_port(const ValueInfoProto& info) {
  PortSummary port;
  port.name = info.name;
  switch (info.kind) {
    case TypeKind::tensor: {
      const auto dtype = dtype_of(info.elem_type);
      port.dtype = dtype ? std::string(name_of(*dtype)) : type_name(info.elem_type);
      break;
    }
    case TypeKind::sequence:
      port.dtype = "sequence";
      break;
    case TypeKind::map:
      port.dtype = "map";
      break;
    case TypeKind::optional:
      port.dtype = "optional";
      break;
    case TypeKind::sparse_tensor:
      port.dtype = "sparse tensor";
      break;
    default:
      port.dtype = "?";
  }
  for (const DimProto& dim : info.dims) port.shape.push_back(shape_text(dim));
  return port;
}

Status add_weight(const TensorProto& tensor, ModelSummary& summary) {
  const auto count = element_count(tensor.dims);
  if (!count) return fail(ErrorCode::file, count.error().message, "tensor '" + std::string(tensor.name) + "'");
  const auto dtype = dtype_of(tensor.data_type);
  const auto total = checked_add(summary.parameters, *count);
  if (!total) return fail(ErrorCode::file, "the weights are too large", "tensor '" + std::string(tensor.name) + "'");
  summary.parameters = *total;
  summary.dtypes[dtype ? std::string(name_of(*dtype)) : type_name(tensor.data_type)] += *count;
  if (!dtype) return {};
  INTAGLIO_TRY(const std::size_t bytes, byte_count(tensor.dims, *dtype));
  summary.weight_bytes += bytes;
  return {};
}

Result<ModelSummary> summarise_parsed(const ModelProto& model) {
  ModelSummary summary;
  summary.format = "onnx";
  summary.version =
      "opset " + std::to_string(opset_of(model.opset_imports, "")) + ", IR " + std::to_string(model.ir_version);
  for (const OpsetImport& import : model.opset_imports) {
    if (!import.domain.empty() && import.domain != "ai.onnx") {
      summary.version += ", " + std::string(import.domain) + " " + std::to_string(import.version);
    }
  }
  summary.producer = model.producer_name;
  if (!model.producer_version.empty()) summary.producer += " " + std::string(model.producer_version);
  const GraphProto& graph = *model.graph;
  std::map<std::string_view, bool> initialised;
  for (const TensorProto& tensor : graph.initializers) {
    initialised[tensor.name] = true;
    INTAGLIO_CHECK(add_weight(tensor, summary));
  }
  for (const ValueInfoProto& info : graph.inputs) {
    if (!initialised.contains(info.name)) summary.inputs.push_back(summarise_port(info));
  }
  for (const ValueInfoProto& info : graph.outputs) summary.outputs.push_back(summarise_port(info));
  for (const NodeProto& node : graph.nodes) ++summary.ops[qualified_op(node)];
  summary.unsupported = find_unsupported(model);
  return summary;
}

}  // namespace

Result<ir::Graph> import(const std::filesystem::path& path, const ImportOptions& options) {
  INTAGLIO_TRY(auto file, MappedFile::open(path));
  INTAGLIO_TRY(const ModelProto model, parse_model(*file, options));
  if (Status known = check_opset(model); !known) return fail(std::move(known).error().within(path.string()));
  if (auto unsupported = find_unsupported(model); !unsupported.empty())
    return fail(unsupported_error(unsupported, path));
  TensorStore store(file);
  auto graph = build(model, store, options);
  if (!graph) return fail(std::move(graph).error().within(path.string()));
  graph->files = store.files();
  return graph;
}

Result<ModelSummary> summarise(const std::filesystem::path& path, const ImportOptions& options) {
  INTAGLIO_TRY(auto file, MappedFile::open(path));
  INTAGLIO_TRY(const ModelProto model, parse_model(*file, options));
  auto summary = summarise_parsed(model);
  if (!summary) return fail(std::move(summary).error().within(path.string()));
  return summary;
}

}  // namespace intaglio::frontend::onnx
